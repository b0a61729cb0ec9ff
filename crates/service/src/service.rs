//! The service as a whole: the journal, who carries what is in it, and the doors before it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use taskgraft_client::pulse::Broker;
use taskgraft_client::{Client, Credentials};
use taskgraft_engine::Cache;
use taskgraft_store::{Lock, LockError};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};

use crate::carry::{self, Carrier};
use crate::config::{Config, Secrets};
use crate::http;
use crate::journal::{Journal, JournalError, Settings};
use crate::live::Live;
use crate::log::Keeper;
use crate::made::{Made, MakeError};
use crate::pulse::{self, ListenError, Listener};
use crate::reach::{Need, Pace, Reach};

/// How often what has been kept long enough is forgotten.
const TIDY: Duration = Duration::from_secs(3600);

/// What the service is made of.
pub struct Parts {
    /// What it is told.
    pub config: Config,
    /// What is not told in a file.
    pub secrets: Secrets,
    /// Taskcluster, without credentials.
    pub reader: Client,
    /// The service's own credentials, which are only ever used narrowed.
    pub credentials: Credentials,
    /// Where downloads are kept.
    pub cache: Cache,
    /// The journal's file.
    pub journal: PathBuf,
    /// What is heard of tasks.
    pub live: Live,
    /// What keeps log lines of requests, where the log passes them on.
    pub keeper: Option<Keeper>,
}

/// Why the service can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The journal can't be opened.
    #[error("open the journal {}: {error}", .path.display())]
    Journal {
        /// Its file.
        path: PathBuf,
        /// Why.
        error: JournalError,
    },
    /// Another service carries what is in the journal.
    #[error("carry the journal {}: {error}", .path.display())]
    Carried {
        /// Its file.
        path: PathBuf,
        /// By whom, or what is wrong with the lock.
        error: LockError,
    },
    /// The address is taken, for one.
    #[error("listen on {address}: {error}")]
    Address {
        /// Where.
        address: SocketAddr,
        /// Why not.
        error: std::io::Error,
    },
    /// It can't be as its configuration has it: all that is wrong.
    #[error("{}", all(.0))]
    Unmade(Vec<MakeError>),
}

fn all(wrong: &[MakeError]) -> String {
    wrong.iter().map(MakeError::to_string).collect::<Vec<_>>().join("; failed to ")
}

/// Why a door is shut while the service runs.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    /// The broker will not have us.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The broker will not tell what becomes of tasks.
    #[error("hear of tasks' states: {0}")]
    States(#[from] taskgraft_client::pulse::Error),
    /// A defect.
    #[error("keep a door open: {0}")]
    Broke(#[from] JoinError),
}

/// The service, running.
pub struct Service {
    journal: Journal,
    address: SocketAddr,
    carrier: Carrier,
    /// Becomes true when doors are to close.
    closing: watch::Sender<bool>,
    doors: JoinSet<Result<(), DoorError>>,
    /// Becomes true when nothing more will be logged.
    quiet: watch::Sender<bool>,
    keeping: JoinSet<()>,
    /// Others may write the journal; one carries what is in it.
    _lock: Lock,
}

impl Service {
    /// What keeps one from starting, as far as that shows without asking anybody or writing anything: all of it.
    #[must_use]
    pub fn check(config: &Config, secrets: &Secrets, reader: &Client) -> Vec<MakeError> {
        Made::of(config, secrets, reader).err().unwrap_or_default()
    }

    /// Opens the journal, takes up what is unfinished, and opens the doors.
    ///
    /// # Errors
    /// If the journal can't be opened, or a door can't.
    pub async fn start(parts: Parts) -> Result<Self, StartError> {
        let Parts { config, secrets, reader, credentials, cache, journal: path, live, keeper } = parts;
        let unopened = |error| StartError::Journal { path: path.clone(), error };
        let made = Made::of(&config, &secrets, &reader).map_err(StartError::Unmade)?;
        let Made { listener, events, masters, resolver } = made;
        let address = config.http.listen;
        let socket = TcpListener::bind(address).await;
        let socket = socket.and_then(|socket| Ok((socket.local_addr()?, socket)));
        let (address, socket) = socket.map_err(|error| StartError::Address { address, error })?;
        let settings = Settings { keep: (&config.keep).into(), ..Settings::default() };
        let mut lock = carrying(&path)?;
        let journal = Journal::open(&path, settings, Arc::clone(reader.clock())).await.map_err(unopened)?;
        let (closing, close) = watch::channel(false);
        let (quiet, mut hushed) = watch::channel(false);
        let mut keeping = JoinSet::new();
        if let Some(keeper) = keeper {
            let journal = journal.clone();
            let end = async move { drop(hushed.wait_for(|quiet| *quiet).await) };
            keeping.spawn(keeper.run(journal, end));
        }
        let pace = Pace::default();
        let http = http::Parts {
            client: reader.clone(),
            cache: cache.clone(),
            journal: journal.clone(),
            masters: Arc::clone(&masters),
            live: live.clone(),
            listened: listener.as_ref().map(Listener::counters),
            reach: Reach::watch(Need::all(&journal, &reader, &pace), pace, close.clone()),
            stopping: close.clone(),
            settings: (&config.http).into(),
        };
        let carrier = Carrier::start(carry::Parts {
            journal: journal.clone(),
            reader,
            credentials,
            cache,
            live: live.clone(),
            resolver,
            masters,
            projects: config.project,
            limits: config.carry,
        });
        let carrier = carrier.await.map_err(unopened)?;
        let mut doors = JoinSet::new();
        doors.spawn(tidy(journal.clone(), close.clone()));
        doors.spawn(answer(socket, http));
        if let Some(broker) = events {
            doors.spawn(hear(broker, live.clone(), close.clone()));
        }
        if let Some(listener) = listener {
            doors.spawn(listen(listener, journal.clone(), close));
        }
        // Whoever comes next then isn't told where, and is refused all the same.
        let _ = lock.tell(Some(address.to_string()));
        Ok(Self { journal, address, carrier, closing, doors, quiet, keeping, _lock: lock })
    }

    /// Where the HTTP API is.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where requests are written down.
    #[must_use]
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Resolves when a door has given up, with the reason; never while all of them are open. The service is to be stopped
    /// then: what comes to that door would wait unheard. Dropped before it is ready, it loses nothing.
    pub async fn ended(&mut self) -> DoorError {
        while let Some(ended) = self.doors.join_next().await {
            match ended {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return error,
                Err(broke) => return broke.into(),
            }
        }
        std::future::pending().await
    }

    /// Closes the doors, then lets what is on its way come to rest. What is unfinished is in the journal.
    pub async fn stop(mut self) {
        // There may be nobody to hear it.
        let _ = self.closing.send(true);
        while self.doors.join_next().await.is_some() {}
        self.carrier.stop().await;
        let _ = self.quiet.send(true);
        while self.keeping.join_next().await.is_some() {}
    }
}

/// The lock beside the journal that stands for carrying what is in it.
fn carrying(journal: &Path) -> Result<Lock, StartError> {
    let mut name = journal.as_os_str().to_owned();
    name.push(".lock");
    Lock::take(Path::new(&name)).map_err(|error| StartError::Carried { path: journal.to_owned(), error })
}

/// The HTTP door.
async fn answer(socket: TcpListener, parts: http::Parts) -> Result<(), DoorError> {
    http::serve(socket, parts).await;
    Ok(())
}

/// The pulse door.
async fn listen(listener: Listener, journal: Journal, close: watch::Receiver<bool>) -> Result<(), DoorError> {
    Ok(listener.run(journal, close).await?)
}

/// What the queue's exchanges say.
async fn hear(broker: Broker, live: Live, close: watch::Receiver<bool>) -> Result<(), DoorError> {
    Ok(pulse::hear_states(&broker, &live, close).await?)
}

async fn tidy(journal: Journal, mut close: watch::Receiver<bool>) -> Result<(), DoorError> {
    let mut ticks = tokio::time::interval(TIDY);
    loop {
        tokio::select! {
            _ = close.wait_for(|close| *close) => return Ok(()),
            _ = ticks.tick() => {}
        }
        // It goes on where it was another time.
        let purged = tokio::select! {
            _ = close.wait_for(|close| *close) => return Ok(()),
            purged = journal.purge() => purged,
        };
        match purged {
            Ok(purged) => tracing::debug!(?purged, "tidied the journal"),
            Err(error) => tracing::warn!(%error, "failed to tidy the journal"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::poll;

    use super::*;
    use crate::journal::testing::Place;

    #[tokio::test]
    async fn a_journal_that_is_being_tidied_keeps_nobody_from_stopping() {
        let place = Place::new().await;
        let other = rusqlite::Connection::open(place.dir.path().join("journal")).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let (close, closing) = watch::channel(false);
        // What is behind it can't be written before this gives up.
        let mut writing = pin!(place.journal.try_write());
        let mut tidying = pin!(tidy(place.journal.clone(), closing));
        assert!(poll!(&mut writing).is_pending());
        // It begins at once, and so before this is over.
        tokio::select! {
            biased;
            _ = &mut tidying => panic!("it has ended"),
            () = tokio::time::sleep(Duration::from_millis(10)) => {}
        }
        close.send_replace(true);
        tokio::select! {
            biased;
            ended = tidying => ended.unwrap(),
            _ = writing => panic!("it waits for the journal"),
        }
    }
}
