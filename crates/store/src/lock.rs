//! A lock file: one process at a time has what it stands for, and the next one learns who that is.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

/// Who holds a lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The process.
    pub pid: u32,
    /// Where it listens; unknown while it starts.
    pub address: Option<String>,
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "process {}", self.pid)?;
        self.address.as_ref().map_or(Ok(()), |address| write!(f, ", listening on {address}"))
    }
}

/// Why a lock can't be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another has it.
    #[error("it is in use by {}", .0.as_ref().map_or_else(|| "another process".to_owned(), ToString::to_string))]
    Held(Option<Holder>),
    /// The file can't be made or used.
    #[error("failed to use {path}: {error}")]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// A lock that is ours until this is dropped, however the process ends.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Lock {
    /// Takes the lock that the file stands for; it is made, for its owner only, if there is none, and stays.
    ///
    /// # Errors
    /// If another has it, or the file can't be made or used.
    pub fn take(path: &Path) -> Result<Self, LockError> {
        let failed = |error| LockError::File { path: path.to_owned(), error };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut file = options.open(path).map_err(failed)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                let mut text = String::new();
                let read = file.read_to_string(&mut text);
                return Err(LockError::Held(read.ok().and_then(|_| serde_json::from_str(&text).ok())));
            }
            // A file system without locks, for one.
            Err(error) => return Err(failed(error.into())),
        }
        let mut taken = Self { file };
        taken.tell(None).map_err(failed)?;
        Ok(taken)
    }

    /// Tells whoever comes next where we listen.
    ///
    /// # Errors
    /// If that can't be written.
    pub fn tell(&mut self, address: Option<String>) -> io::Result<()> {
        let holder = Holder { pid: std::process::id(), address };
        self.file.set_len(0)?;
        self.file.rewind()?;
        self.file.write_all(serde_json::to_string(&holder)?.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_learns_who_the_first_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let mut first = Lock::take(&path).unwrap();
        first.tell(Some("127.0.0.1:8080".to_owned())).unwrap();
        let error = Lock::take(&path).unwrap_err().to_string();
        assert_eq!(error, format!("it is in use by process {}, listening on 127.0.0.1:8080", std::process::id()));
        drop(first);
        Lock::take(&path).unwrap();
    }
}
