//! The HTTP machinery under the client: rustls on ring, no redirects followed on its own.

use std::net::Ipv4Addr;
use std::sync::Once;
use std::time::Duration;

use url::{Host, Url};

use crate::ConfigError;

/// One connection pool. Redirects are answers here: the caller decides which to follow.
pub(crate) fn http(base: &Url) -> Result<reqwest::Client, ConfigError> {
    static PROVIDER: Once = Once::new();
    // A process has one TLS provider; that another was installed before ours is fine.
    PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
    let builder = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(Duration::from_secs(10))
        .pool_max_idle_per_host(64)
        .tcp_nodelay(true)
        .user_agent(concat!("taskgraft/", env!("CARGO_PKG_VERSION")));
    let builder = if is_loopback(base) { builder.no_proxy() } else { builder };
    builder.build().map_err(ConfigError::Http)
}

/// Whether a URL leads no further than the machine that it is used on, whichever that is: no forward proxy leads there, and
/// nobody on the way reads along.
#[must_use]
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        // Of URLs that are none of the web's, an address is a name like any other.
        Some(Host::Domain(name)) => {
            name == "localhost" || name.parse().is_ok_and(|address: Ipv4Addr| address.is_loopback())
        }
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_here_is_told_from_what_is_elsewhere() {
        for scheme in ["http", "https", "amqp", "amqps"] {
            let is_here = |host: &str| is_loopback(&format!("{scheme}://{host}:1234/x").parse().unwrap());
            assert!(["localhost", "127.0.0.1", "127.9.9.9", "[::1]"].into_iter().all(is_here), "{scheme}");
            let elsewhere =
                ["example.com", "localhost.example.com", "192.0.2.1", "127.0.0.1.example.com", "[2001:db8::1]"];
            assert!(!elsewhere.into_iter().any(is_here), "{scheme}");
        }
    }
}
