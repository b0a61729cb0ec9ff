//! Publishing what an action wrote.

use std::io;
use std::path::{Path, PathBuf};

use futures_util::future;
use taskgraft_client::run::{Resolution, Session};

use super::ending::of_call;
use super::payload::ActionPayload;

/// Where they are published, as the reference's worker does with its folder.
const PUBLIC: &str = "public";

/// Publishes each file in `out` under its name; all at once, since they are few and small.
///
/// # Errors
/// How the run ends then.
pub(crate) async fn publish(session: &Session, out: &Path, payload: &ActionPayload) -> Result<(), Resolution> {
    let files = files_in(out).map_err(|error| Resolution::internal("looking for artifacts", &error))?;
    let uploads = files.iter().map(|(name, path)| async move {
        let name = format!("{PUBLIC}/{name}");
        let uploaded = session.upload(&name, path, content_type(&name), payload.expires(&name)).await;
        uploaded.map_err(|error| of_call(&format!("publish {name}"), &error))
    });
    future::try_join_all(uploads).await.map(drop)
}

/// The files of a directory by name, in order; none if it isn't there.
fn files_in(out: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let entries = match std::fs::read_dir(out) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            files.push((entry.file_name().to_string_lossy().into_owned(), entry.path()));
        }
    }
    files.sort();
    Ok(files)
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.') {
        Some((_, "json")) => "application/json",
        Some((_, "yml")) => "application/yaml",
        Some(_) | None => "text/plain; charset=utf-8",
    }
}
