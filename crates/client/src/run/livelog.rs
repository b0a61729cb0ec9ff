//! Logs of running tasks over HTTP, on a port of the worker's own.
//!
//! While a task runs, its `live.log` artifact refers to an address here that nobody can guess.

use std::collections::HashMap;
use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::stream::{self, Stream};
use http::{StatusCode, header};
use taskgraft_serve::{Bounds, serve_router};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::{CONTENT_TYPE, Progress, TaskLog};

/// How much of a log is sent at once.
const CHUNK_BYTES: u64 = 64 * 1024;

type Logs = Arc<Mutex<HashMap<String, TaskLog>>>;

/// Serves the logs of this worker's running tasks.
#[derive(Debug)]
pub struct LogServer {
    /// What readers call this server, without a slash at its end.
    base: String,
    logs: Logs,
    server: JoinHandle<()>,
}

/// A log that can be read over HTTP until this is dropped.
#[derive(Debug)]
pub struct Published {
    /// Where it can be read.
    pub url: String,
    token: String,
    logs: Logs,
}

impl LogServer {
    /// Listens on `address`, where port 0 is a free one; `url` is what readers call it, where that is something else:
    /// the public address of a proxy that adds TLS, say.
    ///
    /// # Errors
    /// If the address can't be had.
    pub async fn start(address: SocketAddr, url: Option<&str>) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let own = format!("http://{}", listener.local_addr()?);
        let base = url.map_or(own, |url| url.trim_end_matches('/').to_owned());
        let logs = Logs::default();
        let router = Router::new().route("/log/{token}", get(read)).with_state(Arc::clone(&logs));
        let server = tokio::spawn(serve_router(listener, router, Bounds::default(), pending()));
        Ok(Self { base, logs, server })
    }

    /// Gives a log an address.
    #[must_use]
    pub fn publish(&self, log: &TaskLog) -> Published {
        let token = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 24]>());
        lock(&self.logs).insert(token.clone(), log.clone());
        Published { url: format!("{}/log/{token}", self.base), token, logs: Arc::clone(&self.logs) }
    }
}

impl Drop for LogServer {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Drop for Published {
    fn drop(&mut self) {
        lock(&self.logs).remove(&self.token);
    }
}

fn lock(logs: &Logs) -> std::sync::MutexGuard<'_, HashMap<String, TaskLog>> {
    logs.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn read(State(logs): State<Logs>, Path(token): Path<String>) -> Response {
    let found = lock(&logs).get(&token).map(|log| (log.path().to_owned(), log.progress()));
    let Some((path, progress)) = found else {
        return (StatusCode::NOT_FOUND, "no such log: the task has ended\n").into_response();
    };
    let headers = [
        (header::CONTENT_TYPE, CONTENT_TYPE),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-store"),
        // Pages of other origins may show a log whose address they were given.
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
    ];
    (headers, Body::from_stream(follow(path, progress))).into_response()
}

/// A log's bytes, from its start to its end, waiting for those that are still to come.
fn follow(path: PathBuf, progress: watch::Receiver<Progress>) -> impl Stream<Item = io::Result<Bytes>> {
    struct Reader {
        file: Option<tokio::fs::File>,
        at: u64,
        path: PathBuf,
        progress: watch::Receiver<Progress>,
    }
    let start = Reader { file: None, at: 0, path, progress };
    stream::try_unfold(start, |mut reader| async move {
        let at = reader.at;
        let now = match reader.progress.wait_for(|now| now.bytes > at || now.finished).await {
            Ok(now) => *now,
            // The writer is gone: nothing more will come.
            Err(_) => return Ok(None),
        };
        let wanted = now.bytes.saturating_sub(at).min(CHUNK_BYTES);
        if wanted == 0 {
            return Ok(None);
        }
        let file = match &mut reader.file {
            Some(file) => file,
            None => reader.file.insert(tokio::fs::File::open(&reader.path).await?),
        };
        let mut chunk = vec![0; usize::try_from(wanted).unwrap_or_default()];
        file.read_exact(&mut chunk).await?;
        reader.at += wanted;
        Ok(Some((Bytes::from(chunk), reader)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{StreamExt as _, pin_mut};

    #[tokio::test]
    async fn followers_see_what_is_written_while_it_is_written() {
        let directory = tempfile::tempdir().unwrap();
        let log = TaskLog::create(&directory.path().join("log"), 100).unwrap();
        log.output(b"one\n");
        let stream = follow(log.path().to_owned(), log.progress());
        pin_mut!(stream);
        assert_eq!(stream.next().await.unwrap().unwrap(), "one\n");
        log.output(b"two\n");
        assert_eq!(stream.next().await.unwrap().unwrap(), "two\n");
        log.finish();
        assert!(stream.next().await.is_none());
    }
}
