//! Placing a task's mounts in its directory.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use ring::digest::{Context, SHA256};
use taskgraft_client::run::{Resolution, Session, TaskLog};
use taskgraft_core::api::queue::TaskDefinition;
use taskgraft_core::ids::TaskId;

use super::archive::{self, Wanted, WhileWanted};
use super::cache::{Borrowed, Caches};
use super::paths::{RelativePath, make_parents};
use super::payload::{Content, FileFormat, Mount, Preload};

/// The most bytes that are downloaded for one mount.
pub(crate) const MAX_DOWNLOAD_BYTES: u64 = 16 * 1024 * 1024 * 1024;

/// Where mounts are placed and what they come through.
pub(crate) struct Mounting<'a> {
    /// The run.
    pub(crate) session: &'a Session,
    /// Its log.
    pub(crate) log: &'a TaskLog,
    /// The task's directory.
    pub(crate) directory: &'a Path,
    /// Where downloads lie until they are placed; not the task's to see.
    pub(crate) downloads: &'a Path,
    /// The worker's caches.
    pub(crate) caches: &'a Caches,
}

/// Checks what mounts need of the task: dependencies on the tasks whose artifacts are mounted, as generic-worker
/// demands, and the scopes of caches.
pub(crate) async fn check(session: &Session, task: &TaskDefinition, mounts: &[Mount]) -> Result<(), Resolution> {
    let contents = mounts.iter().enumerate().filter_map(|(n, mount)| Some((n, content(mount)?)));
    for (n, content) in contents {
        if let Content::Artifact { task_id, .. } = content
            && !task.dependencies.contains(task_id)
        {
            let why = format!("payload.mounts[{n}].content.taskId: {task_id} is not among the task's dependencies");
            return Err(Resolution::malformed(why));
        }
    }
    let caches = mounts.iter().filter_map(|mount| match mount {
        Mount::Cache { cache_name, .. } => Some(format!("generic-worker:cache:{cache_name}")),
        Mount::File { .. } | Mount::Directory { .. } => None,
    });
    session.check_scopes(caches).await
}

fn content(mount: &Mount) -> Option<&Content> {
    match mount {
        Mount::File { content, .. } => Some(content),
        Mount::Directory { preload, .. } => Some(&preload.content),
        Mount::Cache { preload, .. } => preload.as_ref().map(|preload| &preload.content),
    }
}

impl Mounting<'_> {
    /// Places all mounts, in their order. Caches in use are added to `borrowed`, also when a later mount fails.
    pub(crate) async fn place(&self, mounts: &[Mount], borrowed: &mut Vec<Borrowed>) -> Result<(), Resolution> {
        for (n, mount) in mounts.iter().enumerate() {
            match mount {
                Mount::File { file, content, format } => self.place_file(n, file, content, *format).await?,
                Mount::Directory { directory, preload } => {
                    let place = self.free_place(n, directory)?;
                    tokio::fs::create_dir_all(&place).await.map_err(|error| failed(n, &error))?;
                    self.unpack(n, preload, &place).await?;
                }
                Mount::Cache { directory, cache_name, preload } => {
                    let place = self.free_place(n, directory)?;
                    let (cache, new) = self.caches.borrow(cache_name, &place).map_err(|error| failed(n, &error))?;
                    self.log.say(&format!("Cache {cache_name} at {directory}{}", if new { " (new)" } else { "" }));
                    if let Some(preload) = preload.as_ref().filter(|_| new) {
                        // A cache that is not filled to the end is not kept.
                        self.unpack(n, preload, &place).await?;
                    }
                    borrowed.push(cache);
                }
            }
        }
        Ok(())
    }

    async fn place_file(
        &self,
        n: usize,
        file: &RelativePath,
        content: &Content,
        format: Option<FileFormat>,
    ) -> Result<(), Resolution> {
        let place = self.free_place(n, file)?;
        let source = self.fetch(n, content).await?;
        self.log.say(&format!("Mounting {} at {file}", describe(content)));
        let placed = match format {
            None => std::fs::rename(&source, &place).map_err(|error| failed(n, &error)),
            Some(format) => blocking(n, move |wanted| archive::decompress(&source, format, &place, wanted)).await,
        };
        placed.map_err(|error| at(n, error))
    }

    async fn unpack(&self, n: usize, preload: &Preload, place: &Path) -> Result<(), Resolution> {
        let source = self.fetch(n, &preload.content).await?;
        self.log.say(&format!("Unpacking {} to {}", describe(&preload.content), self.shown(place)));
        let (format, place) = (preload.format, place.to_owned());
        blocking(n, move |wanted| {
            archive::unpack(&source, format, &place, wanted)?;
            Ok(std::fs::remove_file(&source)?)
        })
        .await
        .map_err(|error| at(n, error))
    }

    /// Where a mount goes: inside the task's directory, and nothing is there.
    fn free_place(&self, n: usize, path: &RelativePath) -> Result<PathBuf, Resolution> {
        let place = path.under(self.directory);
        make_parents(self.directory, &place)
            .map_err(|_| failed(n, &format!("{path} leads out of the task's directory")))?;
        match place.symlink_metadata() {
            Ok(_) => Err(failed(n, &format!("something is at {path} already"))),
            Err(_) => Ok(place),
        }
    }

    /// The bytes of a content, as a file.
    async fn fetch(&self, n: usize, content: &Content) -> Result<PathBuf, Resolution> {
        let to = self.downloads.join(n.to_string());
        let sha256 = match content {
            Content::Inline(bytes) => {
                tokio::fs::write(&to, bytes).await.map_err(|error| failed(n, &error))?;
                None
            }
            Content::Artifact { task_id, artifact, sha256 } => {
                fetch_artifact(self.session, *task_id, artifact, &to).await.map_err(|error| at(n, error))?;
                sha256.as_ref()
            }
            Content::Indexed { namespace, artifact } => {
                fetch_indexed(self.session, namespace, artifact, &to).await.map_err(|error| at(n, error))?;
                None
            }
            Content::Url { url, sha256 } => {
                download(self.session, url, &describe(content), &to).await.map_err(|error| at(n, error))?;
                sha256.as_ref()
            }
        };
        if let Some(wanted) = sha256 {
            let file = to.clone();
            let found = blocking(n, move |_| Ok(hash(&file)?)).await?;
            if found != *wanted {
                return Err(failed(n, &format!("{} has the SHA-256 {found}, not {wanted}", describe(content))));
            }
        }
        Ok(to)
    }

    fn shown(&self, place: &Path) -> String {
        place.strip_prefix(self.directory).unwrap_or(place).display().to_string()
    }
}

/// Downloads an artifact of a task's latest run with the run's own scopes.
pub(crate) async fn fetch_artifact(
    session: &Session,
    task: TaskId,
    artifact: &str,
    to: &Path,
) -> Result<(), Resolution> {
    let what = format!("artifact {artifact} of task {task}");
    let location = session.client().queue().artifact(task, None, artifact).await;
    let location = location.map_err(|error| Resolution::from_call(&what, &error))?;
    download(session, &location.url, &what, to).await
}

/// Downloads an artifact of the task that the index names.
pub(crate) async fn fetch_indexed(
    session: &Session,
    namespace: &str,
    artifact: &str,
    to: &Path,
) -> Result<(), Resolution> {
    let found = session.client().index().find_task(namespace).await;
    let found = found.map_err(|error| Resolution::from_call(&format!("index path {namespace}"), &error))?;
    fetch_artifact(session, found.task_id, artifact, to).await
}

async fn download(session: &Session, url: &str, what: &str, to: &Path) -> Result<(), Resolution> {
    let download = session.client().download(url, to, MAX_DOWNLOAD_BYTES).await;
    let download = download.map_err(|error| Resolution::from_call(what, &error))?;
    match download.encoding.as_deref() {
        None | Some("identity") => Ok(()),
        Some("gzip") => {
            let (packed, to) = (to.with_extension("packed"), to.to_owned());
            let whole = WhileWanted::default();
            let wanted = whole.wanted();
            let unpacked = tokio::task::spawn_blocking(move || {
                std::fs::rename(&to, &packed)?;
                archive::decompress(&packed, FileFormat::Gz, &to, &wanted)?;
                Ok(std::fs::remove_file(&packed)?)
            });
            let unpacked = unpacked.await.map_err(|error| Resolution::internal(what, &error))?;
            unpacked.map_err(|error: archive::ArchiveError| Resolution::Failed(format!("{what}: {error}")))
        }
        Some(other) => Err(Resolution::Failed(format!("{what}: its content encoding {other} is not understood"))),
    }
}

fn describe(content: &Content) -> String {
    match content {
        Content::Artifact { task_id, artifact, .. } => format!("artifact {artifact} of task {task_id}"),
        Content::Indexed { namespace, artifact } => format!("artifact {artifact} of the task indexed as {namespace}"),
        Content::Url { url, .. } => shown_url(url),
        Content::Inline(bytes) => format!("{} bytes of the payload", bytes.len()),
    }
}

/// An address without what may be secret in it: user, password and query.
fn shown_url(url: &str) -> String {
    url::Url::parse(url).map_or_else(
        |_| "an address".to_owned(),
        |url| format!("{}://{}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path()),
    )
}

fn failed(n: usize, why: &dyn std::fmt::Display) -> Resolution {
    Resolution::Failed(format!("payload.mounts[{n}]: {why}"))
}

/// Names the mount in a failure that does not say it yet.
fn at(n: usize, error: Resolution) -> Resolution {
    match &error {
        Resolution::Failed(why) if !why.starts_with("payload.") => failed(n, why),
        Resolution::Completed | Resolution::Failed(_) | Resolution::Exception(..) => error,
    }
}

async fn blocking<T: Send + 'static>(
    n: usize,
    work: impl FnOnce(&Wanted) -> Result<T, archive::ArchiveError> + Send + 'static,
) -> Result<T, Resolution> {
    let whole = WhileWanted::default();
    let wanted = whole.wanted();
    let done = tokio::task::spawn_blocking(move || work(&wanted)).await;
    done.map_err(|error| Resolution::internal("placing a mount", &error))?.map_err(|error| failed(n, &error))
}

/// A file's SHA-256, in lower-case hexadecimal digits. Blocking.
fn hash(file: &Path) -> std::io::Result<String> {
    use std::io::Read as _;
    let mut file = std::fs::File::open(file)?;
    let mut context = Context::new(&SHA256);
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            count => context.update(&buffer[..count]),
        }
    }
    let mut hex = String::with_capacity(64);
    for byte in context.finish().as_ref() {
        // Writing to a string can't fail.
        let _ = write!(hex, "{byte:02x}");
    }
    Ok(hex)
}
