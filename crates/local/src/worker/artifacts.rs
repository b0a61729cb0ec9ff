//! Publishing what a task made.

use std::path::{Path, PathBuf};

use taskgraft_client::Error;
use taskgraft_client::run::{CONTENT_TYPE, Resolution, Session, TaskLog};
use taskgraft_core::api::queue::ArtifactErrorReason;
use taskgraft_core::time::Millis;

use super::paths::{UnsafePath, resolve_inside};
use super::payload::{Artifact, ArtifactKind};

/// The most files that one directory artifact may have.
const MAX_FILES: usize = 10_000;

/// A file to publish.
struct Found {
    name: String,
    /// What the name leads to; inside the task's directory.
    file: PathBuf,
    content_type: String,
}

/// Why an artifact can't be published, in the queue's terms and in words.
struct Problem {
    reason: ArtifactErrorReason,
    why: String,
}

/// Publishes artifacts of the task in `directory`. All are tried; the first that can't be had decides.
pub(crate) async fn publish(
    session: &Session,
    log: &TaskLog,
    directory: &Path,
    artifacts: &[Artifact],
) -> Result<(), Resolution> {
    let mut outcome = Ok(());
    for artifact in artifacts {
        let result = publish_one(session, log, directory, artifact).await;
        if let Err(Resolution::Failed(why) | Resolution::Exception(_, why)) = &result {
            log.complain(why);
        }
        outcome = outcome.and(result);
    }
    outcome
}

async fn publish_one(
    session: &Session,
    log: &TaskLog,
    directory: &Path,
    artifact: &Artifact,
) -> Result<(), Resolution> {
    let found = {
        let (directory, artifact) = (directory.to_owned(), artifact.clone());
        tokio::task::spawn_blocking(move || find(&directory, &artifact))
            .await
            .map_err(|error| Resolution::internal("looking for artifacts", &error))?
    };
    match found {
        Ok(None) => log.say(&format!("Optional artifact {} is not there: nothing at {}", artifact.name, artifact.path)),
        Ok(Some(files)) => {
            for found in files {
                log.say(&format!("Uploading artifact {}", found.name));
                let done = session.upload(&found.name, &found.file, &found.content_type, artifact.expires).await;
                done.map_err(|error| refused(&found.name, &error))?;
            }
        }
        Err(problem) => {
            let name = if artifact.name.is_empty() { artifact.path.to_string() } else { artifact.name.clone() };
            let why = format!("artifact {name}: {}", problem.why);
            report_problem(session, &name, problem.reason, &why, artifact.expires).await?;
            return Err(Resolution::Failed(why));
        }
    }
    Ok(())
}

/// Leaves an `error` artifact, so that readers learn why there is none.
pub(crate) async fn report_problem(
    session: &Session,
    name: &str,
    reason: ArtifactErrorReason,
    why: &str,
    expires: Option<Millis>,
) -> Result<(), Resolution> {
    session.upload_error(name, reason, why, expires).await.map_err(|error| refused(name, &error))
}

fn refused(name: &str, error: &Error) -> Resolution {
    match error {
        // As generic-worker has it: two of one name are a mistake in the payload.
        Error::Conflict { message, .. } => {
            Resolution::malformed(format!("artifact {name} was published before with other contents: {message}"))
        }
        Error::Transient { .. }
        | Error::Rejected { .. }
        | Error::ClockSkew { .. }
        | Error::Unreadable { .. }
        | Error::Unsendable { .. } => Resolution::from_call(&format!("artifact {name}"), error),
    }
}

/// The files of an artifact; `None` if it is optional and not there. Blocking.
fn find(directory: &Path, artifact: &Artifact) -> Result<Option<Vec<Found>>, Problem> {
    let path = artifact.path.under(directory);
    let target = match resolve_inside(directory, &path) {
        Ok(target) => target,
        Err(error) if error.is_missing() && artifact.optional => return Ok(None),
        Err(error) => return Err(problem(&error, &artifact.path.to_string())),
    };
    let invalid = |why: &str| Problem { reason: ArtifactErrorReason::InvalidResourceOnWorker, why: why.to_owned() };
    match artifact.kind {
        ArtifactKind::File if target.is_file() => {
            Ok(Some(vec![found(artifact, artifact.name.clone(), &artifact.path.under(Path::new("")), target)]))
        }
        ArtifactKind::File => Err(invalid(&format!("{} is no file", artifact.path))),
        ArtifactKind::Directory if target.is_dir() => find_below(directory, &target, artifact).map(Some),
        ArtifactKind::Directory => Err(invalid(&format!("{} is no directory", artifact.path))),
    }
}

fn find_below(directory: &Path, top: &Path, artifact: &Artifact) -> Result<Vec<Found>, Problem> {
    let invalid = |why: String| Problem { reason: ArtifactErrorReason::InvalidResourceOnWorker, why };
    let mut files = Vec::new();
    let mut waiting = vec![top.to_owned()];
    while let Some(folder) = waiting.pop() {
        let unreadable = |error: std::io::Error| {
            let why = format!("{}: {error}", folder.strip_prefix(directory).unwrap_or(&folder).display());
            Problem { reason: ArtifactErrorReason::FileNotReadableOnWorker, why }
        };
        for entry in std::fs::read_dir(&folder).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            let relative = path.strip_prefix(top).unwrap_or(&path).to_owned();
            let shown = relative.display().to_string();
            if path.symlink_metadata().map_err(unreadable)?.is_dir() {
                waiting.push(path);
                continue;
            }
            let target = resolve_inside(directory, &path).map_err(|error| problem(&error, &shown))?;
            if !target.is_file() {
                // A link to a directory inside is published where it really is, if it is part of the artifact at all.
                if target.is_dir() {
                    continue;
                }
                return Err(invalid(format!("{shown} is no file")));
            }
            let text = relative.to_str().ok_or_else(|| invalid(format!("{shown} has a name that is not UTF-8")))?;
            let name = if artifact.name.is_empty() { text.to_owned() } else { format!("{}/{text}", artifact.name) };
            files.push(found(artifact, name, &relative, target));
            if files.len() > MAX_FILES {
                return Err(invalid(format!("it has more than {MAX_FILES} files")));
            }
        }
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(files)
}

fn found(artifact: &Artifact, name: String, path: &Path, file: PathBuf) -> Found {
    let content_type = artifact.content_type.clone().unwrap_or_else(|| content_type(path).to_owned());
    Found { name, file, content_type }
}

/// Says what is wrong with `path`, in terms of the task's directory rather than of this machine.
fn problem(error: &UnsafePath, path: &str) -> Problem {
    let (reason, why) = match error {
        UnsafePath::Unreadable { .. } if error.is_missing() => {
            (ArtifactErrorReason::FileMissingOnWorker, format!("there is nothing at {path}"))
        }
        UnsafePath::Unreadable { source, .. } => {
            (ArtifactErrorReason::FileNotReadableOnWorker, format!("{path}: {source}"))
        }
        UnsafePath::Escapes { .. } | UnsafePath::NotInside(_) => {
            (ArtifactErrorReason::InvalidResourceOnWorker, format!("{path} leads out of the task's directory"))
        }
    };
    Problem { reason, why }
}

/// A content type by the file name's extension, as common `mime.types` have them.
pub(crate) fn content_type(path: &Path) -> &'static str {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    match extension.to_ascii_lowercase().as_str() {
        "css" => "text/css; charset=utf-8",
        "csv" => "text/csv; charset=utf-8",
        "diff" | "log" | "md" | "patch" | "txt" => CONTENT_TYPE,
        "gif" => "image/gif",
        "gz" | "tgz" => "application/gzip",
        "htm" | "html" => "text/html; charset=utf-8",
        "jpeg" | "jpg" => "image/jpeg",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "json" | "map" => "application/json",
        "jsonl" => "application/jsonl",
        "pdf" => "application/pdf",
        "png" => "image/png",
        "svg" => "image/svg+xml",
        "tar" => "application/x-tar",
        "wasm" => "application/wasm",
        "xml" => "text/xml; charset=utf-8",
        "xz" => "application/x-xz",
        "yaml" | "yml" => "application/yaml",
        "zip" => "application/zip",
        "zst" => "application/zstd",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::paths::RelativePath;
    use std::os::unix::fs::symlink;

    fn artifact(kind: ArtifactKind, path: &str, name: &str) -> Artifact {
        Artifact {
            kind,
            path: RelativePath::parse(path).unwrap(),
            name: name.to_owned(),
            expires: None,
            content_type: None,
            optional: false,
        }
    }

    fn names(directory: &Path, artifact: &Artifact) -> Result<Vec<String>, String> {
        match find(directory, artifact) {
            Ok(files) => {
                Ok(files.unwrap().into_iter().map(|found| format!("{} {}", found.name, found.content_type)).collect())
            }
            Err(problem) => Err(problem.why),
        }
    }

    #[test]
    fn directories_are_published_file_by_file() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("out/sub")).unwrap();
        std::fs::write(root.path().join("out/a.json"), "{}").unwrap();
        std::fs::write(root.path().join("out/sub/b"), "").unwrap();
        symlink("a.json", root.path().join("out/alias.txt")).unwrap();
        symlink("sub", root.path().join("out/folder-link")).unwrap();
        let expected = [
            "public/a.json application/json",
            "public/alias.txt text/plain; charset=utf-8",
            "public/sub/b application/octet-stream",
        ];
        assert_eq!(names(root.path(), &artifact(ArtifactKind::Directory, "out", "public")).unwrap(), expected);
        let unnamed = names(root.path(), &artifact(ArtifactKind::Directory, "out/sub", "")).unwrap();
        assert_eq!(unnamed, ["b application/octet-stream"]);
    }

    #[test]
    fn what_is_no_artifact_is_said() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("out")).unwrap();
        symlink("/etc/passwd", root.path().join("out/passwd")).unwrap();
        symlink("/etc", root.path().join("etc")).unwrap();
        let file = |path| names(root.path(), &artifact(ArtifactKind::File, path, "public/x")).unwrap_err();
        assert_eq!(file("none"), "there is nothing at none");
        assert_eq!(file("out"), "out is no file");
        assert_eq!(file("out/passwd"), "out/passwd leads out of the task's directory");
        assert_eq!(file("etc/passwd"), "etc/passwd leads out of the task's directory");
        let directory = |path| names(root.path(), &artifact(ArtifactKind::Directory, path, "public")).unwrap_err();
        assert_eq!(directory("out"), "passwd leads out of the task's directory");
        assert_eq!(directory("etc"), "etc leads out of the task's directory");
        let optional = Artifact { optional: true, ..artifact(ArtifactKind::File, "none", "public/x") };
        assert!(find(root.path(), &optional).is_ok_and(|found| found.is_none()));
    }
}
