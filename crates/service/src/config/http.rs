//! `[http]`: the HTTP API.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde::Serialize;

use super::duration;
use super::file::web_url;
use super::table::Table;

/// How the HTTP API is served, and how much it takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Http {
    /// `listen`: address and port; port 0 takes a free one.
    pub listen: SocketAddr,
    /// `public_url`: what callers call it, where a proxy stands before it. Hawk signs host and port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_url: Option<String>,
    /// `max_body`: the longest body, in bytes.
    pub max_body: u64,
    /// `requests_per_minute`: how many calls one asker may make.
    pub requests_per_minute: u32,
    /// `in_flight`: how many calls are worked on at once.
    pub in_flight: u32,
    /// `longest_wait`: the longest that a call waits for a request's end.
    #[serde(serialize_with = "duration::serialize")]
    pub longest_wait: Duration,
}

impl Http {
    pub(super) fn read(table: &Table<'_>) -> Self {
        let small = |key, bounds, default| {
            table.number(key, bounds).and_then(|number| u32::try_from(number).ok()).unwrap_or(default)
        };
        let listen = table.parsed("listen", |text| {
            text.parse().map_err(|_| "an address and a port are needed, such as \"127.0.0.1:8080\"")
        });
        Self {
            listen: listen.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 8080))),
            public_url: table.parsed("public_url", |text| web_url(text).map(|_| text.trim_end_matches('/').to_owned())),
            max_body: table.number("max_body", 1024..=16 << 20).unwrap_or(9 << 20),
            requests_per_minute: small("requests_per_minute", 1..=1_000_000, 600),
            in_flight: small("in_flight", 1..=100_000, 256),
            longest_wait: table
                .duration("longest_wait", Duration::from_secs(1)..=Duration::from_secs(600))
                .unwrap_or(Duration::from_secs(60)),
        }
    }
}
