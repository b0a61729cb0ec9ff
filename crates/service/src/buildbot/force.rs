//! Forcing builds once, finding them again, and undoing them.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use taskgraft_client::{Cause, Error as SiteError};
use taskgraft_core::ids::RequestId;

use super::answers::{self, Buildrequest, Buildrequests, Builds, Buildsets, Rpc};
use super::master::moved;
use super::{Build, Error, Mark, Master};

/// The most buildsets that one request is looked for in, and the most build requests that they may have. Of both a
/// request has less.
const MAX_SETS: usize = 500;
const MAX_REQUESTS: usize = 5000;
/// How many questions are asked at once.
const AT_ONCE: usize = 8;
/// A master's clock may differ by so much.
const SKEW: SignedDuration = SignedDuration::from_hours(24);
/// The pauses before each look for a build that may have been forced: a request may still be on its way.
const LOOKS: [Duration; 4] = [Duration::ZERO, Duration::from_secs(1), Duration::from_secs(3), Duration::from_secs(10)];

/// A build that was forced, as far as it has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forced {
    /// Its builder.
    pub builder: String,
    /// Which copy it is, from 1.
    pub copy: u32,
    /// How often the request had been undone when it was forced.
    pub undone: u32,
    /// The number of its buildset.
    pub buildset: u64,
    /// The number of its build request.
    pub request: u64,
    /// Where people see it: the build, or its request while there is none.
    pub url: String,
    /// How it ended: `success`, `warnings`, `failure`, `skipped`, `exception`, `retry` or `cancelled`; none before.
    pub ended: Option<&'static str>,
}

impl Master {
    /// The builds of a request, by the reason of their buildsets. Those before `received` are not looked at.
    ///
    /// # Errors
    /// If the master can't say.
    pub async fn find(&self, request: &RequestId, received: Timestamp) -> Result<Vec<Forced>, Error> {
        let since = received.checked_sub(SKEW).unwrap_or(received).as_second().to_string();
        // Its `contains` is SQL's LIKE: what it finds is looked at again.
        let most = MAX_SETS.to_string();
        let query = [
            ("reason__contains", request.as_str()),
            ("submitted_at__ge", &since),
            ("order", "-bsid"),
            ("limit", &most),
        ];
        let sets = self.get::<Buildsets>("buildsets", &["api", "v2", "buildsets"], &query).await?.buildsets;
        let marks: BTreeMap<u64, Mark> = sets
            .iter()
            .take(MAX_SETS)
            .filter_map(|set| Mark::find(&set.reason).map(|mark| (set.bsid, mark)))
            .filter(|(_, mark)| mark.request == *request)
            .collect();
        // Collected first: as iterators they would make the whole a future that can't be spawned.
        let requests: Vec<_> = marks.keys().map(|bsid| self.requests_of(*bsid)).collect();
        let requests: Vec<Vec<Buildrequest>> = stream::iter(requests).buffered(AT_ONCE).try_collect().await?;
        let requests: Vec<Buildrequest> = requests.into_iter().flatten().take(MAX_REQUESTS).collect();
        let numbers: Vec<_> = requests
            .iter()
            .filter(|request| request.claimed)
            .map(|request| self.number_of(request.buildrequestid))
            .collect();
        let numbers: Vec<Option<(u64, u64)>> = stream::iter(numbers).buffered(AT_ONCE).try_collect().await?;
        let mut found = self.told(requests, &marks, &numbers.into_iter().flatten().collect()).await?;
        found.sort_by(|one, other| (one.copy, &one.builder).cmp(&(other.copy, &other.builder)));
        Ok(found)
    }

    /// Forces builders once, together, and does not return before it is known whether they are.
    ///
    /// Builders that are not in the answer were not forced: the force scheduler doesn't serve them.
    ///
    /// # Errors
    /// [`Error::Unclear`] if it could not be found out; otherwise nothing was forced.
    pub async fn force(
        &self,
        mark: &Mark,
        received: Timestamp,
        builders: &[String],
        build: &Build,
    ) -> Result<Vec<Forced>, Error> {
        let scheduler = ["api", "v2", "forceschedulers", &self.settings.scheduler];
        // By name: by number, Buildbot forces builders too that the scheduler isn't for.
        let call = json!({
            "jsonrpc": "2.0", "method": "force", "id": mark.to_string(),
            "params": {
                "builderNames": builders,
                "reason": mark.to_string(),
                "branch": build.branch,
                "revision": build.revision,
                "project": build.project,
                "repository": build.repository,
            },
        });
        let reply = match self.post("force", &scheduler, &call).await {
            Ok(reply) => reply,
            Err(Error::Site(error)) if error.may_have_happened() => {
                return self.settle(mark, received, error.to_string()).await;
            }
            Err(error) => return Err(error),
        };
        let (status, why) = (reply.status.as_u16(), answers::words(&reply.body));
        let answer: Result<Rpc<(u64, BTreeMap<u64, u64>)>, _> = answers::read("force", &reply.body);
        match (status, answer) {
            (200, Ok(Rpc { result: Some((bsid, requests)), error: None })) => {
                let marks = BTreeMap::from([(bsid, mark.clone())]);
                let pending = |(builderid, buildrequestid)| Buildrequest {
                    buildrequestid,
                    buildsetid: bsid,
                    builderid,
                    claimed: false,
                    complete: false,
                    results: None,
                };
                self.told(requests.into_iter().map(pending).collect(), &marks, &BTreeMap::new()).await
            }
            // Turned away at the door: another time, perhaps.
            (429, _) => Err(Error::Site(SiteError::Transient {
                call: "force",
                last: Cause::Status(429),
                tries: 1,
                elapsed: Duration::ZERO,
            })),
            (400..=499 | 501, _) => Err(Error::Refused { status, why }),
            // The master has ended with it, whatever it has done: one look is enough.
            (500, Ok(Rpc { error: Some(_), .. })) => {
                self.look_once(mark, received, Error::Refused { status, why }).await
            }
            (300..=399, _) => self.look_once(mark, received, moved("force", &reply)).await,
            (status, _) => self.settle(mark, received, format!("{status} {why}")).await,
        }
    }

    /// The builds if they are there all the same, else `otherwise`.
    async fn look_once(&self, mark: &Mark, received: Timestamp, otherwise: Error) -> Result<Vec<Forced>, Error> {
        match self.found(mark, received).await {
            Ok(found) if !found.is_empty() => Ok(found),
            Ok(_) => Err(otherwise),
            Err(error) => Err(unlooked(&format!("failed to {otherwise}"), &error)),
        }
    }

    /// Looks for builds that may have been forced.
    async fn settle(&self, mark: &Mark, received: Timestamp, why: String) -> Result<Vec<Forced>, Error> {
        tracing::warn!(master = self.name(), why, "no clear answer to a force: looking for the build");
        for pause in LOOKS {
            self.config.clock.sleep(pause).await;
            match self.found(mark, received).await {
                Ok(found) if found.is_empty() => {}
                Ok(found) => return Ok(found),
                Err(error) => return Err(unlooked(&why, &error)),
            }
        }
        Err(Error::Unclear { why })
    }

    async fn found(&self, mark: &Mark, received: Timestamp) -> Result<Vec<Forced>, Error> {
        let mut found = self.find(&mark.request, received).await?;
        found.retain(|forced| (forced.copy, forced.undone) == (mark.copy, mark.undone));
        Ok(found)
    }

    /// Cancels what has not ended of a request's builds, and says what that was.
    ///
    /// # Errors
    /// If the master does not answer, or refuses.
    pub async fn cancel(&self, request: &RequestId, received: Timestamp) -> Result<Vec<Forced>, Error> {
        let mut found = self.find(request, received).await?;
        found.retain(|forced| forced.ended.is_none());
        for forced in &found {
            let call = json!({
                "jsonrpc": "2.0", "method": "cancel", "id": 1,
                "params": {"reason": format!("taskgraft request {request} is cancelled")},
            });
            let segments = ["api", "v2", "buildrequests", &forced.request.to_string()];
            let reply = self.post("cancel", &segments, &call).await?;
            if !reply.status.is_success() {
                return Err(Error::Refused { status: reply.status.as_u16(), why: answers::words(&reply.body) });
            }
        }
        Ok(found)
    }

    /// The build requests of a buildset.
    async fn requests_of(&self, buildset: u64) -> Result<Vec<Buildrequest>, Error> {
        let (segments, buildset) = (["api", "v2", "buildrequests"], buildset.to_string());
        let requests: Buildrequests = self.get("buildrequests", &segments, &[("buildsetid__eq", &buildset)]).await?;
        Ok(requests.buildrequests)
    }

    /// A build request with the number of its newest build, if there is one.
    async fn number_of(&self, request: u64) -> Result<Option<(u64, u64)>, Error> {
        let segments = ["api", "v2", "buildrequests", &request.to_string(), "builds"];
        let builds: Builds = self.get("builds", &segments, &[]).await?;
        Ok(builds.builds.iter().map(|build| build.number).max().map(|number| (request, number)))
    }

    /// Build requests with the names of their builders and where people see them.
    async fn told(
        &self,
        requests: Vec<Buildrequest>,
        marks: &BTreeMap<u64, Mark>,
        numbers: &BTreeMap<u64, u64>,
    ) -> Result<Vec<Forced>, Error> {
        let known = self.known().await?;
        let base = self.settings.url.trim_end_matches('/');
        let told = |request: Buildrequest| {
            let (builder, id) = (request.builderid, request.buildrequestid);
            let mark = marks.get(&request.buildsetid)?;
            Some(Forced {
                builder: known.names.get(&builder).cloned().unwrap_or_else(|| format!("builder {builder}")),
                copy: mark.copy,
                undone: mark.undone,
                buildset: request.buildsetid,
                request: id,
                url: match numbers.get(&id) {
                    Some(number) => format!("{base}/#/builders/{builder}/builds/{number}"),
                    None => format!("{base}/#/buildrequests/{id}"),
                },
                ended: answers::result(request.complete, request.results),
            })
        };
        Ok(requests.into_iter().filter_map(told).collect())
    }
}

/// `why` nobody knows whether a build was forced, and why looking for it came to nothing.
fn unlooked(why: &str, error: &Error) -> Error {
    let why = format!("{why}; failed to {error}");
    if error.passes() { Error::Unlooked { why } } else { Error::Unclear { why } }
}
