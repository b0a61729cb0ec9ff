//! A task's artifacts, from the queue or from a directory.

use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use taskgraft_client::Client;
use taskgraft_core::ids::TaskId;

use crate::cache::{self, Cache};

/// Where artifacts come from.
#[derive(Debug, Clone)]
pub enum Artifacts {
    /// The queue; what can't change any more is kept in the cache.
    Queue(Client, Cache),
    /// A directory that holds them under their last names, such as `full-task-graph.json`.
    Directory(PathBuf),
}

/// Which artifact.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Whose it is; of no interest to a directory.
    pub task: TaskId,
    /// The run, if it is known and resolved: then it is cached. Else the last run's is fetched.
    pub run: Option<u16>,
    /// Its name, such as `public/parameters.yml`.
    pub name: &'a str,
    /// The most bytes it may have, gunzipped.
    pub max: u64,
}

/// Why an artifact can't be had.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// There is none of that name.
    #[error("fetch {name} of {task}: there is no such artifact")]
    Missing {
        /// Its name.
        name: String,
        /// Whose it would be.
        task: TaskId,
    },
    /// The directory holds none of that name.
    #[error("read {name}: there is no such file in {}", .dir.display())]
    NotInDirectory {
        /// Its name there.
        name: String,
        /// The directory.
        dir: PathBuf,
    },
    /// Taskcluster didn't give it.
    #[error("fetch {name} of {task}: failed to {error}")]
    Client {
        /// Its name.
        name: String,
        /// Whose it is.
        task: TaskId,
        /// What happened.
        #[source]
        error: taskgraft_client::Error,
    },
    /// It could not be kept, unpacked or read.
    #[error("read {name}: {error}")]
    Io {
        /// Its name.
        name: String,
        /// What happened.
        error: io::Error,
    },
}

impl FetchError {
    /// Whether there simply is none.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Missing { .. } | Self::NotInDirectory { .. })
    }
}

impl Artifacts {
    /// An artifact's contents, gunzipped.
    ///
    /// # Errors
    /// If it isn't there, is too large, or can't be read.
    pub async fn read(&self, wanted: Wanted<'_>) -> Result<Bytes, FetchError> {
        match self {
            Self::Directory(dir) => from_directory(dir, wanted),
            Self::Queue(client, cache) => from_queue(client, cache, wanted).await,
        }
    }
}

fn from_directory(dir: &Path, wanted: Wanted<'_>) -> Result<Bytes, FetchError> {
    let last = wanted.name.rsplit('/').next().unwrap_or_default();
    cache::map(&dir.join(last), wanted.max).map_err(|error| {
        if error.kind() == io::ErrorKind::NotFound {
            FetchError::NotInDirectory { name: last.to_owned(), dir: dir.to_owned() }
        } else {
            FetchError::Io { name: last.to_owned(), error }
        }
    })
}

async fn from_queue(client: &Client, cache: &Cache, wanted: Wanted<'_>) -> Result<Bytes, FetchError> {
    let Wanted { task, run, name, max } = wanted;
    let io = |error| FetchError::Io { name: name.to_owned(), error };
    let kept = run.map(|run| cache.entry(task, run, name));
    if let Some(bytes) = kept.as_deref().and_then(|path| cache.kept(path, max)) {
        return Ok(bytes);
    }
    let refused = |error: taskgraft_client::Error| match error {
        error if error.is_not_found() => FetchError::Missing { name: name.to_owned(), task },
        error => FetchError::Client { name: name.to_owned(), task, error },
    };
    let location = client.queue().artifact(task, run, name).await.map_err(refused)?;
    let file = cache.scratch().map_err(io)?;
    let download = client.download(&location.url, file.path(), max).await.map_err(refused)?;
    let file = match download.encoding.as_deref() {
        None | Some("" | "identity") => file,
        Some("gzip" | "x-gzip") => {
            let cache = cache.clone();
            let unpacked = tokio::task::spawn_blocking(move || cache.gunzip(file.path(), max)).await;
            unpacked.map_err(io::Error::other).and_then(|file| file).map_err(io)?
        }
        Some(other) => {
            return Err(io(io::Error::new(io::ErrorKind::Unsupported, format!("its encoding is {other}"))));
        }
    };
    let bytes = cache::map(file.path(), max).map_err(io)?;
    if let Some(path) = kept {
        cache.keep(&path, file, &bytes).map_err(io)?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_directory_holds_artifacts_under_their_last_names() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("parameters.yml"), "level: '1'\n").unwrap();
        let artifacts = Artifacts::Directory(dir.path().to_owned());
        let task = TaskId::from_bytes([0; 16]);
        let wanted = |name| Wanted { task, run: None, name, max: 100 };
        assert_eq!(&artifacts.read(wanted("public/parameters.yml")).await.unwrap()[..], b"level: '1'\n");
        let missing = artifacts.read(wanted("public/actions.json")).await.unwrap_err();
        assert!(missing.is_missing(), "{missing}");
        // `..` is a name like any other here, and never a way out.
        assert!(artifacts.read(wanted("public/..")).await.is_err());
    }
}
