//! The files that hold artifacts' bytes.
//!
//! A file is written once under a name drawn by chance, and only counts once the table names it; what was there before
//! is removed after that. So a crash leaves the old bytes or the new ones, and at most a file that nobody names, which
//! [`sweep`] removes at the next start.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::body::Body;
use futures_util::StreamExt as _;
use tokio::fs::{self, File};
use tokio::io::{AsyncWriteExt as _, BufWriter};
use tokio::time::timeout;

use crate::Ctx;
use crate::http::{ApiError, ErrorCode};

/// The largest artifact, in bytes.
const LARGEST: u64 = 5 * 1024 * 1024 * 1024;

/// The directory of the files within the data directory.
pub const ARTIFACTS: &str = "artifacts";

/// How long whoever uploads may stay silent.
const MAX_SILENCE: Duration = Duration::from_secs(60);

/// Where the files are.
pub(in crate::queue) fn directory(ctx: &Ctx) -> PathBuf {
    ctx.data_dir.join(ARTIFACTS)
}

/// Writes a body to a new file and answers its name once it is on disk. On any error no file is left.
pub(super) async fn write(directory: &Path, body: Body) -> Result<String, ApiError> {
    let name = format!("{:032x}", rand::random::<u128>());
    let path = directory.join(&name);
    let written = write_to(directory, &path, body).await;
    if written.is_err() {
        remove(directory, &name).await;
    }
    written.map(|()| name)
}

async fn write_to(directory: &Path, path: &Path, body: Body) -> Result<(), ApiError> {
    let mut file = BufWriter::with_capacity(256 * 1024, File::create_new(path).await.map_err(failed)?);
    let mut chunks = body.into_data_stream();
    let mut size = 0_u64;
    let late = |_| ApiError::new(ErrorCode::RequestTimeout, "The request's body came too slowly.");
    while let Some(chunk) = timeout(MAX_SILENCE, chunks.next()).await.map_err(late)? {
        let chunk = chunk.map_err(|_| ApiError::new(ErrorCode::MalformedPayload, "The request's body broke off."))?;
        size = size.saturating_add(chunk.len() as u64);
        if size > LARGEST {
            let message = format!("The artifact is larger than {LARGEST} bytes.");
            return Err(ApiError::new(ErrorCode::InputTooLarge, message));
        }
        file.write_all(&chunk).await.map_err(failed)?;
    }
    file.flush().await.map_err(failed)?;
    file.get_ref().sync_all().await.map_err(failed)?;
    // The file's name is only safe once its directory is.
    File::open(directory).await.map_err(failed)?.sync_all().await.map_err(failed)
}

/// A file's bytes, and how many there are.
pub(super) async fn read(directory: &Path, name: &str) -> Result<(Body, u64), ApiError> {
    let file = File::open(directory.join(name)).await.map_err(failed)?;
    let size = file.metadata().await.map_err(failed)?.len();
    Ok((Body::from_stream(tokio_util::io::ReaderStream::with_capacity(file, 64 * 1024)), size))
}

/// Removes a file that nobody names any more. What can't be removed now goes at the next start.
pub(in crate::queue) async fn remove(directory: &Path, name: &str) {
    if let Err(error) = fs::remove_file(directory.join(name)).await {
        tracing::debug!(%error, name, "failed to remove an artifact's file");
    }
}

/// Makes the directory, and removes every file that is not `named`.
pub(in crate::queue) fn sweep(directory: &Path, named: &HashSet<String>) -> io::Result<()> {
    std::fs::create_dir_all(directory)?;
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_name().to_str().is_none_or(|name| !named.contains(name)) {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn failed(error: io::Error) -> ApiError {
    if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
        return ApiError::new(ErrorCode::InsufficientStorage, "The disk is full; nothing was written.");
    }
    ApiError::internal(error)
}
