//! Paths that a payload or an archive gives: they stay in the directory they are meant for.

use std::fmt;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

/// A path below some directory: not empty, not absolute, without `..`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RelativePath(PathBuf);

/// A path that leads, or could lead, out of its directory.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnsafePath {
    /// Absolute, empty, or with `..` or a NUL.
    #[error("{0:?} is not a path inside the task's directory (no absolute paths, no `..`)")]
    NotInside(String),
    /// A symbolic link on the way points out of the directory.
    #[error("{} leads out of the task's directory, to {}", .path.display(), .target.display())]
    Escapes {
        /// The path as asked for.
        path: PathBuf,
        /// Where it leads.
        target: PathBuf,
    },
    /// The path could not be followed.
    #[error("{}: {source}", .path.display())]
    Unreadable {
        /// The path as asked for.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl UnsafePath {
    /// Whether there simply is nothing at the path.
    pub(crate) fn is_missing(&self) -> bool {
        matches!(self, Self::Unreadable { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

impl RelativePath {
    /// Reads a path with `/` between its parts; `.` parts are dropped, so that `.` is the directory itself.
    ///
    /// # Errors
    /// [`UnsafePath::NotInside`].
    pub(crate) fn parse(text: &str) -> Result<Self, UnsafePath> {
        let refused = || UnsafePath::NotInside(text.chars().take(200).collect());
        if text.is_empty() || text.contains('\0') {
            return Err(refused());
        }
        let mut path = PathBuf::new();
        for component in Path::new(text).components() {
            match component {
                Component::Normal(part) => path.push(part),
                Component::CurDir => {}
                Component::ParentDir | Component::RootDir | Component::Prefix(_) => return Err(refused()),
            }
        }
        Ok(Self(path))
    }

    /// The path below `directory`, without looking at the file system.
    pub(crate) fn under(&self, directory: &Path) -> PathBuf {
        directory.join(&self.0)
    }

    /// Whether this is the directory itself.
    pub(crate) fn is_whole(&self) -> bool {
        self.0.as_os_str().is_empty()
    }
}

impl fmt::Display for RelativePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_whole() { f.write_str(".") } else { write!(f, "{}", self.0.display()) }
    }
}

/// Follows `path` to what it really is, and checks that this is inside `directory`.
///
/// # Errors
/// [`UnsafePath::Escapes`], or [`UnsafePath::Unreadable`] where nothing is there.
pub(crate) fn resolve_inside(directory: &Path, path: &Path) -> Result<PathBuf, UnsafePath> {
    let follow =
        |path: &Path| path.canonicalize().map_err(|source| UnsafePath::Unreadable { path: path.to_owned(), source });
    let root = follow(directory)?;
    let target = follow(path)?;
    if target.starts_with(&root) { Ok(target) } else { Err(UnsafePath::Escapes { path: path.to_owned(), target }) }
}

/// Makes the directories above `path` and checks that they are inside `directory`, whatever links lie on the way.
///
/// # Errors
/// As [`resolve_inside`], and when a directory can't be made.
pub(crate) fn make_parents(directory: &Path, path: &Path) -> Result<(), UnsafePath> {
    let Some(parent) = path.parent() else { return Ok(()) };
    // The deepest directory that is there decides whether anything may be made below it.
    let existing = parent.ancestors().find(|ancestor| ancestor.symlink_metadata().is_ok()).unwrap_or(directory);
    resolve_inside(directory, existing)?;
    std::fs::create_dir_all(parent).map_err(|source| UnsafePath::Unreadable { path: parent.to_owned(), source })
}

/// Whether a link at `link` (a path relative to a directory) to `target` stays in that directory, by its text alone.
pub(crate) fn link_stays_inside(link: &Path, target: &Path) -> bool {
    let mut depth = link.components().count().saturating_sub(1);
    for component in target.components() {
        match component {
            Component::Normal(_) => depth += 1,
            Component::CurDir => {}
            Component::ParentDir if depth > 0 => depth -= 1,
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return false,
        }
    }
    true
}

/// How often a tree is removed again that still grows: a thread that unpacked into it may not have noticed yet.
const REMOVALS: usize = 20;

/// Removes a directory and all below it, also what a task has made unwritable. Blocking.
///
/// # Errors
/// What the file system says; nothing there is no error.
pub(crate) fn remove_tree(directory: &Path) -> io::Result<()> {
    let mut tries = REMOVALS;
    loop {
        match std::fs::remove_dir_all(directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied && tries > 0 => make_writable(directory)?,
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty && tries > 0 => {
                std::thread::sleep(Duration::from_millis(10));
            }
            other => return other,
        }
        tries -= 1;
    }
}

fn make_writable(directory: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let mut waiting = vec![directory.to_owned()];
    while let Some(directory) = waiting.pop() {
        std::fs::set_permissions(&directory, std::fs::Permissions::from_mode(0o700))?;
        for entry in std::fs::read_dir(&directory)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                waiting.push(entry.path());
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn only_paths_inside_are_paths() {
        for text in ["a", "a/b", "./a", "a/./b", "a//b", ".", "..a", "a/..b"] {
            assert!(RelativePath::parse(text).is_ok(), "{text}");
        }
        for text in ["", "/", "/a", "..", "a/..", "a/../b", "../a", "a\0"] {
            assert!(RelativePath::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn links_are_followed_only_inside() {
        let root = tempfile::tempdir().unwrap();
        let (task, outside) = (root.path().join("task"), root.path().join("outside"));
        std::fs::create_dir(&task).unwrap();
        std::fs::create_dir(&outside).unwrap();
        std::fs::write(outside.join("secret"), "s").unwrap();
        std::fs::write(task.join("mine"), "m").unwrap();
        symlink(&outside, task.join("out")).unwrap();
        symlink("mine", task.join("alias")).unwrap();

        assert!(resolve_inside(&task, &task.join("alias")).unwrap().ends_with("mine"));
        assert!(matches!(resolve_inside(&task, &task.join("out/secret")), Err(UnsafePath::Escapes { .. })));
        assert!(resolve_inside(&task, &task.join("none")).unwrap_err().is_missing());
        assert!(make_parents(&task, &task.join("x/y/z")).is_ok());
        assert!(make_parents(&task, &task.join("out/y/z")).is_err());
        assert!(!outside.join("y").exists());
        symlink(root.path().join("nowhere"), task.join("dangling")).unwrap();
        assert!(make_parents(&task, &task.join("dangling/z")).is_err());
    }

    #[test]
    fn a_links_text_tells_whether_it_stays() {
        for (link, target, stays) in [
            ("a", "b", true),
            ("a/b", "../c", true),
            ("a", "../c", false),
            ("a/b", "../../c", false),
            ("a/b", "c/../../d", true),
            ("a", "/etc", false),
        ] {
            assert_eq!(link_stays_inside(Path::new(link), Path::new(target)), stays, "{link} -> {target}");
        }
    }

    #[test]
    fn unwritable_directories_are_removed_too() {
        use std::os::unix::fs::PermissionsExt as _;
        let root = tempfile::tempdir().unwrap();
        let inner = root.path().join("a/b");
        std::fs::create_dir_all(&inner).unwrap();
        std::fs::write(inner.join("f"), "").unwrap();
        std::fs::set_permissions(&inner, std::fs::Permissions::from_mode(0o500)).unwrap();
        remove_tree(&root.path().join("a")).unwrap();
        assert!(!root.path().join("a").exists());
        remove_tree(&root.path().join("a")).unwrap();
    }
}
