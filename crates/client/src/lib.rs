//! Taskcluster over HTTP: typed calls to the queue, index and auth services; and [`pulse`] over AMQP.
//!
//! One [`Client`] signs (Hawk), sends, bounds what it reads and retries; the services are thin lists of calls on top
//! of it. Nothing here reads the environment: what is needed comes in a [`Config`].
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use taskgraft_client::{Client, Config};
//! let client = Client::new(Config::new("https://tc.example.com"))?;
//! let status = client.queue().status("fN1SbArXTPSVFUUvaOlinQ".parse()?).await?;
//! # let _ = status;
//! # Ok(())
//! # }
//! ```

mod artifact;
mod auth;
mod call;
mod clock;
mod config;
mod credentials;
mod error;
mod forward;
mod hooks;
mod index;
mod pages;
pub mod pulse;
mod queue;
mod retry;
pub mod run;
mod site;
mod tls;
mod transport;
mod worker;

pub use artifact::{Download, Upload};
pub use auth::Auth;
pub use clock::{Clock, SystemClock};
pub use config::{Config, ConfigError};
pub use credentials::Credentials;
pub use error::{Cause, Error};
pub use hooks::Hooks;
pub use index::Index;
pub use queue::Queue;
pub use retry::Retry;
pub use site::{Reply, Site};
pub use tls::is_loopback;
pub use transport::Client;
