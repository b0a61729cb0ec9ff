//! A copy of everything in one file, made while the server runs.
//!
//! The file is a tar archive of a data directory: a snapshot of the database, the artifacts that it names, and the root
//! credentials. Unpacked into an empty directory it is a data directory again. It holds secrets, so it is made readable
//! by its owner only. What else is kept in databases, as by a service beside the server, comes along.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use crate::auth::ROOT_CREDENTIALS;
use crate::queue::ARTIFACTS;
use crate::server::DATABASE;

/// What went into a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backup {
    /// How many artifacts.
    pub artifacts: u64,
    /// How many artifacts expired while it was made, and are not in it.
    pub gone: u64,
    /// The size of the file in bytes.
    pub bytes: u64,
}

/// Why there is no backup.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The data directory holds no database.
    #[error("{0} is no data directory")]
    NoData(PathBuf),
    /// The file exists; it is not overwritten.
    #[error("{0} exists already")]
    Exists(PathBuf),
    /// Reading or writing failed.
    #[error("failed to write {path}")]
    File {
        /// The backup's file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The database refused.
    #[error("failed to read the database")]
    Database(#[from] rusqlite::Error),
}

/// Copies a data directory to a file, whether a server is using it or not. `also` are further databases, and
/// what they are called in the copy, relative to the data directory; those that aren't there are left out. Blocks.
///
/// # Errors
/// If there is no database, the file exists, or something can't be read or written.
pub fn backup(data_dir: &Path, also: &[(&Path, &Path)], file: &Path) -> Result<Backup, BackupError> {
    if !data_dir.join(DATABASE).is_file() {
        return Err(BackupError::NoData(data_dir.to_owned()));
    }
    if file.exists() {
        return Err(BackupError::Exists(file.to_owned()));
    }
    let failed = |source| BackupError::File { path: file.to_owned(), source };
    let beside = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let scratch = tempfile::tempdir_in(beside).map_err(failed)?;
    // First, since what a service says of tasks is true from then on: it then names none that the server's snapshot lacks.
    let mut snapshots = Vec::new();
    for (n, (path, name)) in also.iter().enumerate().filter(|(_, (path, _))| path.is_file()) {
        let snapshot = scratch.path().join(n.to_string());
        take_snapshot(path, &snapshot)?;
        snapshots.push((*name, snapshot));
    }
    let snapshot = scratch.path().join(DATABASE);
    let named = artifacts_of(&take_snapshot(&data_dir.join(DATABASE), &snapshot)?)?;
    snapshots.push((Path::new(DATABASE), snapshot));
    let half = scratch.path().join("backup.tar");
    let mut made = pack(data_dir, &snapshots, &named, &half).map_err(failed)?;
    made.bytes = fs::metadata(&half).map_err(failed)?.len();
    // A link, unlike a rename, does not replace a file that has come into being meanwhile.
    fs::hard_link(&half, file).map_err(failed)?;
    Ok(made)
}

/// Copies a database as it is at one moment, and returns the copy.
fn take_snapshot(from: &Path, to: &Path) -> Result<Connection, BackupError> {
    let source = Connection::open_with_flags(from, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    source.busy_timeout(std::time::Duration::from_secs(10))?;
    // Unpacked, it is its owner's only again.
    let made = OpenOptions::new().create_new(true).write(true).mode(0o600).open(to);
    made.map_err(|source| BackupError::File { path: to.to_owned(), source })?;
    let mut copy = Connection::open(to)?;
    // All pages in one step: what writers do meanwhile goes to the write-ahead log, and would make it start again.
    rusqlite::backup::Backup::new(&source, &mut copy)?.step(-1)?;
    Ok(copy)
}

/// The names of the artifacts' files.
fn artifacts_of(copy: &Connection) -> Result<Vec<String>, BackupError> {
    let mut statement = copy.prepare("SELECT file FROM artifacts WHERE file IS NOT NULL ORDER BY file")?;
    let files = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok(files)
}

/// `snapshots`: databases by their paths in the data directory, and their copies.
fn pack(data_dir: &Path, snapshots: &[(&Path, PathBuf)], artifacts: &[String], to: &Path) -> io::Result<Backup> {
    let file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(to)?;
    let mut archive = tar::Builder::new(io::BufWriter::new(file));
    for (path, snapshot) in snapshots {
        archive.append_path_with_name(snapshot, path)?;
    }
    archive.append_path_with_name(data_dir.join(ROOT_CREDENTIALS), ROOT_CREDENTIALS)?;
    let mut made = Backup { artifacts: 0, gone: 0, bytes: 0 };
    for name in artifacts {
        match File::open(data_dir.join(ARTIFACTS).join(name)) {
            Ok(mut artifact) => {
                archive.append_file(Path::new(ARTIFACTS).join(name), &mut artifact)?;
                made.artifacts += 1;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => made.gone += 1,
            Err(error) => return Err(error),
        }
    }
    archive.into_inner()?.into_inner()?.sync_all()?;
    Ok(made)
}
