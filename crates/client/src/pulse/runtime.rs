//! lapin on our tokio and our TLS. What lapin offers for TLS brings a second crypto library along
//! (docs/design/0003-one-crypto-stack.md), but it takes any stream of the runtime that it is given: this one's streams
//! are plain ones or those of rustls on ring.

use std::future::Future;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use async_rs::traits::{Executor, Reactor, RuntimeKit};
use async_rs::util::Task;
use async_rs::{Runtime, Tokio};
use futures_util::Stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt as _};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// Bytes in both directions.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A stream as lapin takes it.
pub(super) type Pipe = Compat<Cuttable>;

/// Makes a stream one that lapin takes, until it is cut.
pub(super) fn pipe(stream: impl Duplex + 'static, cut: CancellationToken) -> Pipe {
    Cuttable { stream: Box::new(stream), waiting: Box::pin(cut.clone().cancelled_owned()), cut }.compat()
}

/// A stream that can be cut from outside: then it only fails, and whoever waits to read from it wakes.
///
/// lapin has a thread for each connection, and that waits for the other end as long as it takes.
pub(super) struct Cuttable {
    stream: Box<dyn Duplex>,
    cut: CancellationToken,
    waiting: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Cuttable {
    fn whole(&self) -> io::Result<()> {
        if self.cut.is_cancelled() { Err(cut()) } else { Ok(()) }
    }
}

/// What is said of a stream that was cut.
pub(super) fn cut() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "nobody needs the connection any more")
}

impl AsyncRead for Cuttable {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.waiting.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(cut()));
        }
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl AsyncWrite for Cuttable {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.whole()?;
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.whole()?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.whole()?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// tokio, but for its streams.
#[derive(Debug, Clone)]
pub(super) struct OwnStreams(Tokio);

/// The runtime in which this is called.
pub(super) fn current() -> Runtime<OwnStreams> {
    Runtime::new(OwnStreams(Tokio::current()))
}

impl RuntimeKit for OwnStreams {}

impl Executor for OwnStreams {
    type Task<T: Send + 'static> = <Tokio as Executor>::Task<T>;

    fn block_on<T, F: Future<Output = T>>(&self, future: F) -> T {
        self.0.block_on(future)
    }

    fn spawn<T: Send + 'static, F: Future<Output = T> + Send + 'static>(&self, future: F) -> Task<Self::Task<T>> {
        self.0.spawn(future)
    }

    fn spawn_blocking<T: Send + 'static, F: FnOnce() -> T + Send + 'static>(&self, work: F) -> Task<Self::Task<T>> {
        self.0.spawn_blocking(work)
    }
}

impl Reactor for OwnStreams {
    type TcpStream = Pipe;
    type Sleep = <Tokio as Reactor>::Sleep;

    fn register<H: Read + Write + AsFd + AsRawFd + Send + 'static>(
        &self,
        socket: H,
    ) -> io::Result<impl futures_io::AsyncRead + futures_io::AsyncWrite + Send + Unpin + 'static> {
        self.0.register(socket)
    }

    fn sleep(&self, pause: Duration) -> Self::Sleep {
        self.0.sleep(pause)
    }

    fn interval(&self, pause: Duration) -> impl Stream<Item = Instant> + Send + 'static {
        self.0.interval(pause)
    }

    fn tcp_connect_addr(
        &self,
        address: SocketAddr,
    ) -> impl Future<Output = io::Result<Self::TcpStream>> + Send + 'static {
        let connected = TcpStream::connect(address);
        async move { Ok(pipe(connected.await?, CancellationToken::new())) }
    }
}
