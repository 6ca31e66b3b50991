//! How a driver is asked and how it answers: one JSON object as its one
//! argument, one line of JSON (tools/peers/peers.mjs says what is in them).

use std::fmt::{Debug, Display};
use std::path::{Path, PathBuf};
use std::time::Instant;

use aws_lc_rs::digest::{digest, SHA256};
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
pub struct Request {
    #[serde(rename = "do")]
    pub task: String,
    pub metadata_url: String,
    pub targets_url: String,
    pub root_file: PathBuf,
    pub target_paths: Vec<String>,
    pub out_folder: PathBuf,
    pub now: Option<String>,
    pub rounds: usize,
    pub plan: serde_json::Value,
}

#[derive(Serialize, Default)]
pub struct Answer {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files: Option<Vec<Fetched>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nanos: Option<Vec<u128>>,
}

#[derive(Serialize)]
#[serde(untagged)]
pub enum Fetched {
    File {
        ok: bool,
        path: PathBuf,
        length: usize,
        sha256: String,
    },
    Failure {
        ok: bool,
        error: String,
        message: String,
    },
}

/// A peer's own error, by the name of its variant.
#[derive(Debug)]
pub struct Failure {
    pub error: String,
    pub message: String,
}

impl Failure {
    pub fn new(error: &str, message: &str) -> Self {
        Self {
            error: error.into(),
            message: message.into(),
        }
    }
}

/// Any error of a peer, or of the driver itself, becomes an answer.
impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            message.push_str(&format!(": {cause}"));
            source = cause.source();
        }
        Self {
            error: variant_of(&error),
            message,
        }
    }
}

pub type Outcome<T> = Result<T, Failure>;

pub fn asked() -> Outcome<Request> {
    Ok(serde_json::from_str(
        &std::env::args().nth(1).unwrap_or_default(),
    )?)
}

pub fn say(outcome: Outcome<Answer>) {
    let line = match outcome {
        Ok(answer) => serde_json::json!(answer),
        Err(Failure { error, message }) => {
            serde_json::json!({ "error": error, "message": message })
        }
    };
    println!("{line}");
}

/// What came of fetching one target.
pub fn fetched(outcome: Outcome<PathBuf>) -> Fetched {
    let read = outcome.and_then(|path| Ok((std::fs::read(&path)?, path)));
    match read {
        Ok((content, path)) => {
            let sha256 = hex::encode(digest(&SHA256, &content));
            Fetched::File {
                ok: true,
                path,
                length: content.len(),
                sha256,
            }
        }
        Err(Failure { error, message }) => Fetched::Failure {
            ok: false,
            error,
            message,
        },
    }
}

/// A new folder for a round, which is not timed.
pub fn round_folder(out: &Path, round: usize) -> Outcome<PathBuf> {
    let folder = out.join(format!("round-{round}"));
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

pub fn nanos_since(begin: Instant) -> u128 {
    begin.elapsed().as_nanos()
}

pub fn not_found(path: impl Display) -> Failure {
    Failure::new("TargetNotFound", &path.to_string())
}

fn variant_of(error: &impl Debug) -> String {
    let shown = format!("{error:?}");
    shown
        .chars()
        .take_while(|sign| sign.is_alphanumeric())
        .collect()
}
