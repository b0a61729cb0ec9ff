//! lapin on our tokio and our TLS. What lapin offers for TLS brings a second crypto library along
//! (docs/design/0003-one-crypto-stack.md), but it takes any stream of the runtime that it is given: this one's streams
//! are plain ones or those of rustls on ring.

use std::future::Future;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use async_rs::traits::{Executor, Reactor, RuntimeKit};
use async_rs::util::Task;
use async_rs::{Runtime, Tokio};
use futures_util::Stream;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt as _};

/// Bytes in both directions.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A stream as lapin takes it.
pub(super) type Pipe = Compat<Box<dyn Duplex>>;

/// Makes a stream one that lapin takes.
pub(super) fn pipe(stream: impl Duplex + 'static) -> Pipe {
    let stream: Box<dyn Duplex> = Box::new(stream);
    stream.compat()
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
        async move { connected.await.map(pipe) }
    }
}
