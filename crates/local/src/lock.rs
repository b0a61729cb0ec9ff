//! A data directory has one server at a time: the second one learns who the first one is.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

pub use taskgraft_store::Holder;
use taskgraft_store::Lock;

const FILE: &str = "lock";

/// Why a data directory can't be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another server has it.
    #[error("{path} is in use by {}", .holder.as_ref().map_or_else(|| "another server".to_owned(), ToString::to_string))]
    Held {
        /// Which directory.
        path: PathBuf,
        /// By whom, if it said so.
        holder: Option<Holder>,
    },
    /// The directory, or the file in it, can't be made or used.
    #[error("failed to use {path} as a data directory")]
    Directory {
        /// Which directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Whether a server could have this data directory now; it is made if there is none.
///
/// # Errors
/// If another has it, or it can't be used.
pub fn check_free(path: &Path) -> Result<(), LockError> {
    DataDir::take(path).map(drop)
}

/// A data directory that is ours until this is dropped, however the process ends.
#[derive(Debug)]
pub(crate) struct DataDir {
    path: PathBuf,
    lock: Lock,
}

impl DataDir {
    /// Makes the directory where there is none, for its owner only, and takes it.
    pub(crate) fn take(path: &Path) -> Result<Self, LockError> {
        let failed = |source| LockError::Directory { path: path.to_owned(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
        // An absolute path stays right when the process goes elsewhere.
        let path = fs::canonicalize(path).map_err(failed)?;
        match Lock::take(&path.join(FILE)) {
            Ok(lock) => Ok(Self { path, lock }),
            Err(taskgraft_store::LockError::Held(holder)) => Err(LockError::Held { path, holder }),
            Err(taskgraft_store::LockError::File { error, .. }) => Err(LockError::Directory { path, source: error }),
        }
    }

    /// Where it is, absolute.
    #[must_use]
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Tells whoever comes next where this server listens.
    pub(crate) fn tell(&mut self, address: Option<String>) -> io::Result<()> {
        self.lock.tell(address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn the_second_learns_who_the_first_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data");
        let mut first = DataDir::take(&path).unwrap();
        first.tell(Some("127.0.0.1:8080".to_owned())).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        let error = DataDir::take(&path).unwrap_err();
        let expected = format!(
            "{} is in use by process {}, listening on 127.0.0.1:8080",
            first.path().display(),
            std::process::id()
        );
        assert_eq!(error.to_string(), expected);
        drop(first);
        DataDir::take(&path).unwrap();
    }
}
