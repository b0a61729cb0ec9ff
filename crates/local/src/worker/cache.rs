//! Directories that outlive a task: moved into the task's directory, and back when it ends.

use std::io;
use std::path::{Path, PathBuf};

use ring::digest::{SHA256, digest};

use super::paths::remove_tree;

/// The caches of one worker, on the file system that its tasks run on.
#[derive(Debug, Clone)]
pub(crate) struct Caches {
    root: PathBuf,
}

/// A cache in use by a task.
#[derive(Debug)]
pub(crate) struct Borrowed {
    kept: PathBuf,
    place: PathBuf,
}

impl Caches {
    pub(crate) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// Moves the cache of that name to `place`, where nothing is yet. Where there is none, or another task has it,
    /// makes an empty directory. Returns whether it is new, too.
    pub(crate) fn borrow(&self, name: &str, place: &Path) -> io::Result<(Borrowed, bool)> {
        // A name may be anything; its hash is a file name.
        let hash: String = digest(&SHA256, name.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        let borrowed = Borrowed { kept: self.root.join(hash), place: place.to_owned() };
        match std::fs::rename(&borrowed.kept, place) {
            Ok(()) => Ok((borrowed, false)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                std::fs::create_dir(place)?;
                Ok((borrowed, true))
            }
            Err(error) => Err(error),
        }
    }
}

impl Borrowed {
    /// Keeps the directory for the next task. If another task gave one of the same name back first, that one stays.
    pub(crate) fn give_back(self) -> io::Result<()> {
        if !self.place.symlink_metadata()?.is_dir() {
            return Err(io::Error::other("the task replaced the cache by something that is no directory"));
        }
        if let Some(root) = self.kept.parent() {
            std::fs::create_dir_all(root)?;
        }
        match std::fs::rename(&self.place, &self.kept) {
            Err(error) if matches!(error.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists) => {
                remove_tree(&self.place)
            }
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_comes_back_with_what_the_last_task_left_in_it() {
        let root = tempfile::tempdir().unwrap();
        let caches = Caches::new(root.path().join("caches"));
        let place = |name: &str| root.path().join(name);

        let (first, new) = caches.borrow("../odd/name", &place("1")).unwrap();
        assert!(new);
        std::fs::write(place("1").join("f"), "kept").unwrap();
        let (meanwhile, new) = caches.borrow("../odd/name", &place("2")).unwrap();
        assert!(new, "a cache in use is not shared");
        std::fs::write(place("2").join("f"), "lost").unwrap();
        first.give_back().unwrap();
        meanwhile.give_back().unwrap();
        assert!(!place("1").exists() && !place("2").exists());

        let (_again, new) = caches.borrow("../odd/name", &place("3")).unwrap();
        assert!(!new);
        assert_eq!(std::fs::read_to_string(place("3").join("f")).unwrap(), "kept");
    }

    #[test]
    fn a_link_is_never_kept_as_a_cache() {
        let root = tempfile::tempdir().unwrap();
        let caches = Caches::new(root.path().join("caches"));
        let place = root.path().join("1");
        let (borrowed, _) = caches.borrow("c", &place).unwrap();
        std::fs::remove_dir(&place).unwrap();
        std::os::unix::fs::symlink("/etc", &place).unwrap();
        assert!(borrowed.give_back().is_err());
    }
}
