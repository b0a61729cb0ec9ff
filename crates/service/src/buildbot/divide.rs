//! What of a request is for Buildbot, and what is left for the push's action.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Build, Builds, Master, offers, split};
use crate::asked::Asked;

/// The action that takes names.
pub(crate) const ADD: &str = "add-new-jobs";
/// As the action's schema has it.
const MOST_COPIES: u64 = 100;

/// The most builds that a request may have forced.
const MOST_BUILDS: usize = 1000;

/// Why a request can't be divided: nothing of it is done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DivideError {
    /// Names that are neither.
    #[error("find {}: no label of the push and no builder is called so", names(.0))]
    Unknown(BTreeMap<String, Vec<String>>),
    /// `times` makes no sense.
    #[error("read the input: `times` must be 1 to {MOST_COPIES}")]
    Times,
    /// It asks for too much at once.
    #[error("force {0} builds: {MOST_BUILDS} are the most that one request may ask for")]
    Many(usize),
}

/// What of a request is for Buildbot: nothing where all of it is for the push's action, because it asks for nothing but
/// labels, or for nothing that a master has, so that the action itself says what it doesn't know. Masters are asked only
/// if need be.
///
/// # Errors
/// If builders are asked for and the request makes no sense as a whole.
pub async fn divide(
    masters: &[Arc<Master>],
    asked: &Asked,
    build: Build,
    is_label: impl Fn(&str) -> bool,
) -> Result<Builds, DivideError> {
    let Some(names) = wanted(asked).filter(|names| !names.iter().all(|name| is_label(name))) else {
        return Ok(Builds::default());
    };
    let split = split(&names, is_label, &offers(masters).await);
    if split.builders.is_empty() {
        return Ok(Builds::default());
    }
    if !split.unknown.is_empty() {
        return Err(DivideError::Unknown(split.unknown));
    }
    let copies = match asked.input.get("times") {
        None => Some(1),
        Some(times) => times.as_u64().filter(|times| (1..=MOST_COPIES).contains(times)),
    };
    let copies = copies.and_then(|copies| u32::try_from(copies).ok()).ok_or(DivideError::Times)?;
    let named = split.builders.into_iter();
    let named = named.filter_map(|(place, builders)| Some((masters.get(place)?.name().to_owned(), builders)));
    let builds = Builds { copies, build, builders: named.collect() };
    bounded(builds.count())?;
    Ok(builds)
}

/// Whether one request may have so many builds forced.
///
/// # Errors
/// If it may not.
pub(crate) fn bounded(builds: usize) -> Result<(), DivideError> {
    if builds > MOST_BUILDS { Err(DivideError::Many(builds)) } else { Ok(()) }
}

/// The names that are asked for, if the input is one that has names.
fn wanted(asked: &Asked) -> Option<Vec<String>> {
    let names = asked.input.get("tasks").filter(|_| asked.action == ADD)?.as_array()?;
    names.iter().map(|name| Some(name.as_str()?.to_owned())).collect()
}

/// Unknown names for people: not all of many, and what comes near.
fn names(unknown: &BTreeMap<String, Vec<String>>) -> String {
    const MOST: usize = 20;
    let one = |(name, near): (&String, &Vec<String>)| {
        let name: String = name.chars().take(200).collect();
        if near.is_empty() { format!("`{name}`") } else { format!("`{name}` (is it {}?)", near.join(" or ")) }
    };
    let told: Vec<String> = unknown.iter().take(MOST).map(one).collect();
    let more = unknown.len().saturating_sub(MOST);
    if more > 0 { format!("{} and {more} more", told.join(", ")) } else { told.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asked::PushName;
    use serde_json::Value;
    use serde_json::json;
    use taskgraft_core::ids::TaskId;

    fn asked(action: &str, input: Value) -> Asked {
        let push = PushName::Decision(TaskId::from_bytes([1; 16]));
        Asked { project: None, push, resultset: None, action: action.to_owned(), subject: None, input }
    }

    #[tokio::test]
    async fn what_names_no_builder_is_the_actions_and_no_master_is_asked() {
        let is_label = |name: &str| name.starts_with("label");
        for (action, input) in [
            (ADD, json!({"tasks": ["label-1", "label-2"], "times": 2})),
            (ADD, json!({"tasks": ["unknown"]})),
            (ADD, json!({"tasks": ["unknown", 5]})),
            (ADD, json!({"tasks": "unknown"})),
            (ADD, Value::Null),
            ("retrigger", json!({"tasks": ["unknown"]})),
        ] {
            let divided = divide(&[], &asked(action, input), Build::default(), is_label).await;
            assert_eq!(divided, Ok(Builds::default()));
        }
    }

    #[test]
    fn unknown_names_are_told_with_what_comes_near() {
        let near = vec!["linux".to_owned(), "linux32".to_owned()];
        let unknown = BTreeMap::from([("lniux".to_owned(), near), ("x".to_owned(), Vec::new())]);
        let error = DivideError::Unknown(unknown).to_string();
        assert_eq!(
            error,
            "find `lniux` (is it linux or linux32?), `x`: no label of the push and no builder is called so"
        );
        let many = (0..25).map(|n| (format!("n{n}"), Vec::new())).collect();
        assert!(DivideError::Unknown(many).to_string().contains("and 5 more"));
    }
}
