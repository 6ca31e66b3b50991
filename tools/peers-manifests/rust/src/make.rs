//! Makes a repository from a plan with tough's own schema and editor: its keys,
//! its spelling, its signatures. It always lists the length and hash of a file.

use std::collections::HashMap;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use aws_lc_rs::digest::{digest, SHA256, SHA512};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{
    EcdsaKeyPair, Ed25519KeyPair, RsaKeyPair, ECDSA_P256_SHA256_ASN1_SIGNING,
};
use serde::Deserialize;
use serde_json::Value;
use tough::editor::signed::SignedRole;
use tough::editor::RepositoryEditor;
use tough::key_source::KeySource;
use tough::schema::{
    Hashes, KeyHolder, PathHashPrefix, PathPattern, PathSet, RoleKeys, RoleType, Root, Target,
};
use tough::sign::Sign;

use crate::protocol::{Failure, Outcome};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    consistent_snapshot: bool,
    expires: jiff::Timestamp,
    fields: HashMap<String, Value>,
    keys: HashMap<String, Vec<String>>,
    roles: Vec<PlannedRole>,
}

#[derive(Deserialize)]
struct PlannedRole {
    name: String,
    targets: HashMap<String, String>,
    #[serde(default)]
    delegations: Vec<PlannedDelegation>,
    succinct: Option<Value>,
}

#[derive(Deserialize)]
struct PlannedDelegation {
    name: String,
    keys: Vec<String>,
    terminating: bool,
    paths: Option<Vec<String>>,
    prefixes: Option<Vec<String>>,
}

/// A private key in memory, as PKCS #8.
#[derive(Clone, Debug)]
struct Made {
    kind: String,
    pkcs8: Vec<u8>,
}

type Boxed = Box<dyn std::error::Error + Send + Sync + 'static>;

#[async_trait]
impl KeySource for Made {
    async fn as_sign(&self) -> Result<Box<dyn Sign>, Boxed> {
        Ok(match self.kind.as_str() {
            "ed25519" => Box::new(Ed25519KeyPair::from_pkcs8(&self.pkcs8)?),
            "ecdsa" => Box::new(EcdsaKeyPair::from_pkcs8(
                &ECDSA_P256_SHA256_ASN1_SIGNING,
                &self.pkcs8,
            )?),
            _ => Box::new(RsaKeyPair::from_pkcs8(&self.pkcs8)?),
        })
    }

    async fn write(&self, _value: &str, _key_id_hex: &str) -> Result<(), Boxed> {
        Err("a made key stays in memory".into())
    }
}

pub async fn make_repository(plan: Plan, folder: &Path) -> Outcome<()> {
    let (metadata, targets) = (folder.join("metadata"), folder.join("targets"));
    std::fs::create_dir_all(&metadata)?;
    let mut made: HashMap<String, Vec<Made>> = HashMap::new();
    for (role, kinds) in &plan.keys {
        made.insert(role.clone(), generate(kinds)?);
    }
    let root_file = make_root(&plan, &made, folder).await?;

    let mut editor = RepositoryEditor::new(&root_file).await?;
    for (number, role) in plan.roles.iter().enumerate() {
        if role.succinct.is_some() {
            return Err(Failure::new("Unsupported", "succinct roles"));
        }
        if number > 0 {
            editor.change_delegated_targets(&role.name)?;
        }
        editor
            .targets_version(NonZeroU64::MIN)?
            .targets_expires(plan.expires)?;
        for (path, content) in &role.targets {
            editor.add_target(path.as_str(), describe(content.as_bytes(), &plan.fields))?;
            write_target(&targets, path, content.as_bytes(), plan.consistent_snapshot)?;
        }
        for delegation in &role.delegations {
            let keys = generate(&delegation.keys)?;
            let threshold = NonZeroU64::new(keys.len() as u64).unwrap_or(NonZeroU64::MIN);
            let (scope, sources) = (scope_of(delegation)?, sources(&keys));
            let (name, terminating) = (&delegation.name, delegation.terminating);
            editor
                .delegate_role(
                    name,
                    &sources,
                    scope,
                    terminating,
                    threshold,
                    plan.expires,
                    NonZeroU64::MIN,
                )
                .await?;
            made.insert(name.clone(), keys);
        }
        editor
            .sign_targets_editor(&sources(&made[&role.name]))
            .await?;
    }
    editor
        .snapshot_version(NonZeroU64::MIN)
        .snapshot_expires(plan.expires);
    editor
        .timestamp_version(NonZeroU64::MIN)
        .timestamp_expires(plan.expires);
    let all: Vec<Made> = made.into_values().flatten().collect();
    editor.sign(&sources(&all)).await?.write(&metadata).await?;
    Ok(())
}

async fn make_root(
    plan: &Plan,
    made: &HashMap<String, Vec<Made>>,
    folder: &Path,
) -> Outcome<PathBuf> {
    let mut root = Root {
        spec_version: "1.0.0".into(),
        consistent_snapshot: plan.consistent_snapshot,
        version: NonZeroU64::MIN,
        expires: plan.expires,
        keys: HashMap::new(),
        roles: HashMap::new(),
        _extra: plan.fields.clone(),
    };
    for (role, keys) in made {
        let mut keyids = Vec::new();
        for made in keys {
            let key = made
                .as_sign()
                .await
                .map_err(|error| Failure::new("Key", &error.to_string()))?
                .tuf_key();
            keyids.push(key.key_id()?);
            root.keys.insert(key.key_id()?, key);
        }
        let threshold = NonZeroU64::new(keys.len() as u64).unwrap_or(NonZeroU64::MIN);
        root.roles.insert(
            role_type(role)?,
            RoleKeys {
                keyids,
                threshold,
                _extra: HashMap::new(),
            },
        );
    }
    let holder = KeyHolder::Root(root.clone());
    let signed =
        SignedRole::new(root, &holder, &sources(&made["root"]), &SystemRandom::new()).await?;
    let file = folder.join("root.json");
    std::fs::write(&file, signed.buffer())?;
    Ok(file)
}

fn role_type(name: &str) -> Outcome<RoleType> {
    Ok(serde_json::from_value(Value::String(name.into()))?)
}

fn sources(keys: &[Made]) -> Vec<Box<dyn KeySource>> {
    keys.iter()
        .map(|key| Box::new(key.clone()) as Box<dyn KeySource>)
        .collect()
}

fn generate(kinds: &[String]) -> Outcome<Vec<Made>> {
    kinds
        .iter()
        .map(|kind| {
            Ok(Made {
                kind: kind.clone(),
                pkcs8: pkcs8_of(kind)?,
            })
        })
        .collect()
}

fn pkcs8_of(kind: &str) -> Outcome<Vec<u8>> {
    let random = SystemRandom::new();
    match kind {
        "ed25519" => Ok(Ed25519KeyPair::generate_pkcs8(&random)?.as_ref().to_vec()),
        "ecdsa" => Ok(
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random)?
                .as_ref()
                .to_vec(),
        ),
        "rsa" => Ok(KeyPair::generate(KeySize::Rsa2048)?
            .as_der()?
            .as_ref()
            .to_vec()),
        _ => Err(Failure::new("Unsupported", kind)),
    }
}

fn describe(content: &[u8], fields: &HashMap<String, Value>) -> Target {
    let sha512 = Value::String(hex::encode(digest(&SHA512, content)));
    Target {
        length: content.len() as u64,
        hashes: Hashes {
            sha256: digest(&SHA256, content).as_ref().to_vec().into(),
            _extra: HashMap::from([("sha512".into(), sha512)]),
        },
        custom: HashMap::new(),
        _extra: fields.clone(),
    }
}

fn scope_of(delegation: &PlannedDelegation) -> Outcome<PathSet> {
    if let Some(prefixes) = &delegation.prefixes {
        let made: Result<_, _> = prefixes.iter().map(PathHashPrefix::new).collect();
        return Ok(PathSet::PathHashPrefixes(made?));
    }
    let made: Result<_, _> = delegation
        .paths
        .iter()
        .flatten()
        .map(PathPattern::new)
        .collect();
    Ok(PathSet::Paths(made?))
}

fn write_target(folder: &Path, path: &str, content: &[u8], consistent: bool) -> Outcome<()> {
    let file = folder.join(path);
    let (parent, name) = (
        file.parent().unwrap_or(folder),
        file.file_name().unwrap_or_default(),
    );
    std::fs::create_dir_all(parent)?;
    if !consistent {
        return Ok(std::fs::write(&file, content)?);
    }
    for hash in [digest(&SHA256, content), digest(&SHA512, content)] {
        std::fs::write(
            parent.join(format!("{}.{}", hex::encode(hash), name.to_string_lossy())),
            content,
        )?;
    }
    Ok(())
}
