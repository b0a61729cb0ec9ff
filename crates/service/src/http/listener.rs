//! Connections: how many, and how long they may take to say what they want.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulConnection, GracefulShutdown};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tower_service::Service as _;

use super::Settings;

/// The most bytes that a call's line and headers may have.
const MAX_HEADERS: usize = 64 * 1024;

/// How long calls that are being answered may go on after the service was told to stop.
const MAX_GOODBYE: Duration = Duration::from_secs(10);

/// Serves until `stopping` becomes true, then lets calls that are being answered end.
pub async fn serve(listener: TcpListener, router: Router, settings: &Settings, mut stopping: watch::Receiver<bool>) {
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(settings.connections));
    loop {
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            next = next => next,
            _ = stopping.wait_for(|stopping| *stopping) => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                let connection = connection(stream, peer, router.clone(), settings.read_within);
                let connection = graceful.watch(connection);
                tokio::spawn(async move {
                    let _place = place;
                    if let Err(error) = connection.await {
                        tracing::debug!(%peer, %error, "a connection broke off");
                    }
                });
            }
            // Out of file descriptors, most likely: let some connections end first.
            Err(error) => {
                tracing::warn!(%error, "failed to accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    drop(listener);
    if tokio::time::timeout(MAX_GOODBYE, graceful.shutdown()).await.is_err() {
        tracing::warn!("some calls were cut off when the service stopped");
    }
}

fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    read_within: Duration,
) -> impl GracefulConnection<Error = hyper::Error> {
    // Small answers must not wait for more to come.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let mut router = router.clone();
        async move {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(ConnectInfo(peer));
            let Ok(response) = router.call(request).await;
            Ok::<_, Infallible>(response)
        }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(read_within)
        .max_buf_size(MAX_HEADERS)
        .serve_connection(TokioIo::new(stream), service)
}
