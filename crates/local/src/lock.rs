//! A data directory has one server at a time: the second one learns who the first one is.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

const FILE: &str = "lock";

/// Who holds a data directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The server's process.
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
    file: File,
}

impl DataDir {
    /// Makes the directory where there is none, for its owner only, and takes it.
    pub(crate) fn take(path: &Path) -> Result<Self, LockError> {
        let failed = |source| LockError::Directory { path: path.to_owned(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
        // An absolute path stays right when the process goes elsewhere.
        let path = fs::canonicalize(path).map_err(failed)?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut file = options.open(path.join(FILE)).map_err(failed)?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            let mut text = String::new();
            let read = file.read_to_string(&mut text);
            let holder = read.ok().and_then(|_| serde_json::from_str(&text).ok());
            return Err(LockError::Held { path, holder });
        }
        let mut taken = Self { path, file };
        taken.tell(None).map_err(failed)?;
        Ok(taken)
    }

    /// Where it is, absolute.
    #[must_use]
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Tells whoever comes next where this server listens.
    pub(crate) fn tell(&mut self, address: Option<String>) -> io::Result<()> {
        let holder = Holder { pid: std::process::id(), address };
        self.file.set_len(0)?;
        self.file.rewind()?;
        self.file.write_all(serde_json::to_string(&holder)?.as_bytes())
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
