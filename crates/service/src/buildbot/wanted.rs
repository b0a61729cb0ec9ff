//! What of a request is for Buildbot: decided once, and written down.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use taskgraft_core::ids::RequestId;
use taskgraft_core::params::Parameters;

use super::BuildReport;

/// What of a request is for Buildbot. Once the request is let through this stays as it is, whatever builders its masters
/// get or lose: the names that are left are what the push's action was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Builds {
    /// How many builds of each builder; from 1.
    pub copies: u32,
    /// What is built.
    pub build: Build,
    /// The builders, by the configuration's name of their master; none where nothing is for Buildbot.
    pub builders: BTreeMap<String, Vec<String>>,
}

/// What a forced build builds: the fields of Buildbot's sources.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
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

/// The builds that are to be there because of a request.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The request.
    pub request: RequestId,
    /// How often somebody wanted it undone before.
    pub undone: u32,
    /// When it was received: its builds are no older.
    pub received: Timestamp,
    /// When it was sent: from then on the ends of its builds are waited for.
    pub sent: Timestamp,
    /// Which.
    pub builds: Builds,
}

impl Builds {
    /// Whether nothing is for Buildbot.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.builders.is_empty()
    }

    /// How many builds that makes.
    #[must_use]
    pub fn count(&self) -> usize {
        let builders: usize = self.builders.values().map(Vec::len).sum();
        builders.saturating_mul(usize::try_from(self.copies).unwrap_or(usize::MAX))
    }

    /// Whether these reports are the last word on all of them.
    #[must_use]
    pub fn are_settled(&self, reports: &[BuildReport]) -> bool {
        reports.len() >= self.count() && reports.iter().all(|report| !report.waits)
    }

    /// An action's input without the builders; none where it names nothing else.
    #[must_use]
    pub fn rest(&self, input: &Value) -> Option<Value> {
        if self.is_empty() {
            return Some(input.clone());
        }
        let builders: BTreeSet<&str> = self.builders.values().flatten().map(String::as_str).collect();
        let mut rest = input.clone();
        let names = rest.get_mut("tasks")?.as_array_mut()?;
        names.retain(|name| !name.as_str().is_some_and(|name| builders.contains(name)));
        if names.is_empty() { None } else { Some(rest) }
    }
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

    #[test]
    fn the_action_is_asked_for_what_is_no_builder() {
        let builders = ["one", "two"].map(str::to_owned).to_vec();
        let builds =
            Builds { builders: BTreeMap::from([("old".to_owned(), builders)]), copies: 2, ..Builds::default() };
        let rest = builds.rest(&json!({"tasks": ["label", "one", "label", "two"], "times": 2}));
        assert_eq!(rest, Some(json!({"tasks": ["label", "label"], "times": 2})));
        assert_eq!(builds.rest(&json!({"tasks": ["two", "one"]})), None);
        assert_eq!(Builds::default().rest(&Value::Null), Some(Value::Null));
        assert_eq!(builds.count(), 4);
        assert!(!builds.are_settled(&[]) && Builds::default().are_settled(&[]));
    }
}
