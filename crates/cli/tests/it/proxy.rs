//! A proxy that counts createTask calls and lets only so many pass.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

/// What held calls wait at.
#[derive(Default)]
struct Gate {
    open: Mutex<bool>,
    opened: Condvar,
}

/// A plain HTTP/1.1 proxy before one server. Its threads end with their connections.
pub(crate) struct Proxy {
    pub(crate) url: String,
    upstream: Arc<Mutex<String>>,
    passing: Arc<AtomicI64>,
    held: Receiver<()>,
    gate: Arc<Gate>,
}

impl Proxy {
    /// Listens; lets everything pass.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let upstream = Arc::new(Mutex::new(String::new()));
        let passing = Arc::new(AtomicI64::new(i64::MAX));
        let (hold, held) = channel();
        let gate = Arc::new(Gate::default());
        let (to, pass, keep) = (Arc::clone(&upstream), Arc::clone(&passing), Arc::clone(&gate));
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (to, pass, hold, keep) =
                    (to.lock().unwrap().clone(), Arc::clone(&pass), hold.clone(), Arc::clone(&keep));
                // A connection that breaks is the client's or the server's end, which is what this is for.
                thread::spawn(move || relay(&client, &to, &pass, &hold, &keep).ok());
            }
        });
        Self { url, upstream, passing, held, gate }
    }

    /// Where everything goes.
    pub(crate) fn before(&self, address: String) {
        *self.upstream.lock().unwrap() = address;
    }

    /// From now on `count` createTask calls pass; the others are held.
    pub(crate) fn pass(&self, count: i64) {
        while self.held.try_recv().is_ok() {}
        self.passing.store(count, Ordering::SeqCst);
    }

    /// Waits for the first call that doesn't pass.
    pub(crate) fn held(&self) {
        self.held.recv().unwrap();
    }

    /// Lets held calls pass after all, and all others.
    pub(crate) fn release(&self) {
        self.pass(i64::MAX);
        *self.gate.open.lock().unwrap() = true;
        self.gate.opened.notify_all();
    }
}

/// Relays requests one by one, and what comes back as it comes.
fn relay(
    client: &TcpStream,
    upstream: &str,
    passing: &AtomicI64,
    hold: &Sender<()>,
    gate: &Gate,
) -> std::io::Result<()> {
    let mut server = TcpStream::connect(upstream)?;
    let (mut answers, mut back) = (server.try_clone()?, client.try_clone()?);
    thread::spawn(move || {
        // Nothing more will come: the client must not wait for it.
        let _ = std::io::copy(&mut answers, &mut back);
        let _ = back.shutdown(std::net::Shutdown::Both);
    });
    let mut requests = BufReader::new(client);
    while let Some((request, creates)) = read(&mut requests)? {
        if creates && passing.fetch_sub(1, Ordering::SeqCst) <= 0 {
            // Whoever waits may have stopped waiting.
            let _ = hold.send(());
            drop(gate.opened.wait_while(gate.open.lock().unwrap(), |open| !*open).unwrap());
        }
        server.write_all(&request)?;
    }
    server.shutdown(std::net::Shutdown::Write)
}

/// A whole request, and whether it is a createTask.
fn read(from: &mut BufReader<&TcpStream>) -> std::io::Result<Option<(Vec<u8>, bool)>> {
    let (mut request, mut length) = (Vec::new(), 0);
    loop {
        let mut line = String::new();
        if from.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        request.extend_from_slice(line.as_bytes());
        let lower = line.to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        assert!(!lower.starts_with("transfer-encoding:"), "the client names the length of what it sends");
        if line == "\r\n" {
            break;
        }
    }
    let head = request.len();
    request.resize(head + length, 0);
    from.read_exact(&mut request[head..])?;
    let creates = request.starts_with(b"PUT /api/queue/v1/task/");
    Ok(Some((request, creates)))
}
