//! A relay before a message broker that cuts connections in the middle of what is said.
//!
//! It knows just enough of AMQP 0.9.1 to tell acknowledgements from the rest of what a client says.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::port::Port;

/// `AMQP` and the version, with which a client begins.
const GREETING: usize = 8;

/// Before a frame's payload: its type, channel and size.
const HEAD: usize = 7;

/// Class and method of `basic.ack`.
const ACK: [u8; 4] = [0, 60, 0, 80];

#[derive(Default)]
struct Shared {
    /// How many more acknowledgements pass whole; none for all.
    passing: Mutex<Option<usize>>,
    acks: AtomicUsize,
    cuts: AtomicUsize,
    open: Mutex<Vec<TcpStream>>,
}

/// A relay on this machine before one broker. Its threads end with their connections.
pub struct Relay {
    port: Port,
    shared: Arc<Shared>,
}

impl Relay {
    /// Listens on a port of its own; everything passes.
    ///
    /// # Panics
    ///
    /// It can't listen.
    #[must_use]
    pub fn start(upstream: SocketAddr) -> Self {
        let shared = Arc::new(Shared::default());
        let serving = Arc::clone(&shared);
        let port = Port::open(move |client| {
            let shared = Arc::clone(&serving);
            // A connection that breaks is the client's or the broker's end, which is what this is for.
            thread::spawn(move || shared.relay(client, upstream).ok());
        });
        Self { port, shared }
    }

    /// Where clients find it.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Lets `n` acknowledgements pass, and cuts the connection in the middle of the next; all others pass.
    pub fn cut_after_acks(&self, n: usize) {
        *lock(&self.shared.passing) = Some(n);
    }

    /// Cuts all connections.
    pub fn cut(&self) {
        for stream in lock(&self.shared.open).drain(..) {
            self.shared.cuts.fetch_add(1, Ordering::SeqCst);
            reset(&stream);
        }
    }

    /// How many acknowledgements went through whole.
    #[must_use]
    pub fn acks(&self) -> usize {
        self.shared.acks.load(Ordering::SeqCst)
    }

    /// How often it has cut.
    #[must_use]
    pub fn cuts(&self) -> usize {
        self.shared.cuts.load(Ordering::SeqCst)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.port.close();
        self.cut();
    }
}

impl Shared {
    fn relay(&self, mut client: TcpStream, upstream: SocketAddr) -> io::Result<()> {
        let mut broker = TcpStream::connect(upstream)?;
        client.set_nodelay(true)?;
        broker.set_nodelay(true)?;
        lock(&self.open).extend([client.try_clone()?, broker.try_clone()?]);
        let (mut answers, mut back) = (broker.try_clone()?, client.try_clone()?);
        thread::spawn(move || {
            let copied = io::copy(&mut answers, &mut back);
            // What the broker has ended is ended for the client.
            back.shutdown(Shutdown::Both).and(copied)
        });
        let said = self.forward(&mut client, &mut broker);
        // The broker has to see the end, whatever the other thread still holds.
        broker.shutdown(Shutdown::Both).and(said)
    }

    /// Forwards what the client says, frame by frame.
    fn forward(&self, client: &mut TcpStream, broker: &mut TcpStream) -> io::Result<()> {
        let mut greeting = [0; GREETING];
        client.read_exact(&mut greeting)?;
        broker.write_all(&greeting)?;
        loop {
            let mut frame = vec![0; HEAD];
            client.read_exact(&mut frame)?;
            let size = u32::from_be_bytes([frame[3], frame[4], frame[5], frame[6]]) as usize;
            frame.resize(HEAD + size + 1, 0);
            client.read_exact(&mut frame[HEAD..])?;
            if frame[0] == 1 && frame[HEAD..].starts_with(&ACK) && self.is_cut() {
                broker.write_all(&frame[..frame.len() / 2])?;
                self.cuts.fetch_add(1, Ordering::SeqCst);
                reset(client);
                reset(broker);
                return Ok(());
            }
            broker.write_all(&frame)?;
        }
    }

    /// Counts an acknowledgement: whether the connection is to be cut in it.
    fn is_cut(&self) -> bool {
        let mut passing = lock(&self.passing);
        match *passing {
            Some(0) => {
                *passing = None;
                return true;
            }
            Some(n) => *passing = Some(n - 1),
            None => {}
        }
        self.acks.fetch_add(1, Ordering::SeqCst);
        false
    }
}

/// Ends a connection in both directions so that its other end sees a reset.
fn reset(stream: &TcpStream) {
    // It may be gone already.
    let _ = socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO));
    let _ = stream.shutdown(Shutdown::Both);
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
