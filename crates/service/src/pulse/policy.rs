//! Which messages are let through. A message only asserts who asks, so nothing is allowed that no rule names.

use std::collections::BTreeMap;
use std::fmt;

use taskgraft_core::glob::Glob;

use crate::asked::Asked;
use crate::config::{Allow, Project};

/// What a rule looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts<'a> {
    /// The full name of the exchange that the message came from.
    pub exchange: &'a str,
    /// Who the message says asks.
    pub requester: &'a str,
    /// The action, in our words.
    pub action: &'a str,
    /// How many jobs it asks for, copies counted, as far as that is known: at least so many.
    pub jobs: u64,
    /// The push's level; none while the push isn't known, and then any counts.
    pub level: Option<&'a str>,
}

/// What a rule lets a message do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Which rule of the project, from 1.
    pub rule: usize,
    /// The request acts with `assume:<role>`.
    pub role: String,
    /// At most so many jobs.
    pub max_jobs: u64,
}

/// No rule lets the message through: what the nearest one does not allow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There are no rules.
    #[error("the project has no rule that lets pulse messages through")]
    NoRules,
    /// The rule that fits best doesn't fit.
    #[error("no rule lets it through; of rule {rule}, which comes nearest, {}", sentence(.fields))]
    Nearest {
        /// Which rule, from 1.
        rule: usize,
        /// What doesn't fit; at least one.
        fields: Vec<Mismatch>,
    },
}

/// A field of a rule that does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mismatch {
    /// `exchanges` has no pattern for this one.
    Exchange(String),
    /// `requesters` has no pattern for this one.
    Requester(String),
    /// `actions` has no pattern for this one.
    Action(String),
    /// `levels` lacks this one.
    Level(String),
    /// `max_jobs` is less than is asked for.
    Jobs {
        /// What is asked for.
        asked: u64,
        /// What is allowed.
        max: u64,
    },
}

fn sentence(fields: &[Mismatch]) -> String {
    fields.iter().map(Mismatch::to_string).collect::<Vec<_>>().join(" and ")
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exchange(name) => write!(f, "`exchanges` does not name {name}"),
            Self::Requester(name) => write!(f, "`requesters` does not name {name}"),
            Self::Action(name) => write!(f, "`actions` does not name {name}"),
            Self::Level(level) => write!(f, "`levels` does not name {level}"),
            Self::Jobs { asked, max } => write!(f, "`max_jobs` is {max}, and {asked} are asked for"),
        }
    }
}

/// What the rules say. The first that fits counts.
///
/// # Errors
/// If none fits.
pub fn decide(rules: &[Allow], facts: &Facts<'_>) -> Result<Grant, Refused> {
    let mut nearest: Option<(usize, Vec<Mismatch>)> = None;
    for (rule, allow) in (1..).zip(rules) {
        let fields = mismatches(allow, facts);
        if fields.is_empty() {
            return Ok(Grant { rule, role: allow.role.clone(), max_jobs: allow.max_jobs });
        }
        if nearest.as_ref().is_none_or(|(_, fewest)| fields.len() < fewest.len()) {
            nearest = Some((rule, fields));
        }
    }
    Err(nearest.map_or(Refused::NoRules, |(rule, fields)| Refused::Nearest { rule, fields }))
}

fn mismatches(rule: &Allow, facts: &Facts<'_>) -> Vec<Mismatch> {
    let names = |patterns: &[String], text: &str| patterns.iter().any(|pattern| Glob::new(pattern).matches(text));
    let exchange = (!names(&rule.exchanges, facts.exchange)).then(|| Mismatch::Exchange(facts.exchange.to_owned()));
    let requester =
        (!names(&rule.requesters, facts.requester)).then(|| Mismatch::Requester(facts.requester.to_owned()));
    let action = (!names(&rule.actions, facts.action)).then(|| Mismatch::Action(facts.action.to_owned()));
    let level = facts.level.filter(|level| !rule.levels.iter().any(|named| named == level));
    let level = level.map(|level| Mismatch::Level(level.to_owned()));
    let jobs = (facts.jobs > rule.max_jobs).then_some(Mismatch::Jobs { asked: facts.jobs, max: rule.max_jobs });
    [exchange, requester, action, level, jobs].into_iter().flatten().collect()
}

/// The project that is called so: by its own name, else by the one that its Treeherder has for it.
#[must_use]
pub fn project<'a>(projects: &'a BTreeMap<String, Project>, called: &str) -> Option<(&'a str, &'a Project)> {
    let alias = |project: &Project| {
        let treeherder = project.treeherder.as_ref();
        treeherder.and_then(|treeherder| treeherder.project.as_deref()) == Some(called)
    };
    let own = projects.get_key_value(called);
    own.or_else(|| projects.iter().find(|(_, project)| alias(project))).map(|(name, project)| (name.as_str(), project))
}

/// How many jobs a request asks for, by itself: for what is found out on the push only, the fewest that it can be.
#[must_use]
pub fn jobs(asked: &Asked) -> u64 {
    let times = asked.input.get("times").and_then(serde_json::Value::as_u64).unwrap_or(1);
    match asked.action.as_str() {
        "add-new-jobs" => {
            let names = asked.input.get("tasks").and_then(serde_json::Value::as_array).map_or(0, Vec::len);
            times.saturating_mul(u64::try_from(names).unwrap_or(u64::MAX))
        }
        "add-matching-jobs" | "retrigger" => times,
        _ => 0,
    }
}

/// Whether [`jobs`] is all that a request asks for, so that nothing has to be looked up to hold it to a rule's `max_jobs`.
#[must_use]
pub fn is_counted(asked: &Asked) -> bool {
    matches!(asked.action.as_str(), "add-new-jobs" | "retrigger" | "cancel" | "cancel-all")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rule() -> Allow {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Allow {
            exchanges: texts(&["exchange/treeherder/v1/*"]),
            requesters: texts(&["*@lander.example"]),
            actions: texts(&["add-new-jobs", "cancel*"]),
            levels: texts(&["1", "3"]),
            max_jobs: 10,
            role: "project:lander:pulse".into(),
        }
    }

    const FACTS: Facts<'_> = Facts {
        exchange: "exchange/treeherder/v1/resultset-actions",
        requester: "ann@lander.example",
        action: "cancel-all",
        jobs: 0,
        level: Some("3"),
    };

    #[test]
    fn what_no_rule_names_is_refused_and_the_field_is_named() {
        assert_eq!(decide(&[], &FACTS), Err(Refused::NoRules));
        assert_eq!(decide(&[rule()], &FACTS).unwrap().role, "project:lander:pulse");
        let cases = [
            (Facts { exchange: "exchange/treeherder-stage/v1/resultset-actions", ..FACTS }, "`exchanges`"),
            (
                Facts { requester: "ann@lander.example.org", ..FACTS },
                "`requesters` does not name ann@lander.example.org",
            ),
            (Facts { action: "retrigger", ..FACTS }, "`actions` does not name retrigger"),
            (Facts { level: Some("2"), ..FACTS }, "`levels` does not name 2"),
            (Facts { jobs: 11, ..FACTS }, "`max_jobs` is 10, and 11 are asked for"),
        ];
        for (facts, part) in cases {
            let error = decide(&[rule()], &facts).unwrap_err().to_string();
            assert!(error.contains(part) && error.contains("of rule 1"), "{error}");
        }
        assert!(decide(&[rule()], &Facts { level: None, ..FACTS }).is_ok(), "its push isn't known yet");
    }

    #[test]
    fn the_first_rule_that_fits_counts_and_else_the_nearest_is_told() {
        let stranger = Allow { requesters: vec!["bob".into()], actions: vec!["backfill".into()], ..rule() };
        let few = Allow { max_jobs: 1, role: "few".into(), ..rule() };
        assert_eq!(decide(&[stranger.clone(), few.clone(), rule()], &FACTS).unwrap().rule, 2);
        let error = decide(&[stranger, few], &Facts { jobs: 5, ..FACTS }).unwrap_err();
        assert_eq!(error, Refused::Nearest { rule: 2, fields: vec![Mismatch::Jobs { asked: 5, max: 1 }] });
    }

    fn some_rule() -> impl Strategy<Value = Allow> {
        let names =
            |of: &'static [&'static str]| prop::collection::vec(prop::sample::select(of).prop_map(str::to_owned), 0..3);
        let patterns = names(&["*", "a", "b", "a*", "?"]);
        (patterns.clone(), patterns.clone(), patterns, names(&["1", "2", "3"]), 1..5_u64).prop_map(
            |(exchanges, requesters, actions, levels, max_jobs)| Allow {
                exchanges,
                requesters,
                actions,
                levels,
                max_jobs,
                role: "r".into(),
            },
        )
    }

    proptest! {
        #[test]
        fn rules_only_ever_allow_more(
            rules in prop::collection::vec(some_rule(), 0..4),
            more in some_rule(),
            at in 0..5_usize,
            exchange in "[ab]", requester in "[ab]", action in "[ab]",
            jobs in 0..6_u64,
            level in prop::option::of("[123]"),
        ) {
            let facts = Facts { exchange: &exchange, requester: &requester, action: &action, jobs, level: level.as_deref() };
            let before = decide(&rules, &facts);
            let mut grown = rules.clone();
            grown.insert(at.min(rules.len()), more);
            if before.is_ok() {
                prop_assert!(decide(&grown, &facts).is_ok(), "another rule refuses nothing");
                prop_assert!(decide(&rules, &Facts { jobs: 0, ..facts }).is_ok(), "fewer jobs are no worse");
                prop_assert!(decide(&rules, &Facts { level: None, ..facts }).is_ok(), "nothing is refused too early");
            }
            if let Ok(grant) = before {
                let rule = &rules[grant.rule - 1];
                prop_assert!(jobs <= rule.max_jobs && mismatches(rule, &facts).is_empty());
            }
        }
    }
}
