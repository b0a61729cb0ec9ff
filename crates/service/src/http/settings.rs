//! What bounds the HTTP door, and what it is called from outside.

use std::time::Duration;

use taskgraft_serve::Bounds;
use url::Url;

use crate::config::Http;

/// How long calls that are being answered may go on after the service was told to stop.
const MAX_GOODBYE: Duration = Duration::from_secs(10);
/// How long an answer may wait for its reader.
const MAX_STALL: Duration = Duration::from_secs(30);

/// How many connections may be open on which nothing is worked on, waited for or told.
const IDLE: usize = 1280;

/// How the HTTP door behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// What clients call, such as `https://jobs.example.com`: signatures are made for it. Without it they count only for a
    /// loopback address, as the Host header has it, over plain http.
    pub public_url: Option<Url>,
    /// Whether the last address in `X-Forwarded-For` is who calls: only behind a reverse proxy that writes it.
    pub forwarded: bool,
    /// Web pages of these origins may call, such as `https://treeherder.example.com`.
    pub origins: Vec<String>,
    /// The largest body that is read, in bytes.
    pub body_bytes: usize,
    /// The memory that bodies and answers of more than 64 KiB have altogether, in bytes; more are answered 503.
    pub room_bytes: usize,
    /// How long a call's headers, and then its body, may take to arrive.
    pub read_within: Duration,
    /// How long an answer may take, waiting for a result aside.
    pub answer_within: Duration,
    /// The longest that somebody can wait for a request's result.
    pub longest_wait: Duration,
    /// How many connections may be open at once; more wait to be accepted.
    pub connections: usize,
    /// How many calls may be worked on at once, a quarter of them by one caller; more are answered 503.
    pub in_flight: usize,
    /// How many calls may wait for a request's end at once, a quarter of them by one caller; more are answered 503.
    pub waiting: usize,
    /// How many requests may be unfinished; a further one is answered 503.
    pub backlog: u64,
    /// How many calls a minute one address, and one client, may make for long. A sixth of it may come at once.
    pub per_minute: u32,
    /// For how long calls that are turned away are counted before the count is entered into the audit log.
    pub count_for: Duration,
    /// How many may follow events at once, a quarter of them from one address; more are answered 503.
    pub subscribers: usize,
    /// How many events wait for a subscriber that reads slowly.
    pub event_buffer: usize,
    /// How often a subscriber hears that the connection lives, and how long one that does not read is waited for.
    pub heartbeat: Duration,
    /// How long what was looked up counts: previews and lists may be that old. What is done is looked up anew.
    pub fresh: Duration,
    /// How many pages of a project's revisions are read from the index to list its pushes, beside one for each trust domain.
    pub index_pages: usize,
    /// The most labels, of all pushes together, that are kept in memory; the push last asked for is kept whatever it has.
    pub memory_labels: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            public_url: None,
            forwarded: false,
            origins: Vec::new(),
            body_bytes: 9 << 20,
            room_bytes: 256 << 20,
            read_within: Duration::from_secs(10),
            answer_within: Duration::from_secs(30),
            longest_wait: Duration::from_secs(60),
            connections: IDLE + 3 * 256,
            in_flight: 256,
            waiting: 256,
            backlog: 10_000,
            per_minute: 600,
            count_for: Duration::from_secs(60),
            subscribers: 256,
            event_buffer: 256,
            heartbeat: Duration::from_secs(15),
            fresh: Duration::from_secs(5),
            index_pages: 100,
            memory_labels: 500_000,
        }
    }
}

impl Settings {
    /// What whoever connects is held to.
    pub(super) fn bounds(&self) -> Bounds {
        let (connections, read_within) = (self.connections, self.read_within);
        Bounds { connections, read_within, sent_within: MAX_STALL, goodbye: MAX_GOODBYE }
    }
}

impl From<&Http> for Settings {
    fn from(http: &Http) -> Self {
        Self {
            // The configuration has parsed it already.
            public_url: http.public_url.as_deref().and_then(|url| Url::parse(url).ok()),
            forwarded: http.forwarded,
            origins: http.origins.clone(),
            body_bytes: usize::try_from(http.max_body).unwrap_or(usize::MAX),
            longest_wait: http.longest_wait,
            // Who waits or follows has a connection, and must not take it from others.
            connections: IDLE + (http.in_flight + http.waiting + http.subscribers) as usize,
            in_flight: http.in_flight as usize,
            waiting: http.waiting as usize,
            backlog: http.backlog.into(),
            per_minute: http.requests_per_minute,
            subscribers: http.subscribers as usize,
            fresh: http.fresh,
            ..Self::default()
        }
    }
}
