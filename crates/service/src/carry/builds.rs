//! Requests that name builders of a Buildbot beside the push's labels, or only those.
//!
//! What is for Buildbot is decided once, and written down with the permission. What is left is carried like any request.
//! Builds are forced once that has been sent, while the action task runs; that they are about to be is written down first,
//! and where they were forced before, by a turn that was cut off, they are found. A turn looks once: while a build goes on,
//! or a master doesn't answer, there is another turn later. The request ends when both halves have.

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use taskgraft_engine::Push;

use super::ground::Place;
use super::ledger::{self, Ledger};
use super::setback::Setback;
use super::turn::{Turn, Work};
use super::undo::{Taken, of_its};
use crate::authority::permit_builds;
use crate::buildbot::{self, Build, BuildReport, Builds, Wanted};
use crate::journal::{Change, JournalError};
use crate::log;
use crate::log::mask;
use crate::pulse::policy;
use crate::request::Request;
use crate::state::{Event, State};

impl Work {
    /// Has a request sent: first it is decided, unless it was, what of it is for Buildbot.
    pub(super) async fn begin(&self, request: &Request) -> Result<Turn, Setback> {
        if request.state == State::Received {
            self.end_undoing(request).await?;
        }
        let adds = request.asked.action == buildbot::ADD && !self.masters.is_empty();
        let forces = request.builds.as_ref().map_or(adds, |builds| !builds.is_empty());
        let place = if forces && request.state == State::Received { Some(self.place(request).await?) } else { None };
        let builds = match (&request.builds, &place) {
            (Some(builds), _) => builds.clone(),
            (None, Some(place)) => self.divide(request, place).await?,
            (None, None) => Builds::default(),
        };
        let request = &Request { builds: Some(builds), ..request.clone() };
        let Some(builds) = request.forces() else { return self.ask(request, None).await };
        // Nothing of a request is done of which a part may not be.
        let allowed = match &place {
            Some(place) => Some(self.may_force(request, place, builds).await?),
            None => None,
        };
        if request.action_input().is_some() {
            // Then, in its next turn, the builds are forced.
            let why = allowed.and_then(|allowed| allowed.why);
            return self
                .ask(request, why.as_deref())
                .await
                .map(|turn| if matches!(turn, Turn::Follow(_)) { Turn::Again } else { turn });
        }
        if let Some(allowed) = allowed {
            self.journal.apply(&request.id, Event::Allowed, allowed).await?;
        }
        self.journal.apply(&request.id, Event::Sent, Change::default()).await?;
        Ok(Turn::Again)
    }

    async fn divide(&self, request: &Request, place: &Place<'_>) -> Result<Builds, Setback> {
        let masters = self.masters.of(&place.name);
        if masters.is_empty() {
            return Ok(Builds::default());
        }
        let push = Push::load(&self.reader, &self.artifacts, place.found.decision).await?;
        let build = Build::of(&place.push.parameters);
        let divided = buildbot::divide(masters, &request.asked, build, |name| push.graph.contains(name)).await;
        divided.map_err(|error| Setback::Refused(format!("failed to {error}")))
    }

    /// What is written down once the request may have its builds forced.
    async fn may_force(&self, request: &Request, place: &Place<'_>, builds: &Builds) -> Result<Change, Setback> {
        log::decided(&tracing::Span::current(), place.found.decision);
        let named = builds.builders.iter();
        let needs: Vec<String> = named
            .flat_map(|(master, builders)| builders.iter().map(|builder| buildbot::scope(master, builder)))
            .collect();
        let comes_to = (request.asked.action.as_str(), policy::jobs(&request.asked));
        let why = permit_builds(&self.reader, &request.asker, place.project, comes_to, &needs).await?;
        Ok(Change {
            project: Some(place.name.clone()),
            decision: Some(place.found.decision),
            builds: request.builds.clone(),
            why: Some(why),
            ..Change::default()
        })
    }

    /// Takes the builds of a request that was sent as far as they go by now; none where all is said of them, and what
    /// is left is its action task.
    pub(super) async fn build(&self, request: &Request) -> Result<Option<Turn>, Setback> {
        let Some(builds) = request.forces() else { return Ok(None) };
        let (before, alone) = (told(request), request.action_input().is_none());
        if !alone && builds.are_settled(&before) {
            return Ok(None);
        }
        let Carried { reports, written } = self.carried(request, builds, &before).await?;
        for report in reports.iter().filter(|report| !before.contains(report)) {
            let (outcome, builder, url) = (&report.outcome, &report.builder, report.url.as_deref());
            tracing::info!(master = report.master, builder, copy = report.copy, ?outcome, url, "build");
        }
        let settled = builds.are_settled(&reports);
        let change = Change { report: Some(ledger::text(&reports)), ..Change::default() };
        if settled && alone {
            return self.built(request, &reports, change).await.map(Some);
        }
        if reports != written {
            self.journal.facts(&request.id, change).await?;
        }
        Ok(Some(if settled { Turn::Again } else { waiting(&reports) }))
    }

    async fn carried(
        &self,
        request: &Request,
        builds: &Builds,
        before: &[BuildReport],
    ) -> Result<Carried, JournalError> {
        let masters = self.masters.of(request.project.as_deref().unwrap_or_default());
        let ledger = Ledger::of(&self.journal, &request.id, before);
        // Somebody may cancel it while it is forced, copy by copy.
        let go_on = |about: Vec<BuildReport>| -> BoxFuture<'_, bool> { ledger.begin(about).boxed() };
        let mut reports = buildbot::carry(masters, &wanted(request, builds), before, &go_on).await;
        if self.is_past(request) {
            reports.iter_mut().for_each(BuildReport::give_up);
        }
        Ok(Carried { reports, written: ledger.close()? })
    }

    /// The end of a request that was for Buildbot alone.
    async fn built(&self, request: &Request, reports: &[BuildReport], change: Change) -> Result<Turn, Setback> {
        let error = lacking(reports);
        let event = if error.is_none() { Event::Succeeded } else { Event::Failed };
        match &error {
            None => tracing::info!(builds = reports.len(), "done"),
            Some(why) => tracing::warn!(%why, "failed"),
        }
        self.journal.apply(&request.id, event, Change { error, ..change }).await?;
        Ok(Turn::Over)
    }

    /// Cancels the builds that carry the request's mark, if it has any.
    pub(super) async fn take_back_builds(&self, request: &Request, taken: &mut Taken) -> Result<(), JournalError> {
        let (Some(builds), Some(project)) = (request.forces(), request.project.as_deref()) else { return Ok(()) };
        let (mut cancelled, mut whole) = (0, true);
        for (master, answer) in self.masters.cancel(project, &wanted(request, builds), &told(request)).await {
            match answer {
                Ok(builds) => cancelled += builds.len(),
                Err(error) => {
                    whole = false;
                    let why = format!("cancel builds on {master}: failed to {error}");
                    taken.lacks(Setback::failed(error.passes(), mask(&why)))?;
                }
            }
        }
        tracing::info!(builds = cancelled, "cancelled builds");
        if whole || cancelled > 0 {
            taken.done.push(of_its(cancelled, "builds"));
        }
        Ok(())
    }
}

/// What became of a request's builds in a turn.
struct Carried {
    reports: Vec<BuildReport>,
    /// What the journal says of it.
    written: Vec<BuildReport>,
}

/// The builds that are to be there because of a request.
fn wanted(request: &Request, builds: &Builds) -> Wanted {
    Wanted {
        request: request.id.clone(),
        undone: request.undone,
        received: request.received.0,
        sent: request.changed.0,
        builds: builds.clone(),
    }
}

/// What there is to wait for.
fn waiting(reports: &[BuildReport]) -> Turn {
    let mut waits = reports.iter().filter(|report| report.waits);
    match waits.clone().find(|report| !report.outcome.is_good()).or_else(|| waits.next()) {
        Some(report) => {
            let why = report.reason.as_deref().unwrap_or("it has not ended");
            let why = format!("the build of {} on {}: {why}", report.builder, report.master);
            tracing::debug!(%why, "later");
            Turn::Later(why)
        }
        // There are more to force than fit into one turn, or somebody has just cancelled it.
        None => Turn::Again,
    }
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
