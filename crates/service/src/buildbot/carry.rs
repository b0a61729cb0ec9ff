//! The Buildbot half of a request.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{self, BoxFuture};

use super::report::Place;
use super::{BuildReport, Error, Forced, Mark, Master, Outcome, Wanted};

/// For how long copies are forced at one go. One at least is; who has more waits for its next turn.
const SPELL: Duration = Duration::from_secs(20);

/// Asked before each force, with what is to be said of its builds until more is known: whether that is written down, and
/// they are still to be forced.
pub type GoOn<'a> = &'a (dyn Fn(Vec<BuildReport>) -> BoxFuture<'a, bool> + Send + Sync);

/// What the scopes begin with that it takes to have builders forced.
pub const FORCE: &str = "taskgraft:force-build:";

/// The scope that it takes to have a builder forced.
#[must_use]
pub fn scope(master: &str, builder: &str) -> String {
    format!("{FORCE}{master}/{builder}")
}

/// Looks for the builds that a request wants, all masters at once, forces what is missing, and tells what became of each.
/// `told` is what this said before: what was the last word then is not touched again. Doing it again does what is missing,
/// which may be because a master didn't answer, or because `go_on` said no.
pub async fn carry(
    masters: &[Arc<Master>],
    wanted: &Wanted,
    told: &[BuildReport],
    go_on: GoOn<'_>,
) -> Vec<BuildReport> {
    let each = wanted.builds.builders.iter().map(|(name, builders)| async move {
        let told = told.iter().filter(|report| report.master == *name);
        let told: BTreeMap<Place<'_>, &BuildReport> = told.map(|report| (report.place(), report)).collect();
        match masters.iter().find(|master| master.name() == name) {
            Some(master) => master.carry(wanted, builders, &told, go_on).await,
            None => gone(name, wanted.builds.copies, builders, &told),
        }
    });
    future::join_all(each).await.into_iter().flatten().collect()
}

/// Of a master that is not in the configuration any more.
fn gone(master: &str, copies: u32, builders: &[String], told: &BTreeMap<Place<'_>, &BuildReport>) -> Vec<BuildReport> {
    let error = Error::NoMaster(master.to_owned());
    let all = (1..=copies).flat_map(|copy| builders.iter().map(move |builder| (builder.as_str(), copy)));
    let report = |place| match told.get(&place) {
        Some(told) if told.outcome.is_good() || !told.waits => BuildReport { waits: false, ..(*told).clone() },
        Some(_) | None => BuildReport::not(master, place, &error),
    };
    all.map(report).collect()
}

impl Master {
    async fn carry(
        &self,
        wanted: &Wanted,
        builders: &[String],
        told: &BTreeMap<Place<'_>, &BuildReport>,
        go_on: GoOn<'_>,
    ) -> Vec<BuildReport> {
        let coming: Vec<Place<'_>> = told.values().filter(|told| told.is_coming()).map(|told| told.place()).collect();
        let found = self.look(wanted, &coming).await.map(|mut found| {
            // What was there before the request was undone is not what is wanted now.
            found.retain(|forced| forced.undone == wanted.undone);
            found
        });
        let begun = self.config.clock.now();
        let (mut reports, mut forces) = (Vec::new(), 0);
        for copy in 1..=wanted.builds.copies {
            let mut missing = Vec::new();
            for builder in builders {
                let place = (builder.as_str(), copy);
                match self.known_of(wanted, place, told, &found) {
                    Some(report) => reports.push(report),
                    // What is configured now counts for what waits.
                    None if !self.may_force(builder) => {
                        reports.push(BuildReport::not(self.name(), place, &Error::Unallowed));
                    }
                    None => missing.push(builder.clone()),
                }
            }
            let spent = self.config.clock.now().duration_since(begun).unsigned_abs();
            if !missing.is_empty() && (forces == 0 || spent < SPELL) && go_on(self.about(copy, &missing)).await {
                reports.extend(self.force_these(wanted, copy, &missing).await);
                forces += 1;
            }
        }
        let order: HashMap<&str, usize> = builders.iter().enumerate().map(|(n, name)| (name.as_str(), n)).collect();
        reports.sort_by_key(|report| (report.copy, order.get(report.builder.as_str()).copied()));
        reports
    }

    /// What is to be said of builds that are about to be forced, until that has come to something.
    fn about(&self, copy: u32, missing: &[String]) -> Vec<BuildReport> {
        let error = Error::Unlooked { why: "no answer was received".to_owned() };
        missing.iter().map(|builder| BuildReport::not(self.name(), (builder, copy), &error)).collect()
    }

    /// What became of a build by what was found and by what was told before; none if it is to be forced.
    fn known_of(
        &self,
        wanted: &Wanted,
        place: Place<'_>,
        told: &BTreeMap<Place<'_>, &BuildReport>,
        found: &Result<Vec<Forced>, Error>,
    ) -> Option<BuildReport> {
        let before = told.get(&place).copied();
        let found = match found {
            Ok(found) => found,
            Err(error) => {
                return Some(match before {
                    Some(told) if told.outcome.is_good() => self.awaited(wanted, told.clone()),
                    Some(told) if !told.waits || told.outcome == Outcome::Unclear => told.clone(),
                    Some(_) | None => BuildReport::not(self.name(), place, error),
                });
            }
        };
        if let Some(forced) = found.iter().find(|forced| forced.place() == place) {
            let outcome = before.map_or(Outcome::Found, |told| told.outcome);
            let outcome = if outcome == Outcome::Forced { outcome } else { Outcome::Found };
            return Some(self.awaited(wanted, BuildReport::of(self.name(), outcome, forced)));
        }
        let before = before.filter(|told| !told.waits || told.outcome != Outcome::Failed)?;
        if !before.is_coming() {
            // It isn't there any more.
            return Some(BuildReport { waits: false, ..before.clone() });
        }
        // It has had its time. Where something is there that was forced with it, it wasn't.
        let coming = |forced: &Forced| told.get(&forced.place()).is_some_and(|told| told.is_coming());
        let came = found.iter().any(|forced| forced.copy == place.1 && coming(forced));
        let unserved = Error::Unserved(self.settings.scheduler.clone());
        Some(if came { BuildReport::not(self.name(), place, &unserved) } else { before.lost() })
    }

    async fn force_these(&self, wanted: &Wanted, copy: u32, missing: &[String]) -> Vec<BuildReport> {
        let mark = Mark { request: wanted.request.clone(), copy, undone: wanted.undone };
        let forced = self.force(&mark, wanted.received, missing, &wanted.builds.build).await;
        let report = |builder: &String| match &forced {
            Ok(forced) => match forced.iter().find(|forced| forced.builder == *builder) {
                Some(forced) => self.awaited(wanted, BuildReport::of(self.name(), Outcome::Forced, forced)),
                None => {
                    BuildReport::not(self.name(), (builder, copy), &Error::Unserved(self.settings.scheduler.clone()))
                }
            },
            Err(error) => BuildReport::not(self.name(), (builder, copy), error),
        };
        missing.iter().map(report).collect()
    }

    /// Whether its end is waited for.
    fn awaited(&self, wanted: &Wanted, report: BuildReport) -> BuildReport {
        let gone_by = self.config.clock.now().duration_since(wanted.sent).unsigned_abs();
        BuildReport { waits: report.result.is_none() && gone_by < self.settings.follow, ..report }
    }
}
