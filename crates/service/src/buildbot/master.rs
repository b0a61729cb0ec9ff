//! A master: asked with its session, its builders remembered for a moment.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures_util::future;
use http::HeaderMap;
use http::header::LOCATION;
use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use taskgraft_client::{Config, ConfigError, Reply, Site};
use taskgraft_core::glob::Glob;
use tokio::sync::Mutex;
use url::Url;

use super::Error;
use super::answers::{self, ForceSchedulers};
use super::outage::Outage;
use super::session::log_in;
use crate::config::Buildbot;

/// The most builders that are read of a master.
const MAX_BUILDERS: &str = "20000";
/// The longest name that a builder may have to be forced, in bytes.
const MAX_NAME: usize = 1024;
/// The longest answer that is read, in bytes.
const MAX_ANSWER: u64 = 16 << 20;
/// For how long builders are remembered.
const FRESH: Duration = Duration::from_secs(60);
/// And for how long it is that they, or a session, couldn't be had: so many requests don't wait one after the other.
const FRESH_FAILURE: Duration = Duration::from_secs(10);

/// A Buildbot master, as one of its users.
pub struct Master {
    pub(super) settings: Buildbot,
    password: Option<String>,
    pub(super) site: Site,
    pub(super) config: Config,
    pub(super) patterns: Vec<Glob>,
    pub(super) outage: Outage,
    session: Mutex<Option<Session>>,
    /// Held by who asks what it has.
    asking: Mutex<()>,
    known: std::sync::Mutex<Option<Remembered>>,
}

/// What a master has.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// All builders that it ever had, by number.
    pub(super) names: BTreeMap<u64, String>,
    /// Those that may be forced.
    pub(super) forceable: Vec<String>,
}

/// What a master said when it was last asked.
struct Remembered {
    at: Timestamp,
    known: Result<Arc<Known>, Error>,
}

/// What came of logging in.
struct Session {
    at: Timestamp,
    headers: Result<Arc<HeaderMap>, Error>,
}

impl Master {
    /// A master, as its user with this password. Nothing is asked yet; patience and clock are those of `config`.
    ///
    /// # Errors
    /// If its URL is unusable or TLS can't be set up.
    pub fn new(settings: Buildbot, password: Option<String>, config: Config) -> Result<Self, ConfigError> {
        let config = Config { root_url: settings.url.clone(), max_answer: MAX_ANSWER, ..config };
        Ok(Self {
            site: Site::new(config.clone())?,
            patterns: settings.builders.iter().map(|pattern| Glob::new(pattern)).collect(),
            settings,
            password,
            config,
            outage: Outage::default(),
            session: Mutex::default(),
            asking: Mutex::default(),
            known: std::sync::Mutex::default(),
        })
    }

    /// Its name in the configuration.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// Whether the configuration lets a builder of that name be forced.
    #[must_use]
    pub fn may_force(&self, builder: &str) -> bool {
        self.patterns.iter().any(|pattern| pattern.matches(builder))
    }

    /// The names of the builders that can be forced: those that its force scheduler serves, that it still has, and that
    /// the configuration allows. Remembered for a minute.
    ///
    /// # Errors
    /// If the master can't say.
    pub async fn builders(&self) -> Result<Vec<String>, Error> {
        Ok(self.known().await?.forceable.clone())
    }

    /// What it has, as it says now or said lately.
    pub(super) async fn known(&self) -> Result<Arc<Known>, Error> {
        let _asking = self.asking.lock().await;
        if let Some(known) = self.remembered() {
            return known;
        }
        let read = self.read_builders().await.map(Arc::new);
        if let Err(error) = &read {
            tracing::warn!(master = self.name(), "failed to list the builders: failed to {error}");
        }
        let remembered = Remembered { at: self.config.clock.now(), known: read.clone() };
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(remembered);
        read
    }

    /// What it said lately, or that it said nothing.
    pub(super) fn remembered(&self) -> Option<Result<Arc<Known>, Error>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let Remembered { at, known } = known.as_ref()?;
        let fresh = if known.is_ok() { FRESH } else { FRESH_FAILURE };
        (self.config.clock.now().duration_since(*at).unsigned_abs() < fresh).then(|| known.clone())
    }

    async fn read_builders(&self) -> Result<Known, Error> {
        let scheduler = ["api", "v2", "forceschedulers", &self.settings.scheduler];
        let served = self.get::<ForceSchedulers>("forceschedulers", &scheduler, &[("field", "builder_names")]);
        let fields = [("field", "builderid"), ("field", "name"), ("field", "masterids"), ("limit", MAX_BUILDERS)];
        let builders = self.get::<answers::Builders>("builders", &["api", "v2", "builders"], &fields);
        let (served, builders) = future::join(served, builders).await;
        let served = match served {
            Err(Error::Site(error)) if error.is_not_found() => None,
            served => served?.forceschedulers.pop(),
        };
        let Some(served) = served else { return Err(Error::NoScheduler(self.settings.scheduler.clone())) };
        let served: HashSet<String> = served.builder_names.into_iter().collect();
        let mut known = Known::default();
        for builder in builders?.builders {
            // A builder that was taken out of the master's configuration keeps its number, and no master.
            let here = !builder.masterids.is_empty() && served.contains(&builder.name);
            if here && builder.name.len() <= MAX_NAME && self.may_force(&builder.name) {
                known.forceable.push(builder.name.clone());
            }
            known.names.insert(builder.builderid, builder.name);
        }
        Ok(known)
    }

    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        call: &'static str,
        segments: &[&str],
        query: &[(&str, &str)],
    ) -> Result<T, Error> {
        let session = self.session().await?;
        let reply = match self.site.get(call, segments, query, &session).await {
            Err(taskgraft_client::Error::Rejected { status: 401 | 403, .. }) if self.password.is_some() => {
                let session = self.renew(&session).await?;
                self.site.get(call, segments, query, &session).await
            }
            reply => reply,
        };
        let reply = reply.map_err(answers::told)?;
        if reply.status.is_redirection() { Err(moved(call, &reply)) } else { answers::read(call, &reply.body) }
    }

    /// A control call, sent once; once more if the master turned it away for want of a session.
    pub(super) async fn post<T: Serialize>(
        &self,
        call: &'static str,
        segments: &[&str],
        body: &T,
    ) -> Result<Reply, Error> {
        let session = self.session().await?;
        let reply = self.site.post_once(call, segments, &session, body).await.map_err(answers::told)?;
        if !matches!(reply.status.as_u16(), 401 | 403) || self.password.is_none() {
            return Ok(reply);
        }
        let session = self.renew(&session).await?;
        self.site.post_once(call, segments, &session, body).await.map_err(answers::told)
    }

    async fn session(&self) -> Result<Arc<HeaderMap>, Error> {
        let mut session = self.session.lock().await;
        if let Some(Session { at, headers }) = &*session
            && (headers.is_ok() || self.config.clock.now().duration_since(*at).unsigned_abs() < FRESH_FAILURE)
        {
            return headers.clone();
        }
        let headers = self.log_in().await.map(Arc::new);
        *session = Some(Session { at: self.config.clock.now(), headers: headers.clone() });
        headers
    }

    async fn log_in(&self) -> Result<HeaderMap, Error> {
        match (&self.settings.user, &self.password) {
            (Some(user), Some(password)) => log_in(&self.site, user, password).await,
            (Some(_), None) | (None, _) => Ok(HeaderMap::new()),
        }
    }

    /// A session that is not `stale`: sessions end, and a master that starts anew may know none.
    async fn renew(&self, stale: &Arc<HeaderMap>) -> Result<Arc<HeaderMap>, Error> {
        let mut session = self.session.lock().await;
        let headers = session.as_ref().and_then(|session| session.headers.as_ref().ok());
        if headers.is_some_and(|headers| Arc::ptr_eq(headers, stale)) {
            *session = None;
        }
        drop(session);
        self.session().await
    }
}

/// Where an answer leads. It is not followed: what is sent to a master is not for whoever it names.
pub(super) fn moved(call: &'static str, reply: &Reply) -> Error {
    let location = reply.headers.get(LOCATION).and_then(|to| to.to_str().ok());
    let to = match location.map(Url::parse) {
        Some(Ok(url)) => url.origin().ascii_serialization(),
        Some(Err(_)) => "another page of its own".to_owned(),
        None => "nowhere".to_owned(),
    };
    Error::Moved { call, status: reply.status.as_u16(), to }
}

impl fmt::Debug for Master {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Master").field("settings", &self.settings).finish_non_exhaustive()
    }
}
