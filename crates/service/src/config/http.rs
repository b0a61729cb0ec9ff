//! `[http]`: the HTTP API.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde::Serialize;

use super::duration;
use super::table::Table;
use super::url::base_url;

/// What is wrong with an address that others reach, and no name for it.
const UNNAMED: &str = "others than this machine reach it, so signatures have to be for a known host: say in `http.public_url` \
     what callers call, such as \"https://jobs.example.com\", or listen on 127.0.0.1";

/// How the HTTP API is served, and how much it takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Http {
    /// `listen`: address and port; port 0 takes a free one.
    pub listen: SocketAddr,
    /// `public_url`: what callers call it. Hawk signs host and port; only on a loopback address they need no saying.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_url: Option<String>,
    /// `forwarded`: whether the last address in X-Forwarded-For is who calls; only behind a proxy that writes it.
    pub forwarded: bool,
    /// `origins`: web pages of these origins may call.
    pub origins: Vec<String>,
    /// `max_body`: the longest body, in bytes.
    pub max_body: u64,
    /// `requests_per_minute`: how many calls one asker may make.
    pub requests_per_minute: u32,
    /// `in_flight`: how many calls are worked on at once, a quarter of them by one caller.
    pub in_flight: u32,
    /// `waiting`: how many calls may wait for a request's end at once.
    pub waiting: u32,
    /// `backlog`: how many requests may be unfinished before no more are taken.
    pub backlog: u32,
    /// `longest_wait`: the longest that a call waits for a request's end.
    #[serde(serialize_with = "duration::serialize")]
    pub longest_wait: Duration,
    /// `fresh`: how long what was looked up for lists and previews counts.
    #[serde(serialize_with = "duration::serialize")]
    pub fresh: Duration,
    /// `subscribers`: how many may follow events at once.
    pub subscribers: u32,
}

impl Http {
    pub(super) fn read(table: &Table<'_>) -> Self {
        let small = |key, bounds, default| {
            table.number(key, bounds).and_then(|number| u32::try_from(number).ok()).unwrap_or(default)
        };
        let listen = table.parsed("listen", |text| {
            text.parse().map_err(|_| "an address and a port are needed, such as \"127.0.0.1:8080\"")
        });
        let listen = listen.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)));
        let public_url = table.parsed("public_url", base_url);
        // A signature is for a host: which one that is may not be for the caller to say.
        if !listen.ip().is_loopback() && !table.has("public_url") {
            table.wrong("listen", UNNAMED);
        }
        Self {
            listen,
            public_url,
            forwarded: table.flag("forwarded").unwrap_or(false),
            origins: table.texts("origins").unwrap_or_default(),
            max_body: table.number("max_body", 1024..=16 << 20).unwrap_or(9 << 20),
            requests_per_minute: small("requests_per_minute", 1..=1_000_000, 600),
            in_flight: small("in_flight", 1..=100_000, 256),
            waiting: small("waiting", 1..=100_000, 256),
            backlog: small("backlog", 1..=10_000_000, 10_000),
            longest_wait: table
                .duration("longest_wait", Duration::from_secs(1)..=Duration::from_secs(600))
                .unwrap_or(Duration::from_secs(60)),
            fresh: table.duration("fresh", Duration::ZERO..=Duration::from_secs(600)).unwrap_or(Duration::from_secs(5)),
            subscribers: small("subscribers", 1..=100_000, 256),
        }
    }
}
