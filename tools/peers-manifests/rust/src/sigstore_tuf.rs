//! Drives sigstore-tuf's own client. It fetches and reports, judges nothing:
//! every failure is the peer's own error, by variant. It has no means of making
//! a repository.

mod protocol;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use protocol::{
    asked, fetched, nanos_since, not_found, round_folder, say, Answer, Failure, Outcome, Request,
};
use sigstore_tuf::cache::FileStore;
use sigstore_tuf::client::{HttpRepository, Updater};
use sigstore_tuf::transport::{FetchFuture, Repository, UpdaterConfig};

/// One HTTP client for all rounds of a process.
struct Shared(Arc<HttpRepository>);

impl Repository for Shared {
    fn fetch_metadata<'a>(&'a self, name: &'a str, max_length: u64) -> FetchFuture<'a> {
        self.0.fetch_metadata(name, max_length)
    }

    fn fetch_target<'a>(&'a self, path: &'a str, max_length: u64) -> FetchFuture<'a> {
        self.0.fetch_target(path, max_length)
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
    let root = std::fs::read(&asked.root_file)?;
    let http =
        Arc::new(HttpRepository::new(&asked.metadata_url)?.with_targets_base(&asked.targets_url)?);
    let now = match &asked.now {
        Some(text) => text.parse()?,
        None => Timestamp::now(),
    };
    match asked.task.as_str() {
        "fetch" => {
            let mut updater = open(&http, &root, &asked.out_folder)?;
            updater.refresh(now).await?;
            let mut files = Vec::new();
            for path in &asked.target_paths {
                files.push(fetched(
                    download(&mut updater, path, now, &asked.out_folder).await,
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
                let mut updater = open(&http, &root, &folder)?;
                updater.refresh(now).await?;
                for path in &asked.target_paths {
                    updater
                        .get_target_info(path, now)
                        .await?
                        .ok_or_else(|| not_found(path))?;
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

/// A client with its limits out of the way: they are not what is looked at.
fn open(http: &Arc<HttpRepository>, root: &[u8], folder: &Path) -> Outcome<Updater> {
    let mut limits = UpdaterConfig::default();
    limits.snapshot_max_length = 1 << 30;
    limits.targets_max_length = 1 << 30;
    let store = FileStore::new(folder.join("metadata"));
    Ok(Updater::new(Shared(http.clone()), root)?
        .with_config(limits)
        .with_store(store))
}

async fn download(
    updater: &mut Updater,
    path: &str,
    now: Timestamp,
    folder: &Path,
) -> Outcome<std::path::PathBuf> {
    let target = updater
        .get_target_info(path, now)
        .await?
        .ok_or_else(|| not_found(path))?;
    let content = updater.download_target(&target, path).await?;
    let file = folder.join("targets").join(path);
    std::fs::create_dir_all(file.parent().unwrap_or(folder))?;
    std::fs::write(&file, content)?;
    Ok(file)
}
