//! A broker, and how to connect to it.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use lapin::tcp::AsyncTcpStream;
use lapin::{Connection, ConnectionProperties};
use rustls::ClientConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls_platform_verifier::Verifier;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

use super::runtime::{self, Pipe, pipe};
use super::session::Session;
use super::{Address, Consumer, Error, Publisher, Subscription, Topology};

/// How long a connection may take to be made, and then a consumer on it.
pub(super) const CONNECT: Duration = Duration::from_secs(20);

/// A broker. Cheap to clone; connects when something is consumed or published.
#[derive(Clone)]
pub struct Broker {
    address: Address,
    tls: Option<TlsConnector>,
}

impl Broker {
    /// The broker at that address. For `amqps://` its certificate must be vouched for by one of the machine's
    /// authorities, or of those in `authorities` (PEM), which may be empty.
    ///
    /// # Errors
    /// The authorities are no certificates, or there are none at all.
    pub fn new(address: Address, authorities: &[u8]) -> Result<Self, Error> {
        let tls = match address.is_tls() {
            true => {
                let config = tls_config(authorities).map_err(|why| Error::Tls { address: address.clone(), why })?;
                Some(TlsConnector::from(Arc::new(config)))
            }
            false => None,
        };
        Ok(Self { address, tls })
    }

    /// Where it is.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Deliveries out of a queue, from the first call of `next` on.
    #[must_use]
    pub fn consume(&self, subscription: Subscription) -> Consumer {
        Consumer::new(self.clone(), subscription)
    }

    /// A publisher, which declares `topology` before it publishes.
    #[must_use]
    pub fn publisher(&self, topology: Topology) -> Publisher {
        Publisher::new(self.clone(), topology)
    }

    /// Connects, opens a channel and declares what has to be there.
    pub(super) async fn open(&self, topology: &Topology) -> Result<Session, Error> {
        let opened = async {
            let cut = CancellationToken::new();
            // However this ends: nothing of what didn't become a session stays.
            let guard = cut.clone().drop_guard();
            let connection = self.connect(cut).await?;
            let channel = connection.create_channel().await.map_err(|error| self.error(&error))?;
            topology.declare(&channel).await.map_err(|fault| fault.at(self))?;
            Ok(Session { connection, channel, _cut: guard })
        };
        self.within(CONNECT, opened).await
    }

    /// What the broker does within `time`. lapin may leave an answer out when a connection breaks.
    pub(super) async fn within<T>(
        &self,
        time: Duration,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let late = |_| Error::Lost { address: self.address.clone(), why: format!("no answer in {} s", time.as_secs()) };
        tokio::time::timeout(time, work).await.unwrap_or_else(|elapsed| Err(late(elapsed)))
    }

    pub(super) fn error(&self, error: &lapin::Error) -> Error {
        Error::from_lapin(&self.address, error)
    }

    async fn connect(&self, cut: CancellationToken) -> Result<Connection, Error> {
        let tls = self.tls.clone();
        let open = async move |uri: lapin::uri::AMQPUri, _| {
            let opening = open(&uri.authority.host, uri.authority.port, tls.clone(), cut.clone());
            let stream = cut.run_until_cancelled(opening).await.unwrap_or_else(|| Err(runtime::cut()))?;
            Ok(AsyncTcpStream::Plain(stream))
        };
        let options = ConnectionProperties::default().with_connection_name("taskgraft".into());
        let connection = Connection::connector(*self.address.uri.clone(), runtime::current(), open, options).await;
        connection.map_err(|error| self.error(&error))
    }
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broker").field("address", &self.address).finish_non_exhaustive()
    }
}

async fn open(host: &str, port: u16, tls: Option<TlsConnector>, cut: CancellationToken) -> io::Result<Pipe> {
    let stream = TcpStream::connect((host, port)).await?;
    stream.set_nodelay(true)?;
    let Some(tls) = tls else { return Ok(pipe(stream, cut)) };
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    Ok(pipe(tls.connect(name, stream).await?, cut))
}

fn tls_config(authorities: &[u8]) -> Result<ClientConfig, String> {
    let provider = Arc::new(ring::default_provider());
    let roots: Vec<_> =
        CertificateDer::pem_slice_iter(authorities).collect::<Result<_, _>>().map_err(|error| error.to_string())?;
    if roots.is_empty() && !authorities.is_empty() {
        return Err("the file of authorities holds no certificate".to_owned());
    }
    let verifier = Verifier::new_with_extra_roots(roots, Arc::clone(&provider)).map_err(|error| error.to_string())?;
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| error.to_string())?;
    // The verifier is the one that HTTPS uses; what is dangerous is to bring a lax one.
    Ok(builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities_that_are_none_are_refused() {
        let address: Address = "amqps://ann:s3cret@pulse.example.com".parse().unwrap();
        for authorities in ["x", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            let error = Broker::new(address.clone(), authorities.as_bytes()).unwrap_err();
            assert!(matches!(error, Error::Tls { .. }), "{error}");
        }
        let plain: Address = "amqp://localhost".parse().unwrap();
        assert!(Broker::new(plain, b"").is_ok());
    }
}
