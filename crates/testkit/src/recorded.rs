//! Recordings of the reference at work, where `../shared` is beside the workspace, and the made-up index and queue
//! that they were recorded against.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use taskgraft_core::ids::TaskId;
use taskgraft_core::optimize::Status;
use taskgraft_core::state::TaskState;

/// The workspace's directory.
#[must_use]
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The folder with the recordings; none, with a line that says so, where it isn't there.
#[must_use]
pub fn shared() -> Option<PathBuf> {
    let shared = workspace().join("../shared");
    if shared.is_dir() {
        return Some(shared);
    }
    let thread = std::thread::current();
    // Not `eprintln!`: of a test that passes, nobody sees what that prints.
    let _ = writeln!(std::io::stderr(), "not run: {}: ../shared is not here", thread.name().unwrap_or("a test"));
    None
}

/// A recording's files, unpacked once into the target directory; none where there are no recordings.
///
/// # Panics
///
/// The recording is there and can't be unpacked.
#[must_use]
pub fn unpacked(name: &str) -> Option<PathBuf> {
    let archive = shared()?.join(format!("data/{name}.tar.zst"));
    let size = std::fs::metadata(&archive).map_or(0, |metadata| metadata.len());
    let target = workspace().join(format!("target/recorded/{name}-{size}"));
    if target.is_dir() {
        return Some(target);
    }
    let parent = workspace().join("target/recorded");
    std::fs::create_dir_all(&parent).unwrap_or_else(|error| panic!("{}: {error}", parent.display()));
    let part = tempfile::tempdir_in(&parent).unwrap_or_else(|error| panic!("{}: {error}", parent.display()));
    let tar = Command::new("tar").arg("--zstd").arg("-xf").arg(&archive).arg("-C").arg(part.path()).status();
    assert!(tar.is_ok_and(|status| status.success()), "can't unpack {}", archive.display());
    // Another test may have been faster: then its copy is taken, and this one goes with `part`.
    let renamed = std::fs::rename(part.path(), &target);
    assert!(renamed.is_ok() || target.is_dir(), "can't keep {}", target.display());
    Some(target)
}

/// What the index of a recording holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IndexMode {
    /// Nothing.
    Empty,
    /// Half of all paths.
    Half,
}

/// The id that recordings derive from a text.
#[must_use]
pub fn id_of(text: &str) -> TaskId {
    let digest = digest(&SHA256, text.as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest.as_ref()[..16]);
    bytes[0] &= 0x7f;
    let id = URL_SAFE_NO_PAD.encode(bytes);
    id.parse().unwrap_or_else(|error| panic!("{id}: {error}"))
}

/// The task at an index path.
#[must_use]
pub fn indexed(mode: IndexMode, path: &str) -> Option<TaskId> {
    let is_even = digest(&SHA256, path.as_bytes()).as_ref()[0].is_multiple_of(2);
    (mode == IndexMode::Half && is_even).then(|| id_of(path))
}

/// The status of an indexed task.
#[must_use]
pub fn status(task_id: TaskId) -> Status {
    let kind = digest(&SHA256, task_id.as_str().as_bytes()).as_ref()[1] % 8;
    let year = if kind == 1 { "2020" } else { "2099" };
    let expires = format!("{year}-01-01T00:00:00.000Z");
    Status {
        state: if kind == 0 { TaskState::Failed } else { TaskState::Completed },
        expires: expires.parse().unwrap_or_else(|error| panic!("{expires}: {error}")),
    }
}
