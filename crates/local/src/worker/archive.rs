//! Unpacking archives that nobody vouches for: nothing is written outside the destination.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::paths::{RelativePath, link_stays_inside, make_parents};
use super::payload::{ArchiveFormat, FileFormat};

/// The most bytes that one archive may unpack to.
const MAX_UNPACKED_BYTES: u64 = 32 * 1024 * 1024 * 1024;
/// The most entries that one archive may have.
const MAX_ENTRIES: usize = 2_000_000;

/// An archive that is not unpacked, or not to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ArchiveError {
    /// An entry would be written, or points, outside the destination, or is no file, directory or link.
    #[error("the archive's entry {0:?} is refused: {1}")]
    Entry(String, &'static str),
    /// More than this worker unpacks.
    #[error("the archive is too large: {0}")]
    TooLarge(&'static str),
    /// It can't be read as what it is said to be.
    #[error("the archive can't be read: {0}")]
    Io(#[from] io::Error),
    /// It is no zip file.
    #[error("the archive can't be read: {0}")]
    Zip(#[from] zip::result::ZipError),
}

/// Breaks off the unpacking that it was given to, at its next bytes, once this is dropped: a thread that unpacks can't
/// be stopped otherwise, and the task it does it for may be cancelled.
#[derive(Debug, Default)]
pub(crate) struct WhileWanted(Arc<AtomicBool>);

/// What the unpacking thread has of a [`WhileWanted`].
#[derive(Debug, Clone)]
pub(crate) struct Wanted(Arc<AtomicBool>);

impl WhileWanted {
    /// For the thread.
    pub(crate) fn wanted(&self) -> Wanted {
        Wanted(Arc::clone(&self.0))
    }
}

impl Drop for WhileWanted {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Unpacks `archive` into the directory `destination`, which exists. Blocking.
pub(crate) fn unpack(
    archive: &Path,
    format: ArchiveFormat,
    destination: &Path,
    wanted: &Wanted,
) -> Result<(), ArchiveError> {
    let file = BufReader::new(File::open(archive)?);
    match format {
        ArchiveFormat::Tar => untar(file, destination, wanted),
        ArchiveFormat::TarGz => untar(flate2::read::MultiGzDecoder::new(file), destination, wanted),
        ArchiveFormat::TarZst => untar(unzstd(file)?, destination, wanted),
        ArchiveFormat::Zip => unzip(file, destination, wanted),
    }
}

/// Decompresses one file to `destination`, which must not exist. Blocking.
pub(crate) fn decompress(
    file: &Path,
    format: FileFormat,
    destination: &Path,
    wanted: &Wanted,
) -> Result<(), ArchiveError> {
    let file = BufReader::new(File::open(file)?);
    let mut reader: Box<dyn Read> = match format {
        FileFormat::Gz => Box::new(flate2::read::MultiGzDecoder::new(file)),
        FileFormat::Zst => Box::new(unzstd(file)?),
    };
    let mut out = File::create_new(destination)?;
    io::copy(&mut Bounded::new(&mut reader, MAX_UNPACKED_BYTES, wanted), &mut out)?;
    Ok(())
}

fn unzstd(file: impl Read) -> Result<impl Read, ArchiveError> {
    ruzstd::decoding::StreamingDecoder::new(file).map_err(|error| ArchiveError::Io(io::Error::other(error)))
}

/// A reader that fails instead of giving more than so many bytes, or any that nobody wants.
struct Bounded<R> {
    inner: R,
    left: u64,
    wanted: Wanted,
}

impl<R> Bounded<R> {
    fn new(inner: R, left: u64, wanted: &Wanted) -> Self {
        Self { inner, left, wanted: wanted.clone() }
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.wanted.0.load(Ordering::Relaxed) {
            return Err(io::Error::other("it is no longer wanted"));
        }
        let count = self.inner.read(buffer)?;
        match self.left.checked_sub(count as u64) {
            Some(left) => self.left = left,
            None => return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it unpacks to more than 32 GiB")),
        }
        Ok(count)
    }
}

fn untar(reader: impl Read, destination: &Path, wanted: &Wanted) -> Result<(), ArchiveError> {
    let mut archive = tar::Archive::new(Bounded::new(reader, MAX_UNPACKED_BYTES, wanted));
    archive.set_preserve_mtime(true);
    for (n, entry) in archive.entries()?.enumerate() {
        let mut entry = entry?;
        if n >= MAX_ENTRIES {
            return Err(ArchiveError::TooLarge("it has more than 2,000,000 entries"));
        }
        let path = entry.path()?.into_owned();
        let place = check_entry(&path, destination)?;
        let refused = |why| ArchiveError::Entry(path.display().to_string(), why);
        match entry.header().entry_type() {
            kind if kind.is_file() || kind.is_dir() || kind.is_contiguous() || kind.is_gnu_sparse() => {}
            kind if kind.is_symlink() => {
                let target = entry.link_name()?.ok_or_else(|| refused("a link to nowhere"))?;
                if !link_stays_inside(&relative(&path), &target) {
                    return Err(refused("the link points out of the archive"));
                }
            }
            kind if kind.is_hard_link() => {
                // The tar crate resolves the target against the destination and checks that it is inside.
                let target = entry.link_name()?.ok_or_else(|| refused("a link to nowhere"))?;
                check_entry(&target, destination)?;
            }
            kind if kind.is_pax_global_extensions() => continue,
            _ => return Err(refused("it is no file, directory or link")),
        }
        if place.is_whole() {
            continue;
        }
        if !entry.unpack_in(destination)? {
            return Err(refused("its path leads out of the archive"));
        }
    }
    Ok(())
}

fn relative(path: &Path) -> PathBuf {
    path.components().filter(|part| matches!(part, std::path::Component::Normal(_))).collect()
}

/// Checks an entry's path by its text and by the links that earlier entries made on its way.
fn check_entry(path: &Path, destination: &Path) -> Result<RelativePath, ArchiveError> {
    let refused = |why| ArchiveError::Entry(path.display().to_string(), why);
    let text = path.to_str().ok_or_else(|| refused("its path is not UTF-8"))?;
    let place = RelativePath::parse(text).map_err(|_| refused("its path leads out of the archive"))?;
    if !place.is_whole() {
        make_parents(destination, &place.under(destination))
            .map_err(|_| refused("its path leads out of the archive, or through a file"))?;
    }
    Ok(place)
}

fn unzip(file: BufReader<File>, destination: &Path, wanted: &Wanted) -> Result<(), ArchiveError> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut archive = zip::ZipArchive::new(file)?;
    if archive.len() > MAX_ENTRIES {
        return Err(ArchiveError::TooLarge("it has more than 2,000,000 entries"));
    }
    let mut left = MAX_UNPACKED_BYTES;
    for n in 0..archive.len() {
        let mut entry = archive.by_index(n)?;
        let name = entry.name()?.into_owned();
        let place = check_entry(Path::new(&name), destination)?.under(destination);
        if entry.is_dir() {
            std::fs::create_dir_all(&place)?;
            continue;
        }
        if !entry.is_file() {
            return Err(ArchiveError::Entry(name, "a zip's links are not unpacked"));
        }
        let mode = entry.unix_mode().unwrap_or(0o644) & 0o777;
        // `create_new` follows no link, and two entries of one name are a mistake or worse.
        let mut out = File::options().write(true).create_new(true).mode(mode).open(&place)?;
        let mut bounded = Bounded::new(&mut entry, left, wanted);
        io::copy(&mut bounded, &mut out)?;
        left = bounded.left;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    struct Entry<'a>(tar::EntryType, &'a str, &'a str);

    fn tarball(entries: &[Entry<'_>]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for Entry(kind, name, content) in entries {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(*kind);
            header.set_mode(0o755);
            let data = if kind.is_file() { content.as_bytes() } else { b"" };
            header.set_size(data.len() as u64);
            // `set_path` would refuse what an attacker writes.
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            if !kind.is_file() {
                header.as_old_mut().linkname[..content.len()].copy_from_slice(content.as_bytes());
            }
            header.set_cksum();
            builder.append(&header, data).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn unpacked(bytes: &[u8], format: ArchiveFormat) -> (tempfile::TempDir, Result<(), ArchiveError>) {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("archive"), bytes).unwrap();
        let destination = root.path().join("in");
        std::fs::create_dir(&destination).unwrap();
        let whole = WhileWanted::default();
        let result = unpack(&root.path().join("archive"), format, &destination, &whole.wanted());
        (root, result)
    }

    const FILE: tar::EntryType = tar::EntryType::Regular;
    const LINK: tar::EntryType = tar::EntryType::Symlink;

    #[test]
    fn files_directories_and_inner_links_are_unpacked() {
        let tar = tarball(&[
            Entry(tar::EntryType::Directory, "d/", ""),
            Entry(FILE, "./d/a", "hello"),
            Entry(LINK, "d/b", "a"),
            Entry(tar::EntryType::Link, "d/c", "d/a"),
        ]);
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(&tar).unwrap();
        let zst = ruzstd::encoding::compress_to_vec(&tar[..], ruzstd::encoding::CompressionLevel::Fastest);
        let cases =
            [(tar, ArchiveFormat::Tar), (gz.finish().unwrap(), ArchiveFormat::TarGz), (zst, ArchiveFormat::TarZst)];
        for (bytes, format) in cases {
            let (root, result) = unpacked(&bytes, format);
            result.unwrap();
            for name in ["a", "b", "c"] {
                assert_eq!(
                    std::fs::read_to_string(root.path().join("in/d").join(name)).unwrap(),
                    "hello",
                    "{format:?}"
                );
            }
        }
    }

    #[test]
    fn nothing_leaves_the_destination() {
        for entries in [
            &[Entry(FILE, "../x", "x")][..],
            &[Entry(FILE, "/tmp/x", "x")],
            &[Entry(FILE, "a/../../x", "x")],
            &[Entry(LINK, "l", "..")],
            &[Entry(LINK, "l", "/etc")],
            &[Entry(LINK, "a/l", "../../x")],
            &[Entry(tar::EntryType::Link, "l", "../archive")],
            &[Entry(tar::EntryType::Fifo, "f", "")],
            &[Entry(tar::EntryType::Block, "b", "")],
        ] {
            let (root, result) = unpacked(&tarball(entries), ArchiveFormat::Tar);
            assert!(matches!(result, Err(ArchiveError::Entry(..))), "{:?} {result:?}", entries[0].1);
            assert!(!root.path().join("x").exists());
        }
    }

    #[test]
    fn links_that_conspire_are_caught_when_written_through() {
        // Each link stays inside by its text; together they lead out: `d/s` is the destination, so that `d/s/..` is
        // really its parent.
        let tar = tarball(&[
            Entry(tar::EntryType::Directory, "d/", ""),
            Entry(LINK, "d/s", ".."),
            Entry(LINK, "l", "d/s/.."),
            Entry(FILE, "l/x", "x"),
        ]);
        let (root, result) = unpacked(&tar, ArchiveFormat::Tar);
        assert!(matches!(result, Err(ArchiveError::Entry(..))), "{result:?}");
        assert!(!root.path().join("x").exists());
    }

    #[test]
    fn zips_are_unpacked_with_modes_and_held_to_the_same_rules() {
        use std::os::unix::fs::PermissionsExt as _;
        let zipped = |name: &str| {
            let mut writer = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
            let options = zip::write::SimpleFileOptions::default().unix_permissions(0o755);
            writer.start_file(name, options).unwrap();
            writer.write_all(b"hello").unwrap();
            writer.finish().unwrap().into_inner()
        };
        let (root, result) = unpacked(&zipped("d/a"), ArchiveFormat::Zip);
        result.unwrap();
        let file = root.path().join("in/d/a");
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o755);
        assert_eq!(std::fs::read(file).unwrap(), b"hello");
        let (root, result) = unpacked(&zipped("../a"), ArchiveFormat::Zip);
        assert!(matches!(result, Err(ArchiveError::Entry(..))), "{result:?}");
        assert!(!root.path().join("a").exists());
    }

    #[test]
    fn unpacking_ends_when_nobody_wants_it() {
        let root = tempfile::tempdir().unwrap();
        let archive = root.path().join("archive");
        std::fs::write(&archive, tarball(&[Entry(FILE, "a", "hello")])).unwrap();
        let wanted = WhileWanted::default().wanted();
        let refused = unpack(&archive, ArchiveFormat::Tar, root.path(), &wanted).unwrap_err();
        assert!(refused.to_string().contains("no longer wanted"), "{refused}");
        assert!(!root.path().join("a").exists());
    }

    #[test]
    fn what_is_no_archive_is_an_error() {
        for format in [ArchiveFormat::Tar, ArchiveFormat::TarGz, ArchiveFormat::TarZst, ArchiveFormat::Zip] {
            let (_root, result) = unpacked(&[b'x'; 2000], format);
            assert!(result.is_err(), "{format:?}");
        }
    }
}
