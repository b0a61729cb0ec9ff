//! The HTTP machinery under the client: rustls on ring, no redirects followed on its own.

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

/// Whether the URL is on this machine, where no forward proxy leads.
fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
