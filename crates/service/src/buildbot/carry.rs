//! The Buildbot half of a request.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::future;
use jiff::Timestamp;
use serde_json::Value;
use taskgraft_core::ids::RequestId;
use taskgraft_core::params::Parameters;

use super::{BuildReport, Builders, Error, Forced, Mark, Master, Outcome};

/// What a request wants of Buildbot.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The request.
    pub request: RequestId,
    /// When it was received: its builds are no older.
    pub received: Timestamp,
    /// How many builds of each builder; from 1.
    pub copies: u32,
    /// What is built.
    pub build: Build,
    /// The builders, by the place of their master in the list of masters.
    pub builders: BTreeMap<usize, Vec<String>>,
}

/// What a forced build builds: the fields of Buildbot's sources.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Build {
    /// The parameter `head_rev`.
    pub revision: String,
    /// The parameter `head_ref` without `refs/heads/`; the project where it names no branch, as with Mercurial.
    pub branch: String,
    /// The parameter `project`.
    pub project: String,
    /// The parameter `head_repository`.
    pub repository: String,
}

impl Build {
    /// Of a push's parameters; what they don't say stays empty.
    #[must_use]
    pub fn of(parameters: &Parameters) -> Self {
        let text = |name| parameters.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (revision, project, head_ref) = (text("head_rev"), text("project"), text("head_ref"));
        let branch = head_ref.strip_prefix("refs/heads/").unwrap_or(&head_ref);
        let branch = if branch.is_empty() || branch == revision { &project } else { branch };
        Self { branch: branch.to_owned(), revision, repository: text("head_repository"), project }
    }
}

/// What the scopes begin with that it takes to have builders forced.
pub const FORCE: &str = "taskgraft:force-build:";

/// The scope that it takes to have a builder forced.
#[must_use]
pub fn scope(master: &str, builder: &str) -> String {
    format!("{FORCE}{master}/{builder}")
}

/// What each master can be asked for now.
pub async fn offers(masters: &[Arc<Master>]) -> Vec<Builders> {
    future::join_all(masters.iter().map(|master| master.offer())).await
}

/// Sees to it that the builds exist that a request wants, all masters at once, and tells what became of each. Doing it
/// again does what is missing.
pub async fn carry(masters: &[Arc<Master>], wanted: &Wanted) -> Vec<BuildReport> {
    let each = wanted.builders.iter().filter_map(|(place, builders)| Some((masters.get(*place)?, builders)));
    let each = each.map(|(master, builders)| master.carry(wanted, builders));
    future::join_all(each).await.into_iter().flatten().collect()
}

impl Master {
    async fn offer(&self) -> Builders {
        match self.builders().await {
            Ok(builders) => Builders::Named(builders.into_iter().collect()),
            Err(error) => {
                tracing::warn!(master = self.name(), "failed to list the builders: failed to {error}");
                Builders::Silent(self.patterns.clone())
            }
        }
    }

    async fn carry(&self, wanted: &Wanted, builders: &[String]) -> Vec<BuildReport> {
        let mut reports = self.force_missing(wanted, builders).await;
        let pending = reports.iter().any(|report| report.outcome.is_good() && report.result.is_none());
        if pending && !self.settings.follow.is_zero() {
            match self.follow(&wanted.request, wanted.received, self.settings.follow).await {
                Ok(ended) => reports.iter_mut().for_each(|report| report.update(&ended)),
                Err(error) => tracing::warn!(master = self.name(), "failed to follow the builds: failed to {error}"),
            }
        }
        reports
    }

    async fn force_missing(&self, wanted: &Wanted, builders: &[String]) -> Vec<BuildReport> {
        let mut found = match self.find(&wanted.request, wanted.received).await {
            Ok(found) => found,
            Err(error) => {
                let all = (1..=wanted.copies).flat_map(|copy| builders.iter().map(move |builder| (builder, copy)));
                return all.map(|(builder, copy)| self.not((builder, copy), &error)).collect();
            }
        };
        found.retain(|forced| builders.contains(&forced.builder));
        let mut reports: Vec<BuildReport> =
            found.iter().map(|forced| BuildReport::of(self.name(), Outcome::Found, forced)).collect();
        for copy in 1..=wanted.copies {
            let there: BTreeSet<&str> =
                found.iter().filter(|forced| forced.copy == copy).map(|forced| forced.builder.as_str()).collect();
            let missing: Vec<String> =
                builders.iter().filter(|builder| !there.contains(builder.as_str())).cloned().collect();
            if !missing.is_empty() {
                reports.extend(self.force_these(wanted, copy, &missing).await);
            }
        }
        reports
    }

    async fn force_these(&self, wanted: &Wanted, copy: u32, missing: &[String]) -> Vec<BuildReport> {
        let mark = Mark { request: wanted.request.clone(), copy };
        let forced = self.force(&mark, wanted.received, missing, &wanted.build).await;
        let report = |builder: &String| match &forced {
            Ok(forced) => match forced.iter().find(|forced| forced.builder == *builder) {
                Some(forced) => BuildReport::of(self.name(), Outcome::Forced, forced),
                None => {
                    let why = format!("the force scheduler `{}` doesn't serve it", self.settings.scheduler);
                    BuildReport::not(self.name(), Outcome::Refused, (builder, copy), why)
                }
            },
            Err(error) => self.not((builder, copy), error),
        };
        missing.iter().map(report).collect()
    }

    fn not(&self, build: (&str, u32), error: &Error) -> BuildReport {
        BuildReport::not(self.name(), Outcome::from(error), build, format!("failed to {error}"))
    }
}

impl BuildReport {
    /// With how far the build has come since.
    fn update(&mut self, now: &[Forced]) {
        if let Some(now) = now.iter().find(|now| (now.copy, &now.builder) == (self.copy, &self.builder)) {
            self.result = now.ended.map(str::to_owned);
            self.url = Some(now.url.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_branch_is_the_ref_s_or_the_project() {
        let build = |head_ref: &str| {
            let parameters = json!({
                "project": "try", "head_rev": "a1b2", "head_ref": head_ref, "head_repository": "https://hg.example.com/try",
            });
            Build::of(&Parameters::new(parameters).unwrap()).branch
        };
        assert_eq!([build("refs/heads/main"), build("main"), build("a1b2"), build("")], ["main", "main", "try", "try"]);
        assert_eq!(Build::of(&Parameters::default()), Build::default());
    }
}
