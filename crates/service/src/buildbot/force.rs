//! Forcing builds, once.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use serde_json::json;

use super::answers::{self, Buildrequest, Rpc};
use super::find::LOOKS;
use super::master::moved;
use super::{Build, Error, Forced, Mark, Master};

impl Master {
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
                return self.settle(mark, received, builders, error.to_string()).await;
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
                let forced = self.told(requests.into_iter().map(pending).collect(), &marks, &HashMap::new()).await;
                forced.map_err(|error| unlooked("it was, in its words", &error))
            }
            // Turned away at the door: another time, perhaps.
            (429, _) => Err(Error::away("force", 429)),
            (400..=499 | 501, _) => Err(Error::Refused { status, why }),
            // The master has ended with it, whatever it has done: one look is enough.
            (500, Ok(Rpc { error: Some(_), .. })) => {
                self.look_once(mark, received, builders, Error::Refused { status, why }).await
            }
            (300..=399, _) => self.look_once(mark, received, builders, moved("force", &reply)).await,
            (status, _) => self.settle(mark, received, builders, format!("{status} {why}")).await,
        }
    }

    /// The builds if they are there all the same, else `otherwise`.
    async fn look_once(
        &self,
        mark: &Mark,
        received: Timestamp,
        builders: &[String],
        otherwise: Error,
    ) -> Result<Vec<Forced>, Error> {
        match self.found(mark, received, builders).await {
            Ok(found) if !found.is_empty() => Ok(found),
            Ok(_) => Err(otherwise),
            Err(error) => Err(unlooked(&format!("failed to {otherwise}"), &error)),
        }
    }

    /// Looks for builds that may have been forced.
    async fn settle(
        &self,
        mark: &Mark,
        received: Timestamp,
        builders: &[String],
        why: String,
    ) -> Result<Vec<Forced>, Error> {
        tracing::warn!(master = self.name(), why, "no clear answer to a force: looking for the build");
        for pause in LOOKS {
            self.config.clock.sleep(pause).await;
            match self.found(mark, received, builders).await {
                Ok(found) if found.is_empty() => {}
                Ok(found) => return Ok(found),
                Err(error) => return Err(unlooked(&why, &error)),
            }
        }
        Err(Error::Unclear { why })
    }

    /// What is there of a force. Others of the same copy may have been forced before.
    async fn found(&self, mark: &Mark, received: Timestamp, builders: &[String]) -> Result<Vec<Forced>, Error> {
        let mut found = self.find(&mark.request, received).await?;
        found.retain(|forced| (forced.copy, forced.undone) == (mark.copy, mark.undone));
        found.retain(|forced| builders.contains(&forced.builder));
        Ok(found)
    }
}

/// `why` nobody knows whether a build was forced, and why looking for it came to nothing.
fn unlooked(why: &str, error: &Error) -> Error {
    let why = format!("{why}; failed to {error}");
    if error.passes() { Error::Unlooked { why } } else { Error::Unclear { why } }
}
