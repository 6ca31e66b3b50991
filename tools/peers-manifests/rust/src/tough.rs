//! Drives tough's own client, and its editor to make repositories. It fetches
//! and reports, judges nothing: every failure is the peer's own error, by variant.

mod make;
mod protocol;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use async_trait::async_trait;

use protocol::{
    asked, fetched, nanos_since, not_found, round_folder, say, Answer, Failure, Outcome, Request,
};
use tough::{
    HttpTransport, HttpTransportBuilder, Limits, Prefix, Repository, RepositoryLoader, TargetName,
    Transport, TransportError, TransportStream,
};
use url::Url;

/// Asks for `<folder>/<digest>.<file>` where tough by itself asks for `<digest>.<folder>/<file>`.
#[derive(Clone, Debug)]
struct DigestBesideFile {
    targets: Url,
    inner: HttpTransport,
}

#[async_trait]
impl Transport for DigestBesideFile {
    async fn fetch(&self, url: Url) -> Result<TransportStream, TransportError> {
        self.inner.fetch(self.respelled(&url).unwrap_or(url)).await
    }
}

impl DigestBesideFile {
    /// One for a whole process: with a provider of its own it reads the machine's certificates once, and it does not
    /// pause, since nothing is tried twice here.
    fn new(targets: Url) -> Self {
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let builder = HttpTransportBuilder::new()
            .crypto_provider(provider)
            .initial_backoff(Duration::ZERO)
            .tries(1);
        Self {
            targets,
            inner: builder.build(),
        }
    }

    fn respelled(&self, url: &Url) -> Option<Url> {
        let path = url.as_str().strip_prefix(self.targets.as_str())?;
        let (digest, rest) = path.split_once('.')?;
        let (folder, file) = rest.rsplit_once('/')?;
        let is_digest = digest.len() == 64 && digest.bytes().all(|sign| sign.is_ascii_hexdigit());
        is_digest.then(|| self.targets.join(&format!("{folder}/{digest}.{file}")).ok())?
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    say(match asked() {
        Ok(request) => carry_out(request).await,
        Err(failure) => Err(failure),
    });
}

async fn carry_out(asked: Request) -> Outcome<Answer> {
    if asked.now.is_some() {
        return Err(Failure::new("Unsupported", "it cannot be told the time"));
    }
    if asked.task == "make" {
        make::make_repository(serde_json::from_value(asked.plan)?, &asked.out_folder).await?;
        return Ok(Answer::default());
    }
    let root = std::fs::read(&asked.root_file)?;
    let transport = DigestBesideFile::new(Url::parse(&asked.targets_url)?);
    match asked.task.as_str() {
        "fetch" => {
            let repository = open(&asked, &root, &transport, &asked.out_folder).await?;
            let mut files = Vec::new();
            for path in &asked.target_paths {
                files.push(fetched(
                    download(&repository, path, &asked.out_folder).await,
                ));
            }
            Ok(Answer {
                files: Some(files),
                ..Answer::default()
            })
        }
        "time" => {
            let mut nanos = Vec::new();
            for round in 0..asked.rounds {
                let folder = round_folder(&asked.out_folder, round)?;
                let begin = Instant::now();
                let repository = open(&asked, &root, &transport, &folder).await?;
                for path in &asked.target_paths {
                    let name = TargetName::new(path)?;
                    repository.targets().signed.find_target(&name, false)?;
                }
                nanos.push(nanos_since(begin));
                std::fs::remove_dir_all(folder)?;
            }
            Ok(Answer {
                nanos: Some(nanos),
                ..Answer::default()
            })
        }
        task => Err(Failure::new("Unsupported", task)),
    }
}

/// Refreshes, with its limits out of the way: they are not what is looked at.
async fn open(
    asked: &Request,
    root: &[u8],
    transport: &DigestBesideFile,
    folder: &Path,
) -> Outcome<Repository> {
    let datastore = folder.join("metadata");
    std::fs::create_dir_all(&datastore)?;
    let limits = Limits {
        max_snapshot_size: 1 << 30,
        max_targets_size: 1 << 30,
        ..Limits::default()
    };
    let (metadata, targets) = (
        Url::parse(&asked.metadata_url)?,
        Url::parse(&asked.targets_url)?,
    );
    let loader = RepositoryLoader::new(&root, metadata, targets).transport(transport.clone());
    Ok(loader.datastore(datastore).limits(limits).load().await?)
}

async fn download(repository: &Repository, path: &str, folder: &Path) -> Outcome<PathBuf> {
    let name = TargetName::new(path)?;
    if repository
        .targets()
        .signed
        .find_target(&name, false)
        .is_err()
    {
        return Err(not_found(path));
    }
    let folder = folder.join("targets");
    std::fs::create_dir_all(&folder)?;
    repository.save_target(&name, &folder, Prefix::None).await?;
    Ok(folder.join(name.resolved()))
}
