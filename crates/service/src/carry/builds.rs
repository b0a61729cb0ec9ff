//! Requests that name builders of a Buildbot beside the push's labels, or only those.
//!
//! What is left without the builders is carried like any request. Builds are forced once that has been sent, while the
//! action task runs; where they were forced before, by a turn that was cut off, they are found. The request ends when
//! both halves have.

use std::sync::Arc;

use serde_json::json;
use taskgraft_engine::Push;

use super::ground::Place;
use super::setback::Setback;
use super::turn::{Turn, Work};
use crate::asked::Asked;
use crate::authority::permit_builds;
use crate::buildbot::{self, Build, BuildReport, DivideError, Error, Master, Outcome, Wanted};
use crate::journal::Change;
use crate::log;
use crate::pulse::policy;
use crate::request::Request;
use crate::state::{Event, State};

/// A request in two halves.
pub(super) struct Halves<'a> {
    place: Place<'a>,
    masters: &'a [Arc<Master>],
    wanted: Wanted,
    /// What is for the push's action, if anything is.
    rest: Option<Request>,
}

impl Work {
    /// The request's halves, if a part of it is for Buildbot and is not settled.
    pub(super) async fn halves(&self, request: &Request) -> Result<Option<Halves<'_>>, Setback> {
        let settled = request.state.is_terminal() || (request.state == State::Asked && !told(request).is_empty());
        let untouched = request.state == State::Cancelling && request.decision.is_none();
        if settled || untouched || request.asked.action != buildbot::ADD || self.masters.is_empty() {
            return Ok(None);
        }
        let place = self.place(request).await?;
        let masters = self.masters.of(&place.name);
        if masters.is_empty() {
            return Ok(None);
        }
        let push = Push::load(&self.reader, &self.artifacts, place.found.decision).await?;
        let divided = buildbot::divide(masters, &request.asked, |name| push.graph.contains(name)).await;
        let divided = match divided {
            Ok(Some(divided)) => divided,
            Ok(None) => return Ok(None),
            Err(error @ (DivideError::Unknown(_) | DivideError::Times)) => {
                return Err(Setback::Refused(format!("failed to {error}")));
            }
        };
        let wanted = Wanted {
            request: request.id.clone(),
            received: request.received.0,
            copies: divided.copies,
            build: Build::of(&place.push.parameters),
            builders: divided.builders,
        };
        let rest = |input| Request { asked: Asked { input, ..request.asked.clone() }, ..request.clone() };
        Ok(Some(Halves { place, masters, wanted, rest: divided.input.map(rest) }))
    }

    /// Cancels whatever builds carry the request's mark, whether or not its masters still have their builders.
    pub(super) async fn take_back_builds(&self, request: &Request) -> Result<(), Setback> {
        match request.project.as_deref() {
            Some(project) if request.asked.action == buildbot::ADD && !self.masters.of(project).is_empty() => {
                self.cancel_builds(project, request).await
            }
            Some(_) | None => Ok(()),
        }
    }

    async fn cancel_builds(&self, project: &str, request: &Request) -> Result<(), Setback> {
        let cancelled = self.masters.cancel(project, &request.id, request.received.0).await.map_err(uncancelled)?;
        tracing::info!(builds = cancelled.len(), "cancelled builds");
        Ok(())
    }

    /// Takes both halves as far as they go by now.
    pub(super) async fn both(&self, request: &Request, halves: Halves<'_>) -> Result<Turn, Setback> {
        log::decided(&tracing::Span::current(), halves.place.found.decision);
        match request.state {
            State::Received | State::Ready => self.ask_both(request, &halves).await,
            State::Asked => {
                self.force(request, &halves).await?;
                // The journal now says what became of it.
                Ok(Turn::Again)
            }
            State::Cancelling => {
                self.cancel_builds(&halves.place.name, request).await?;
                self.undo(halves.rest.as_ref().unwrap_or(request)).await
            }
            State::Done | State::Failed | State::Refused | State::Cancelled => Ok(Turn::Over),
        }
    }

    /// Has the push's half sent; nothing of a request is done of which a part may not be.
    async fn ask_both(&self, request: &Request, halves: &Halves<'_>) -> Result<Turn, Setback> {
        let why = if request.state == State::Received { Some(self.may_force(request, halves).await?) } else { None };
        if let Some(rest) = &halves.rest {
            // Then, in its next turn, the builds are forced.
            return self.ask(rest).await.map(|turn| if matches!(turn, Turn::Follow(_)) { Turn::Again } else { turn });
        }
        if let Some(why) = why {
            let (project, decision) = (Some(halves.place.name.clone()), Some(halves.place.found.decision));
            let change = Change { project, decision, why: Some(why), ..Change::default() };
            self.journal.apply(&request.id, Event::Allowed, change).await?;
        }
        self.journal.apply(&request.id, Event::Sent, Change::default()).await?;
        Ok(Turn::Again)
    }

    async fn may_force(&self, request: &Request, halves: &Halves<'_>) -> Result<String, Setback> {
        let named =
            halves.wanted.builders.iter().filter_map(|(at, builders)| Some((halves.masters.get(*at)?, builders)));
        let needs: Vec<String> = named
            .flat_map(|(master, builders)| builders.iter().map(|builder| buildbot::scope(master.name(), builder)))
            .collect();
        let comes_to = (request.asked.action.as_str(), policy::jobs(&request.asked));
        Ok(permit_builds(&self.reader, &request.asker, halves.place.project, comes_to, &needs).await?)
    }

    /// Sees to it that the builds are there, and writes down what became of them; where nothing else was asked for, the
    /// request is then at its end.
    async fn force(&self, request: &Request, halves: &Halves<'_>) -> Result<(), Setback> {
        let reports = buildbot::carry(halves.masters, &halves.wanted).await;
        for report in &reports {
            let (outcome, builder, url) = (&report.outcome, &report.builder, report.url.as_deref());
            tracing::info!(master = report.master, builder, copy = report.copy, ?outcome, url, "build");
        }
        let change = Change { report: Some(json!({"buildbot": reports})), ..Change::default() };
        if halves.rest.is_some() {
            self.journal.facts(&request.id, change).await?;
            return Ok(());
        }
        let error = lacking(&reports);
        let event = if error.is_none() { Event::Succeeded } else { Event::Failed };
        match &error {
            None => tracing::info!(builds = reports.len(), "done"),
            Some(why) => tracing::warn!(%why, "failed"),
        }
        self.journal.apply(&request.id, event, Change { error, ..change }).await?;
        Ok(())
    }
}

fn uncancelled(error: Error) -> Setback {
    let passes = Outcome::from(&error) != Outcome::Refused;
    Setback::failed(passes, format!("cancel builds: failed to {error}"))
}

/// What the journal says of a request's builds.
pub(super) fn told(request: &Request) -> Vec<BuildReport> {
    let reports = request.report.as_ref().and_then(|report| report.get("buildbot"));
    // What is there was written by us.
    reports.and_then(|reports| serde_json::from_value(reports.clone()).ok()).unwrap_or_default()
}

/// Which builds are not there, in words.
pub(super) fn lacking(reports: &[BuildReport]) -> Option<String> {
    let bad: Vec<&BuildReport> = reports.iter().filter(|report| !report.outcome.is_good()).collect();
    let first = bad.first()?;
    let why = first.reason.as_deref().unwrap_or_default();
    Some(format!("{} of {} builds were not forced: {}: {why}", bad.len(), reports.len(), first.builder))
}
