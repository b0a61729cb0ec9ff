//! Starting and stopping: from a data directory to a Taskcluster that answers.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use taskgraft_client::pulse::Broker;
use taskgraft_serve::{Bounds, serve};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use url::Url;

use crate::auth::{self, Auth, DirectoryError, RootCredentials, RootError};
use crate::http::{ApiError, App, AppError, Schemas, Service};
use crate::lock::{DataDir, LockError};
use crate::queue::{self, Queue, Settings};
use crate::tables::{CACHE_KIB, MIGRATIONS};
use crate::{Clock, Ctx, SystemClock, hooks, index};
use taskgraft_store::{Store, StoreError};

/// The database's file within the data directory.
pub(crate) const DATABASE: &str = "taskgraft.db";

/// Everything that is served.
const SERVICES: &[Service] = &[queue::SERVICE, index::SERVICE, auth::SERVICE, hooks::SERVICE];

/// How often what is due is looked for.
const JOBS_EVERY: Duration = Duration::from_millis(500);

/// How often what has expired is forgotten.
const PURGE_EVERY: Duration = Duration::from_secs(600);

/// How a server shall be.
#[derive(Clone)]
pub struct Config {
    /// Where everything is kept; made where there is none.
    pub data_dir: PathBuf,
    /// Where to listen; port 0 takes a free one. Loopback unless told otherwise.
    pub listen: SocketAddr,
    /// Where clients find it, if that is not where it listens: the address of a proxy.
    pub root_url: Option<Url>,
    /// How the queue behaves.
    pub queue: Settings,
    /// A broker that the queue's messages are published to.
    pub pulse: Option<Broker>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl Config {
    /// A server on a free port of this machine, which only this machine can reach.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            root_url: None,
            queue: Settings::default(),
            pulse: None,
            clock: Arc::new(SystemClock),
        }
    }
}

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory can't be had.
    #[error(transparent)]
    DataDir(#[from] LockError),
    /// There are no root credentials.
    #[error(transparent)]
    Root(#[from] RootError),
    /// The database can't be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The database's clients and roles can't be used.
    #[error("failed to read clients and roles")]
    Directory(#[from] DirectoryError),
    /// The address can't be had.
    #[error("failed to listen on {address}")]
    Listen {
        /// Which one.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// Root URLs have a host and no path.
    #[error("`{0}` is no root URL: http or https, a host, perhaps a port, and nothing after it")]
    RootUrl(String),
    /// What a crash left behind can't be put right.
    #[error("failed to put right what an earlier run left: {0}")]
    Recover(String),
    /// A defect in this crate.
    #[error(transparent)]
    App(#[from] AppError),
}

/// The embedded Taskcluster.
#[derive(Debug)]
pub struct Server;

impl Server {
    /// Takes the data directory, listens, and answers from then on.
    pub async fn start(config: Config) -> Result<Running, StartError> {
        let mut data_dir = DataDir::take(&config.data_dir)?;
        let root = RootCredentials::load_or_draw(data_dir.path())?;
        let store = Store::open(&data_dir.path().join(DATABASE), &MIGRATIONS, CACHE_KIB)?;
        let auth = Arc::new(Auth::open(&store, root).await?);
        let refused = |source| StartError::Listen { address: config.listen, source };
        let listener = TcpListener::bind(config.listen).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let root_url = config.root_url.as_ref().map(root_url).transpose()?;
        let (stop, stopping) = watch::channel(false);
        let ctx = Arc::new(Ctx {
            store,
            started: config.clock.now(),
            clock: config.clock,
            behind_proxy: root_url.is_some(),
            root_url: root_url.map_or_else(|| url_of(address), Ok)?,
            auth,
            queue: Queue::new(config.queue, config.pulse.is_some()),
            schemas: Schemas::compile().map_err(AppError::from)?,
            data_dir: data_dir.path().to_owned(),
            stopping,
        });
        queue::jobs::recover(&ctx).await.map_err(|error| StartError::Recover(error.message))?;
        if config.pulse.is_none() {
            queue::outbox::forget(&ctx).await?;
        }
        let app = Arc::new(App::new(Arc::clone(&ctx), SERVICES)?);
        // Only a help for whoever comes second; the lock holds without it.
        if let Err(error) = data_dir.tell(Some(address.to_string())) {
            tracing::warn!(%error, "failed to note the address in the lock file");
        }
        tracing::info!(%address, root_url = %ctx.root_url, data_dir = %data_dir.path().display(), "listening");
        let jobs = tokio::spawn(jobs(Arc::clone(&ctx), config.pulse));
        let stopped = Arc::clone(&ctx);
        let answer = move |request| {
            let app = Arc::clone(&app);
            async move { app.answer(request).await }
        };
        let serving = async move {
            serve(listener, answer, Bounds::default(), stopped.stopped()).await;
            // Even a job that panicked must not keep the directory from being given back.
            let _ = jobs.await;
            drop(data_dir);
        };
        Ok(Running { ctx, address, stop, served: Some(tokio::spawn(serving)) })
    }
}

/// A server that runs until it is stopped or this is dropped.
#[must_use = "a server stops when this is dropped"]
pub struct Running {
    ctx: Arc<Ctx>,
    address: SocketAddr,
    stop: watch::Sender<bool>,
    served: Option<JoinHandle<()>>,
}

impl Running {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where clients find it, without a slash at the end.
    #[must_use]
    pub fn root_url(&self) -> &str {
        self.ctx.root_url.as_str().trim_end_matches('/')
    }

    /// Credentials that may do everything.
    #[must_use]
    pub fn credentials(&self) -> &RootCredentials {
        self.ctx.auth.root()
    }

    /// What its handlers see.
    #[must_use]
    pub fn ctx(&self) -> &Arc<Ctx> {
        &self.ctx
    }

    /// Its data directory, absolute.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.ctx.data_dir
    }

    /// Takes no more requests; those that are being answered go on.
    pub fn begin_stop(&self) {
        self.stop.send_replace(true);
    }

    /// Takes no more requests, lets those that are being answered end, and gives the data directory back.
    pub async fn stop(mut self) {
        self.begin_stop();
        if let Some(served) = self.served.take() {
            // A panic in there was logged, and there is nothing left to do about it.
            let _ = served.await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.begin_stop();
    }
}

/// What happens without anybody asking.
async fn jobs(ctx: Arc<Ctx>, pulse: Option<Broker>) {
    // A hook may take its time; deadlines and claims don't wait for it.
    tokio::join!(
        every(&ctx, JOBS_EVERY, || queue::jobs::run_once(&ctx)),
        every(&ctx, JOBS_EVERY, || hooks::run_once(&ctx)),
        every(&ctx, PURGE_EVERY, || forget(&ctx)),
        async {
            if let Some(broker) = &pulse {
                queue::outbox::publish(&ctx, broker).await;
            }
        },
    );
}

/// Does a job again and again until the server stops.
async fn every<T, J: Future<Output = Result<T, ApiError>>>(ctx: &Ctx, period: Duration, job: impl Fn() -> J) {
    let mut due = tokio::time::interval(period);
    due.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = ctx.stopped() => return,
            _ = due.tick() => {}
        }
        if let Err(error) = job().await {
            tracing::warn!(%error, "a job failed; it is tried again");
        }
    }
}

/// Forgets everything that has expired.
async fn forget(ctx: &Arc<Ctx>) -> Result<(), ApiError> {
    queue::jobs::purge(ctx).await?;
    index::purge(ctx).await?;
    hooks::purge(ctx).await?;
    auth::tidy(ctx).await
}

/// A root URL as clients write it: only scheme, host and port.
fn root_url(url: &Url) -> Result<Url, StartError> {
    let bare = matches!(url.scheme(), "http" | "https")
        && url.host_str().is_some()
        && url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    if bare { Ok(url.clone()) } else { Err(StartError::RootUrl(url.to_string())) }
}

/// Where an address is reached from this machine.
fn url_of(address: SocketAddr) -> Result<Url, StartError> {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
    };
    let text = format!("http://{}", SocketAddr::new(ip, address.port()));
    Url::parse(&text).map_err(|_| StartError::RootUrl(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Access;

    #[test]
    fn root_urls_have_no_path() {
        for good in ["https://tc.example.com", "http://[::1]:80/", "https://tc.example.com:8443"] {
            assert!(root_url(&Url::parse(good).unwrap()).is_ok(), "{good}");
        }
        for bad in ["https://tc.example.com/api", "ftp://tc.example.com", "https://a@tc.example.com", "https://a/?b"] {
            assert!(root_url(&Url::parse(bad).unwrap()).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_reference_lists_every_endpoint() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/embedded-taskcluster.md");
        let text = std::fs::read_to_string(file).unwrap();
        let (_, endpoints) = text.split_once("## Endpoints").unwrap();
        let listed: Vec<&str> = endpoints.lines().filter(|line| line.starts_with("| `")).collect();
        let rows = SERVICES.iter().flat_map(|service| service.endpoints).map(|endpoint| {
            let access = match endpoint.access {
                Access::Open => "open".to_owned(),
                Access::Scope(scope) => format!("`{scope}`"),
                Access::All(scopes) => {
                    scopes.iter().map(|scope| format!("`{scope}`")).collect::<Vec<_>>().join(" and ")
                }
                Access::Handler => "by what is asked".to_owned(),
            };
            format!("| `{}` | `{} {}` | {access} |", endpoint.name, endpoint.method.as_str(), endpoint.path)
        });
        assert_eq!(listed, rows.collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn what_has_expired_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let running = Server::start(Config::new(dir.path())).await.unwrap();
        let store = &running.ctx().store;
        let insert = |tx: &rusqlite::Transaction<'_>| {
            tx.execute_batch(
                "INSERT INTO clients VALUES ('gone', 't', '', '[]', 1, 1, 1, 1, 1, 1, 0), \
                 ('kept', 't', '', '[]', 1, 1, 1, 1, 1, 0, 0); \
                 INSERT INTO indexed_tasks VALUES ('p', 'a', 'AAAAAAAAQAGAAAAAAAAAAA', 0, '{}', 1); \
                 INSERT INTO namespaces VALUES ('', 'p', 1)",
            )
        };
        store.write(move |tx| Ok::<_, StoreError>(insert(tx)?)).await.unwrap();
        forget(running.ctx()).await.unwrap();
        let count = "SELECT (SELECT group_concat(client_id) FROM clients) || (SELECT count(*) FROM indexed_tasks) \
                     || (SELECT count(*) FROM namespaces)";
        let left = store.read(move |tx| Ok::<_, StoreError>(tx.query_row(count, [], |row| row.get::<_, String>(0))?));
        assert_eq!(left.await.unwrap(), "kept00");
        running.stop().await;
    }

    #[test]
    fn everywhere_is_reached_here() {
        for (address, url) in [("0.0.0.0:80", "http://127.0.0.1/"), ("[::1]:8080", "http://[::1]:8080/")] {
            assert_eq!(url_of(address.parse().unwrap()).unwrap().as_str(), url);
        }
    }
}
