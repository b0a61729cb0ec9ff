//! Connections: how many, how large their headers, and how long they may take to say what they want.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::response::Response;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulConnection, GracefulShutdown};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tower_service::Service as _;

use crate::stall::Stall;

/// The most bytes that a request's line and headers may have.
const MAX_HEADERS: usize = 64 * 1024;

/// What whoever connects is held to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// How many connections may be open at once; more wait to be accepted.
    pub connections: usize,
    /// How long a connection may go without a request, or with half of its headers.
    pub read_within: Duration,
    /// How long what is sent may wait for the other end to read some of it.
    pub sent_within: Duration,
    /// How long requests that are being answered may go on after the server was told to stop.
    pub goodbye: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { connections: 2048, read_within: seconds(90), sent_within: seconds(90), goodbye: seconds(25) }
    }
}

/// Answers each request with `handler` until `stop` ends, then lets requests that are being answered end, or cuts them off:
/// none is worked on after this returns. A request tells who connected (`ConnectInfo<SocketAddr>`).
pub async fn serve<H, A>(listener: TcpListener, handler: H, bounds: Bounds, stop: impl Future<Output = ()>)
where
    H: Fn(Request) -> A + Clone + Send + 'static,
    A: Future<Output = Response> + Send + 'static,
{
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(bounds.connections));
    let mut connections = JoinSet::new();
    let mut stop = pin!(stop);
    loop {
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            next = next => next,
            Some(_) = connections.join_next() => continue,
            () = &mut stop => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                let connection = graceful.watch(connection(stream, peer, handler.clone(), bounds));
                connections.spawn(async move {
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
    if tokio::time::timeout(bounds.goodbye, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests were cut off when the server stopped");
    }
    // Whoever called this may give up what the handler works with.
    connections.shutdown().await;
}

/// [`serve`] with a router's routes.
pub async fn serve_router(listener: TcpListener, router: Router, bounds: Bounds, stop: impl Future<Output = ()>) {
    let handler = move |request| {
        let mut router = router.clone();
        async move {
            let Ok(response) = router.call(request).await;
            response
        }
    };
    serve(listener, handler, bounds, stop).await;
}

fn connection<H, A>(
    stream: TcpStream,
    peer: SocketAddr,
    handler: H,
    bounds: Bounds,
) -> impl GracefulConnection<Error = hyper::Error>
where
    H: Fn(Request) -> A + Send + 'static,
    A: Future<Output = Response> + Send + 'static,
{
    // Small answers must not wait for more to come.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        let answer = handler(request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.read_within)
        .max_header_size(MAX_HEADERS)
        .serve_connection(TokioIo::new(Stall::new(stream, bounds.sent_within)), service)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::sync::{oneshot, watch};
    use tokio::time::timeout;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    /// One that asks and then doesn't read would keep its connection, and what it was answered, for good.
    #[tokio::test]
    async fn who_does_not_read_an_answer_gives_its_place_to_others() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let bounds = Bounds { connections: 1, sent_within: Duration::from_millis(100), ..Bounds::default() };
        let large = |_: Request| async { Response::new(Body::from(vec![b'x'; 64 << 20])) };
        let serving = tokio::spawn(serve(listener, large, bounds, std::future::pending()));
        let mut idle = TcpStream::connect(address).await.unwrap();
        idle.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let mut next = TcpStream::connect(address).await.unwrap();
        next.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let mut start = [0; 12];
        timeout(PATIENCE, next.read_exact(&mut start)).await.unwrap().unwrap();
        assert_eq!(&start, b"HTTP/1.1 200");
        serving.abort();
    }

    #[tokio::test]
    async fn what_takes_longer_than_it_may_after_the_stop_is_worked_on_no_more() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let bounds = Bounds { goodbye: Duration::from_millis(50), ..Bounds::default() };
        let (work, mut at_work) = watch::channel(());
        let work = Arc::new(work);
        let counted = Arc::clone(&work);
        let endless = move |_: Request| {
            let work = Arc::clone(&counted);
            async move {
                work.send_replace(());
                std::future::pending().await
            }
        };
        let serving = tokio::spawn(serve(listener, endless, bounds, async move { drop(stopped.await) }));
        let mut asks = TcpStream::connect(address).await.unwrap();
        asks.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        timeout(PATIENCE, at_work.changed()).await.unwrap().unwrap();
        stop.send(()).unwrap();
        timeout(PATIENCE, serving).await.unwrap().unwrap();
        assert_eq!(Arc::strong_count(&work), 1, "somebody still works");
    }

    #[tokio::test]
    async fn it_stops_though_every_place_is_taken() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let bounds = Bounds { connections: 1, ..Bounds::default() };
        let serving = tokio::spawn(serve_router(listener, Router::new(), bounds, async move { drop(stopped.await) }));
        let mut only = TcpStream::connect(address).await.unwrap();
        only.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let mut start = [0; 12];
        timeout(PATIENCE, only.read_exact(&mut start)).await.unwrap().unwrap();
        assert_eq!(&start, b"HTTP/1.1 404");
        let _waits = TcpStream::connect(address).await.unwrap();
        stop.send(()).unwrap();
        timeout(PATIENCE, serving).await.unwrap().unwrap();
    }
}
