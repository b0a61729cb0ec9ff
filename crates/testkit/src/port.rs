//! A port of this machine on which something is there until the test has ended.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// Takes connections until it is dropped.
pub(crate) struct Port {
    address: SocketAddr,
    over: Arc<AtomicBool>,
}

impl Port {
    /// Listens on a port that the system picks, with a thread that gives each connection to `meet`.
    ///
    /// # Panics
    ///
    /// It can't listen.
    pub(crate) fn open(mut meet: impl FnMut(TcpStream) + Send + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| Ok((listener.local_addr()?, listener)));
        let (address, listener) = listener.unwrap_or_else(|error| panic!("it can't listen: {error}"));
        let over = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&over);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if ended.load(Ordering::SeqCst) {
                    return;
                }
                meet(client);
            }
        });
        Self { address, over }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more connections.
    pub(crate) fn close(&self) {
        self.over.store(true, Ordering::SeqCst);
        // Wakes the thread, which then ends.
        drop(TcpStream::connect(self.address));
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.close();
    }
}
