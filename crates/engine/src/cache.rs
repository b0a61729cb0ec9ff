//! A private directory of downloaded artifacts, and files as memory.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use taskgraft_core::ids::TaskId;
use tempfile::NamedTempFile;

/// When the cache is opened, the files that were longest unused go until it has no more bytes than this.
const MAX_BYTES: u64 = 2 << 30;
/// What a download left behind that died goes after this long.
const MAX_PART_AGE: Duration = Duration::from_secs(24 * 60 * 60);
const PART: &str = ".part-";

/// A directory that only this user can read. What is in it never changes: files arrive by rename and are only
/// removed.
#[derive(Debug, Clone)]
pub struct Cache {
    dir: PathBuf,
}

impl Cache {
    /// The cache in `dir`, made if it isn't there, and tidied.
    ///
    /// # Errors
    /// If the directory can't be made or listed.
    pub fn open(dir: &Path) -> io::Result<Self> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(dir)?;
        tidy(dir, MAX_BYTES)?;
        Ok(Self { dir: dir.to_owned() })
    }

    /// Where an artifact of a resolved run is kept. Runs that may still change are not cached.
    pub(crate) fn entry(&self, task: TaskId, run: u16, name: &str) -> PathBuf {
        self.dir.join(format!("{task}.{run}.{}", name.replace(['/', '\\'], "_")))
    }

    /// An empty file to download into; it is gone when dropped, unless it is kept.
    pub(crate) fn scratch(&self) -> io::Result<NamedTempFile> {
        NamedTempFile::with_prefix_in(PART, &self.dir)
    }

    /// The gunzipped contents of `packed` in a file of its own, at most `max` bytes.
    pub(crate) fn gunzip(&self, packed: &Path, max: u64) -> io::Result<NamedTempFile> {
        let mut plain = self.scratch()?;
        let decoder = MultiGzDecoder::new(io::BufReader::with_capacity(1 << 16, File::open(packed)?));
        // One byte more than is allowed tells too large from just right.
        let length = io::copy(&mut decoder.take(max.saturating_add(1)), &mut plain)?;
        if length > max {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("larger than {max} bytes")));
        }
        plain.flush()?;
        Ok(plain)
    }
}

/// Removes leftovers, then the oldest files until `max` bytes are left. A file that somebody has mapped stays readable to
/// them; one that another process removed first is no loss.
fn tidy(dir: &Path, max: u64) -> io::Result<()> {
    let mut kept = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
        let age = metadata.modified().ok().and_then(|at| at.elapsed().ok()).unwrap_or_default();
        let is_part = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PART));
        match (metadata.is_file(), is_part) {
            (true, true) if age > MAX_PART_AGE => drop(fs::remove_file(&path)),
            (true, false) => kept.push((age, metadata.len(), path)),
            (true, true) | (false, _) => {}
        }
    }
    kept.sort_unstable();
    let mut bytes = 0_u64;
    for (_, length, path) in kept {
        bytes = bytes.saturating_add(length);
        if bytes > max {
            drop(fs::remove_file(&path));
        }
    }
    Ok(())
}

/// A file's contents without copying them: its pages are the page cache's own.
///
/// # Errors
/// If it can't be opened, is no regular file, or is larger than `max` bytes.
pub(crate) fn map(path: &Path, max: u64) -> io::Result<Bytes> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    match metadata.len() {
        0 => Ok(Bytes::new()),
        length if length > max => Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("larger than {max} bytes"))),
        _ => {
            // All of a graph is looked at once, to find where its tasks stand: mapping its pages in one go takes half as
            // long as one fault after the other.
            // SAFETY: files of the cache are private to this user, arrive whole by rename and are never written or
            // truncated afterwards. A graph that the user names (--graph, --artifacts) is theirs to leave alone while
            // it is read: truncating it ends this process (SIGBUS), before anything was created.
            #[expect(unsafe_code, reason = "a graph of some hundred megabytes is parsed here and there only")]
            let map = unsafe { memmap2::MmapOptions::new().populate().map(&file) }?;
            Ok(Bytes::from_owner(map))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;

    fn packed(dir: &Path, contents: &[u8]) -> PathBuf {
        let path = dir.join("packed");
        let mut encoder = GzEncoder::new(File::create(&path).unwrap(), Compression::fast());
        encoder.write_all(contents).unwrap();
        encoder.finish().unwrap();
        path
    }

    #[test]
    fn gzip_is_undone_up_to_the_bound() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(&dir.path().join("cache")).unwrap();
        let packed = packed(dir.path(), &[b'x'; 1000]);
        let plain = cache.gunzip(&packed, 1000).unwrap();
        assert_eq!(map(plain.path(), 1000).unwrap(), vec![b'x'; 1000]);
        assert_eq!(cache.gunzip(&packed, 999).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        assert!(cache.gunzip(plain.path(), 1000).is_err(), "not gzip");
    }

    #[test]
    fn the_oldest_files_go_first() {
        let dir = tempfile::tempdir().unwrap();
        let hour = Duration::from_secs(3600);
        for (name, age) in [("new", 0), ("older", 1), ("oldest", 2), (".part-new", 1), (".part-old", 25)] {
            let file = File::create(dir.path().join(name)).unwrap();
            file.set_len(10).unwrap();
            file.set_modified(std::time::SystemTime::now() - hour * age).unwrap();
        }
        tidy(dir.path(), 20).unwrap();
        let mut left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort_unstable();
        assert_eq!(left, [".part-new", "new", "older"]);
    }

    #[test]
    fn a_mapped_file_outlives_its_name_and_is_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        fs::write(&path, b"abc").unwrap();
        assert!(map(&path, 2).is_err());
        let bytes = map(&path, 3).unwrap();
        fs::remove_file(&path).unwrap();
        assert_eq!(&bytes[..], b"abc");
        assert!(map(dir.path(), 10).is_err(), "a directory");
    }

    #[cfg(unix)]
    #[test]
    fn only_the_user_can_read_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        Cache::open(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
    }
}
