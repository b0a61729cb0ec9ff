//! `mounts`: what is placed in a task's directory before its first command.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use taskgraft_core::ids::TaskId;

use super::MalformedPayload;
use crate::worker::paths::RelativePath;

/// The longest inline content, in characters.
const MAX_INLINE: usize = 65_536;

/// Something placed in the task's directory.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Mount {
    /// One file.
    File {
        /// Where it goes.
        file: RelativePath,
        /// What is in it.
        content: Content,
        /// How the content is compressed, if it is.
        format: Option<FileFormat>,
    },
    /// A directory unpacked from an archive, for this task alone.
    Directory {
        /// Where it goes.
        directory: RelativePath,
        /// The archive.
        preload: Preload,
    },
    /// A directory that outlives the task and is handed to the next one that names it.
    Cache {
        /// Where it goes.
        directory: RelativePath,
        /// The cache's name; needs the scope `generic-worker:cache:<name>`.
        cache_name: String,
        /// What a new cache starts with.
        preload: Option<Preload>,
    },
}

/// An archive and its format.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Preload {
    /// The archive's bytes.
    pub(crate) content: Content,
    /// How they are to be read.
    pub(crate) format: ArchiveFormat,
}

/// Where bytes come from. `sha256` is checked where it is given, as 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Content {
    /// An artifact of a task that this task depends on.
    Artifact {
        /// Whose.
        task_id: TaskId,
        /// Its name.
        artifact: String,
        /// What it must hash to.
        sha256: Option<String>,
    },
    /// An artifact of whatever task the index names.
    Indexed {
        /// The index path.
        namespace: String,
        /// The artifact's name.
        artifact: String,
    },
    /// A web address, fetched without any credentials.
    Url {
        /// The address, http or https.
        url: String,
        /// What it must hash to.
        sha256: Option<String>,
    },
    /// The bytes themselves.
    Inline(Vec<u8>),
}

/// How an archive is packed. What generic-worker takes beyond these is refused by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ArchiveFormat {
    /// `tar`
    Tar,
    /// `tar.gz`
    TarGz,
    /// `tar.zst`
    TarZst,
    /// `zip`
    Zip,
}

/// How a single file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileFormat {
    /// `gz`
    Gz,
    /// `zst`
    Zst,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RawMount {
    file: Option<String>,
    directory: Option<String>,
    cache_name: Option<String>,
    content: Option<RawContent>,
    format: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawContent {
    task_id: Option<TaskId>,
    namespace: Option<String>,
    artifact: Option<String>,
    url: Option<String>,
    raw: Option<String>,
    base64: Option<String>,
    sha256: Option<String>,
}

/// Checks `payload.mounts[n]`.
pub(super) fn check(n: usize, raw: RawMount) -> Result<Mount, MalformedPayload> {
    let at = |key: &str| format!("payload.mounts[{n}]{}{key}", if key.is_empty() { "" } else { "." });
    let path = |key: &str, text: &str| {
        RelativePath::parse(text).map_err(|error| MalformedPayload::at(at(key), error.to_string()))
    };
    let content = raw.content.map(|content| check_content(&at("content"), content)).transpose()?;
    match (raw.file, raw.directory, raw.cache_name) {
        (Some(file), None, None) => Ok(Mount::File {
            file: path("file", &file)?,
            content: content.ok_or_else(|| MalformedPayload::at(at("content"), "a file mount needs content"))?,
            format: raw.format.map(|format| file_format(&at("format"), &format)).transpose()?,
        }),
        (None, Some(directory), cache_name) => {
            let preload = match (content, raw.format) {
                (Some(content), Some(format)) => {
                    Some(Preload { content, format: archive_format(&at("format"), &format)? })
                }
                (None, None) => None,
                (Some(_), None) => return Err(MalformedPayload::at(at("format"), "content needs a format")),
                (None, Some(_)) => return Err(MalformedPayload::at(at("content"), "a format needs content")),
            };
            let directory = path("directory", &directory)?;
            match (cache_name, preload) {
                (Some(cache_name), preload) => {
                    check_cache_name(&at("cacheName"), &cache_name)?;
                    Ok(Mount::Cache { directory, cache_name, preload })
                }
                (None, Some(preload)) => Ok(Mount::Directory { directory, preload }),
                (None, None) => Err(MalformedPayload::at(at(""), "a directory needs content, or a cacheName")),
            }
        }
        (Some(_), _, _) => Err(MalformedPayload::at(at(""), "a file has neither `directory` nor `cacheName`")),
        (None, None, _) => Err(MalformedPayload::at(at(""), "either `file` or `directory` is needed")),
    }
}

fn check_cache_name(path: &str, name: &str) -> Result<(), MalformedPayload> {
    if name.is_empty() || name.len() > 1024 || name.chars().any(char::is_control) {
        return Err(MalformedPayload::at(path, "a cache's name has 1 to 1024 characters, none of them a control"));
    }
    Ok(())
}

fn check_content(at: &str, raw: RawContent) -> Result<Content, MalformedPayload> {
    let sha256 = raw.sha256;
    if sha256
        .as_ref()
        .is_some_and(|hex| hex.len() != 64 || !hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')))
    {
        return Err(MalformedPayload::at(format!("{at}.sha256"), "64 lower-case hexadecimal digits are needed"));
    }
    let hashless = sha256.is_none();
    match (raw.task_id, raw.namespace, raw.artifact, raw.url, raw.raw, raw.base64) {
        (Some(task_id), None, Some(artifact), None, None, None) => Ok(Content::Artifact { task_id, artifact, sha256 }),
        (None, Some(namespace), Some(artifact), None, None, None) if hashless => {
            Ok(Content::Indexed { namespace, artifact })
        }
        (None, None, None, Some(url), None, None) => {
            check_url(&format!("{at}.url"), &url)?;
            Ok(Content::Url { url, sha256 })
        }
        (None, None, None, None, Some(raw), None) if hashless => inline(&format!("{at}.raw"), raw.into_bytes()),
        (None, None, None, None, None, Some(text)) if hashless => {
            let path = format!("{at}.base64");
            let bytes = STANDARD.decode(&text).map_err(|error| MalformedPayload::at(&path, error.to_string()))?;
            inline(&path, bytes)
        }
        _ => Err(MalformedPayload::at(
            at,
            "one of {taskId, artifact}, {namespace, artifact}, {url}, {raw} or {base64} is needed; \
             sha256 goes with artifact and url",
        )),
    }
}

fn inline(path: &str, bytes: Vec<u8>) -> Result<Content, MalformedPayload> {
    if bytes.len() > MAX_INLINE {
        return Err(MalformedPayload::at(path, format!("inline content has at most {MAX_INLINE} characters")));
    }
    Ok(Content::Inline(bytes))
}

/// A web address without credentials in it. Any host is taken: a task's own commands can reach the same hosts.
fn check_url(path: &str, text: &str) -> Result<(), MalformedPayload> {
    let url = url::Url::parse(text).map_err(|error| MalformedPayload::at(path, error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(MalformedPayload::at(path, format!("an http or https address is needed, not {}:", url.scheme())));
    }
    Ok(())
}

fn archive_format(path: &str, text: &str) -> Result<ArchiveFormat, MalformedPayload> {
    match text {
        "tar" => Ok(ArchiveFormat::Tar),
        "tar.gz" => Ok(ArchiveFormat::TarGz),
        "tar.zst" => Ok(ArchiveFormat::TarZst),
        "zip" => Ok(ArchiveFormat::Zip),
        _ => Err(MalformedPayload::at(path, format!("{text:?} is not one of tar, tar.gz, tar.zst, zip"))),
    }
}

fn file_format(path: &str, text: &str) -> Result<FileFormat, MalformedPayload> {
    match text {
        "gz" => Ok(FileFormat::Gz),
        "zst" => Ok(FileFormat::Zst),
        _ => Err(MalformedPayload::at(path, format!("{text:?} is not one of gz, zst"))),
    }
}
