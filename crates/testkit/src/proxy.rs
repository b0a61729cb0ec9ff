//! A proxy that breaks what passes through it, as it is told.
//!
//! It stands before any HTTP server, in the test's own process, and tells one request from another: so a client can be
//! killed at its n-th request, and an answer be lost or come too late.

mod wire;

use std::io::{self, BufReader, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use wire::Request;

use crate::LATE;
use crate::port::Port;

/// How often [`Proxy::held`] asks whether there is still anybody who could make a request.
const GLANCE: Duration = Duration::from_millis(5);

/// What happens to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It passes.
    None,
    /// Answered with this status, never forwarded.
    Status(u16),
    /// Never forwarded, and the connection is reset.
    Reset,
    /// Neither forwarded nor answered until [`Proxy::release`]; never, if the rule changes first.
    Silence,
    /// Forwarded, but the connection is reset when half of the answer was sent.
    LostAnswer,
    /// Forwarded and carried out, but not answered until [`Proxy::release`]; never, if the rule changes first.
    LateAnswer,
    /// Forwarded, but answered with 502.
    BadGateway,
}

/// Decides what happens to a request, from its method and its path without the query.
type Rule = Box<dyn FnMut(&str, &str) -> Fault + Send>;

/// What all connections share.
struct Shared {
    upstream: Mutex<Option<SocketAddr>>,
    rule: Mutex<Rule>,
    /// Who waits to be released; dropping one is a no.
    waiting: Mutex<Vec<Sender<()>>>,
    held: Sender<()>,
}

/// A plain HTTP/1.1 proxy on this machine before one server. Its threads end with their connections.
pub struct Proxy {
    port: Port,
    shared: Arc<Shared>,
    held: Mutex<Receiver<()>>,
}

impl Proxy {
    /// Listens on a port of its own; everything passes.
    ///
    /// # Panics
    ///
    /// It can't listen.
    #[must_use]
    pub fn start() -> Self {
        let (holds, held) = mpsc::channel();
        let shared = Arc::new(Shared {
            upstream: Mutex::default(),
            rule: Mutex::new(Box::new(|_, _| Fault::None)),
            waiting: Mutex::default(),
            held: holds,
        });
        let serving = Arc::clone(&shared);
        let port = Port::open(move |client| {
            let shared = Arc::clone(&serving);
            // A connection that breaks is the client's or the server's end, which is what this is for.
            thread::spawn(move || shared.relay(client).ok());
        });
        Self { port, shared, held: Mutex::new(held) }
    }

    /// Where clients find it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.port.address())
    }

    /// Where everything goes.
    pub fn forward_to(&self, upstream: SocketAddr) {
        *lock(&self.shared.upstream) = Some(upstream);
    }

    /// From now on `rule` decides, from a request's method and its path without the query.
    pub fn rule(&self, rule: impl FnMut(&str, &str) -> Fault + Send + 'static) {
        *lock(&self.shared.rule) = Box::new(rule);
        lock(&self.shared.waiting).clear();
        while lock(&self.held).try_recv().is_ok() {}
    }

    /// From now on this happens to one request, and all others pass: `n` pass before it.
    pub fn nth(&self, n: usize, fault: Fault) {
        let mut seen = 0;
        self.rule(move |_, _| {
            seen += 1;
            if seen == n + 1 { fault } else { Fault::None }
        });
    }

    /// From now on everything passes.
    pub fn heal(&self) {
        self.rule(|_, _| Fault::None);
    }

    /// Waits for a request that is silent or whose answer is late: true as soon as there is one, and false if `ended`
    /// says that none will come.
    ///
    /// # Panics
    ///
    /// Neither happens for [`LATE`].
    pub fn held(&self, mut ended: impl FnMut() -> bool) -> bool {
        let (held, began) = (lock(&self.held), Instant::now());
        loop {
            assert!(began.elapsed() < LATE, "no request came to be held in {LATE:?}");
            match held.recv_timeout(GLANCE) {
                Ok(()) => return true,
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) if ended() => {
                    // It may have been held and given up in the meantime.
                    return held.try_recv().is_ok();
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
        }
    }

    /// Lets all that is held go on, and from now on everything passes.
    pub fn release(&self) {
        let waiting = std::mem::take(&mut *lock(&self.shared.waiting));
        self.heal();
        for waiting in waiting {
            // Its client may have gone.
            let _ = waiting.send(());
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.port.close();
        lock(&self.shared.waiting).clear();
    }
}

impl Shared {
    /// Relays a connection's requests, one after the other.
    fn relay(&self, mut client: TcpStream) -> io::Result<()> {
        client.set_nodelay(true)?;
        let mut requests = BufReader::new(client.try_clone()?);
        let mut server = None;
        while let Some(request) = wire::read_request(&mut requests)? {
            let fault = (lock(&self.rule))(&request.method, &request.path);
            let mut answer = Vec::new();
            match fault {
                Fault::Status(status) => wire::write_status(&mut client, status)?,
                Fault::None => self.forward(&request, &mut server, &mut client)?,
                Fault::Reset => return reset(&client),
                Fault::Silence => match self.hold() {
                    true => self.forward(&request, &mut server, &mut client)?,
                    false => return reset(&client),
                },
                Fault::BadGateway => {
                    self.forward(&request, &mut server, &mut answer)?;
                    wire::write_status(&mut client, 502)?;
                }
                Fault::LostAnswer => {
                    self.forward(&request, &mut server, &mut answer)?;
                    client.write_all(&answer[..answer.len() / 2])?;
                    return reset(&client);
                }
                Fault::LateAnswer => {
                    self.forward(&request, &mut server, &mut answer)?;
                    match self.hold() {
                        true => client.write_all(&answer)?,
                        false => return reset(&client),
                    }
                }
            }
        }
        client.shutdown(Shutdown::Both)
    }

    /// Waits until it is released; false if that will not be.
    fn hold(&self) -> bool {
        let (release, released) = mpsc::channel();
        lock(&self.waiting).push(release);
        // Whoever waits may have stopped waiting.
        let _ = self.held.send(());
        released.recv().is_ok()
    }

    fn forward(
        &self,
        request: &Request,
        server: &mut Option<BufReader<TcpStream>>,
        to: &mut impl io::Write,
    ) -> io::Result<()> {
        let server = match server {
            Some(server) => server,
            None => {
                let upstream = lock(&self.upstream).ok_or(io::ErrorKind::NotConnected)?;
                let stream = TcpStream::connect(upstream)?;
                stream.set_nodelay(true)?;
                server.insert(BufReader::new(stream))
            }
        };
        server.get_mut().write_all(&request.bytes)?;
        wire::copy_answer(server, to, request.method == "HEAD")
    }
}

/// Closes a connection so that its other end sees a reset, whatever was sent before.
fn reset(client: &TcpStream) -> io::Result<()> {
    socket2::SockRef::from(client).set_linger(Some(Duration::ZERO))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::net::TcpListener;

    use super::*;

    /// A server that answers each connection's requests with their number among all.
    fn server() -> SocketAddr {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            let mut count = 0;
            for stream in listener.incoming().map_while(Result::ok) {
                let mut requests = BufReader::new(stream.try_clone().unwrap());
                while let Ok(Some(_)) = wire::read_request(&mut requests) {
                    count += 1;
                    let body = format!("number {count}");
                    // In two pieces, as servers may.
                    let answer = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n", body.len());
                    (&stream).write_all(format!("{answer}{body}\r\n0\r\n\r\n").as_bytes()).unwrap();
                }
            }
        });
        address
    }

    fn ask(proxy: &Proxy) -> io::Result<String> {
        let mut stream = TcpStream::connect(proxy.port.address())?;
        stream.write_all(b"POST /x?y HTTP/1.1\r\nContent-Length: 2\r\nConnection: close\r\n\r\nab")?;
        stream.shutdown(Shutdown::Write)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    #[test]
    fn each_fault_is_what_it_says() {
        let proxy = Proxy::start();
        proxy.forward_to(server());
        assert!(ask(&proxy).unwrap().contains("number 1"));
        proxy.nth(0, Fault::Status(503));
        assert!(ask(&proxy).unwrap().starts_with("HTTP/1.1 503 "));
        proxy.nth(1, Fault::Reset);
        assert!(ask(&proxy).unwrap().contains("number 2"), "the 503 was not forwarded, the first of these is");
        assert_eq!(ask(&proxy).unwrap_err().kind(), io::ErrorKind::ConnectionReset);
        proxy.nth(0, Fault::LostAnswer);
        assert!(ask(&proxy).is_err());
        proxy.nth(0, Fault::BadGateway);
        assert!(ask(&proxy).unwrap().starts_with("HTTP/1.1 502 "));
        assert!(ask(&proxy).unwrap().contains("number 5"), "the two before were forwarded, the reset was not");
        proxy.rule(|method, path| if (method, path) == ("POST", "/x") { Fault::Status(404) } else { Fault::None });
        assert!(ask(&proxy).unwrap().starts_with("HTTP/1.1 404 "));
    }

    #[test]
    fn what_is_held_goes_on_when_released_and_never_otherwise() {
        let proxy = Proxy::start();
        proxy.forward_to(server());
        for (fault, next) in [(Fault::Silence, "number 1"), (Fault::LateAnswer, "number 3")] {
            thread::scope(|scope| {
                proxy.nth(0, fault);
                let released = scope.spawn(|| ask(&proxy).unwrap());
                assert!(proxy.held(|| false));
                proxy.release();
                assert!(released.join().unwrap().contains(next));
                proxy.nth(0, fault);
                let given_up = scope.spawn(|| ask(&proxy));
                assert!(proxy.held(|| false));
                proxy.heal();
                assert!(given_up.join().unwrap().is_err());
            });
            let forwarded = if fault == Fault::Silence { "number 2" } else { "number 5" };
            assert!(ask(&proxy).unwrap().contains(forwarded), "{fault:?}");
        }
        assert!(!proxy.held(|| true));
    }
}
