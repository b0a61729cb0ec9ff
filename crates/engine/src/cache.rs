//! A private directory of downloaded artifacts, and files as memory.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use memmap2::Mmap;
use ring::digest::{SHA256, digest};
use taskgraft_core::ids::TaskId;
use tempfile::NamedTempFile;

use crate::memory::Memory;
use crate::push::{Left, Run};

/// The files that were longest unused go until a cache has no more bytes than this.
const MAX_BYTES: u64 = 2 << 30;
/// What a download left behind that died goes after this long.
const MAX_PART_AGE: Duration = Duration::from_secs(24 * 60 * 60);
/// Smaller files are mapped faster than a thread is started.
const READ_AHEAD_FROM: usize = 8 << 20;
const PART: &str = ".part-";
/// What a file's name is followed by in the name of its digest.
const DIGEST: &str = ".sha256";

/// A directory that only this user can read. What is in it never changes: files arrive by rename and are only
/// removed.
#[derive(Debug, Clone)]
pub struct Cache {
    dir: PathBuf,
    max: u64,
    /// What was read of it, where this process lives on.
    memory: Option<Arc<Memory<Run, Left>>>,
}

impl Cache {
    /// The cache in `dir`, made if it isn't there, and tidied.
    ///
    /// # Errors
    /// If the directory can't be made or listed.
    pub fn open(dir: &Path) -> io::Result<Self> {
        Self::within(dir, MAX_BYTES, None)
    }

    /// The same for a process that lives on: at most `disk` bytes are kept in the directory, also while it runs, and of
    /// what decision tasks left as much is kept read as takes about `memory` bytes of memory. A file that another process
    /// left is used only if it is what its digest says.
    ///
    /// # Errors
    /// If the directory can't be made or listed.
    pub fn remembering(dir: &Path, disk: u64, memory: u64) -> io::Result<Self> {
        Self::within(dir, disk, Some(Arc::new(Memory::new(memory).growing(Left::memory))))
    }

    fn within(dir: &Path, max: u64, memory: Option<Arc<Memory<Run, Left>>>) -> io::Result<Self> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(dir)?;
        tidy(dir, max)?;
        Ok(Self { dir: dir.to_owned(), max, memory })
    }

    /// How often a push was there, read, and how often it had to be read.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        self.memory().map_or((0, 0), Memory::counts)
    }

    pub(crate) fn memory(&self) -> Option<&Memory<Run, Left>> {
        self.memory.as_deref()
    }

    /// The contents of an entry, if it is there and, where that is checked, whole.
    pub(crate) fn kept(&self, entry: &Path, max: u64) -> Option<Bytes> {
        let bytes = map(entry, max).ok()?;
        if self.memory.is_some() && fs::read(digest_of(entry)).ok()? != digest(&SHA256, &bytes).as_ref() {
            tracing::warn!(file = %entry.display(), "a cached artifact is not what it was: fetching it again");
            return None;
        }
        // So that what is used is not what goes first. That it can't be noted is no loss.
        let used = |path: &Path| File::open(path).and_then(|file| file.set_modified(SystemTime::now()));
        let _ = used(entry).and_then(|()| used(&digest_of(entry)));
        Some(bytes)
    }

    /// Keeps `file`, which holds `bytes`, as an entry.
    pub(crate) fn keep(&self, entry: &Path, file: NamedTempFile, bytes: &Bytes) -> io::Result<()> {
        if self.memory.is_some() {
            let mut check = self.scratch()?;
            check.write_all(digest(&SHA256, bytes).as_ref())?;
            check.persist(digest_of(entry)).map_err(|error| error.error)?;
        }
        file.persist(entry).map_err(|error| error.error)?;
        if self.memory.is_some() { tidy(&self.dir, self.max) } else { Ok(()) }
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

fn digest_of(entry: &Path) -> PathBuf {
    let mut path = entry.as_os_str().to_owned();
    path.push(DIGEST);
    path.into()
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

/// A file's contents without copying them: its pages are the page cache's own. A pipe's are copied into a file first.
///
/// # Errors
/// If it can't be opened, is neither a regular file nor a pipe, or is larger than `max` bytes.
pub(crate) fn map(path: &Path, max: u64) -> io::Result<Bytes> {
    let mut file = File::open(path)?;
    if is_pipe(&file.metadata()?) {
        let mut copy = tempfile::tempfile()?;
        // One byte more than is allowed tells too large from just right.
        io::copy(&mut file.take(max.saturating_add(1)), &mut copy)?;
        file = copy;
    }
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a file"));
    }
    match metadata.len() {
        0 => Ok(Bytes::new()),
        length if length > max => Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("larger than {max} bytes"))),
        _ => {
            // SAFETY: files of the cache are private to this user, arrive whole by rename and are never written or
            // truncated afterwards. A graph that the user names (--graph, --artifacts) is theirs to leave alone while
            // it is read: truncating it ends this process (SIGBUS), before anything was created. A pipe's
            // copy has no name.
            #[expect(unsafe_code, reason = "a graph of some hundred megabytes is parsed here and there only")]
            let map = unsafe { memmap2::Mmap::map(&file) }?;
            let map = Arc::new(map);
            read_ahead(&map);
            Ok(Bytes::from_owner(Mapped(map)))
        }
    }
}

#[cfg(unix)]
fn is_pipe(metadata: &fs::Metadata) -> bool {
    std::os::unix::fs::FileTypeExt::is_fifo(&metadata.file_type())
}

#[cfg(not(unix))]
fn is_pipe(_metadata: &fs::Metadata) -> bool {
    false
}

/// A mapped file as bytes.
struct Mapped(Arc<Mmap>);

impl AsRef<[u8]> for Mapped {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// Maps all pages of a large file while somebody already looks at the first ones. All of a graph is looked at once, to
/// find where its tasks stand: one fault after the other would take longer than looking.
fn read_ahead(map: &Arc<Mmap>) {
    if map.len() < READ_AHEAD_FROM {
        return;
    }
    let map = Arc::clone(map);
    // Without a thread, or where the kernel doesn't know the advice, pages are mapped as they are looked at.
    #[cfg(target_os = "linux")]
    drop(std::thread::Builder::new().spawn(move || map.advise(memmap2::Advice::PopulateRead)));
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
    fn what_is_not_what_it_was_is_not_used() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::remembering(dir.path(), 1000, 1000).unwrap();
        let entry = cache.entry(TaskId::from_bytes([1; 16]), 0, "public/a.json");
        let keep = |contents: &'static [u8]| {
            let mut file = cache.scratch().unwrap();
            file.write_all(contents).unwrap();
            cache.keep(&entry, file, &Bytes::from_static(contents)).unwrap();
        };
        keep(b"right");
        assert_eq!(cache.kept(&entry, 10).unwrap(), "right");
        fs::write(&entry, b"wrong").unwrap();
        assert!(cache.kept(&entry, 10).is_none());
        keep(b"right");
        fs::remove_file(digest_of(&entry)).unwrap();
        assert!(cache.kept(&entry, 10).is_none(), "nobody says what it was");
        assert_eq!(
            Cache::open(dir.path()).unwrap().kept(&entry, 10).unwrap(),
            "right",
            "for a command that reads it once"
        );
    }

    #[test]
    fn what_may_be_kept_is_there_when_it_is_opened_again() {
        let dir = tempfile::tempdir().unwrap();
        let large = dir.path().join("large");
        // Nothing but its length is written.
        File::create(&large).unwrap().set_len(MAX_BYTES + 1).unwrap();
        Cache::remembering(dir.path(), MAX_BYTES + 1, 0).unwrap();
        assert!(large.exists(), "the bound is the one that was given");
        Cache::open(dir.path()).unwrap();
        assert!(!large.exists());
    }

    #[test]
    fn while_it_runs_it_keeps_within_its_bound() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::remembering(dir.path(), 200, 1000).unwrap();
        for n in 0..5 {
            let mut file = cache.scratch().unwrap();
            file.write_all(&[n; 100]).unwrap();
            let entry = cache.entry(TaskId::from_bytes([n; 16]), 0, "public/a.json");
            cache.keep(&entry, file, &Bytes::from(vec![n; 100])).unwrap();
            let bytes: u64 =
                fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
            assert!(bytes <= 200, "{bytes}");
        }
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
    fn a_pipe_is_read_to_its_end_within_the_bound() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        for (max, is_read) in [(3, true), (2, false)] {
            std::thread::scope(|scope| {
                scope.spawn(|| fs::write(&path, b"abc").unwrap());
                assert_eq!(map(&path, max).is_ok_and(|bytes| bytes == "abc"), is_read);
            });
        }
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
