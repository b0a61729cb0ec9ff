//! A plan in brief: what stands for each label, whoever carries it out.
//!
//! A plan that somebody was shown and the plan that an action task makes for them differ in the ids of the copies that
//! were asked for, which follow from the request. They agree in their outlines for as long as the facts stay as they
//! are. The outline's hash travels with the request, and its verdicts too where they are not too many: then the action
//! task can say what has moved.

use std::collections::{BTreeMap, BTreeSet};

use ring::digest::{SHA256, digest};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value;

use super::model::Plan;
use super::store::PlanHash;
use super::task::Role;
use super::verdict::Verdict;
use crate::ids::TaskId;
use crate::json;

/// Goes into every hash. Changing what an outline holds means changing this.
const VERSION: &str = "taskgraft outline 1";

/// The most labels that an outline from elsewhere may have.
pub const MAX_OUTLINED: usize = 10_000;

/// What stands for a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stands {
    /// So many tasks of the request's own. Written `"new"`, or as their number where they are several.
    New(u32),
    /// A task that is there, or that is there for everybody who needs it: its id doesn't depend on who makes it.
    Task(TaskId),
    /// Nothing: it can't be had.
    Refused,
}

/// Labels with what stands for them. A label that isn't there is not needed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<String, Stands>")]
pub struct Outline(BTreeMap<String, Stands>);

/// An outline with more labels than [`MAX_OUTLINED`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} verdicts are too many: at most {MAX_OUTLINED} are taken")]
pub struct TooManyOutlined(usize);

/// A label for which something else stands now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Strayed {
    /// The label.
    pub label: String,
    /// What stood for it; `None` if it was not needed.
    pub was: Option<Stands>,
    /// What does now, likewise.
    pub now: Option<Stands>,
}

impl Plan {
    /// What stands for each label of the plan.
    #[must_use]
    pub fn outline(&self) -> Outline {
        let mut made: BTreeMap<&str, Made> = BTreeMap::new();
        for task in self.tasks.iter().filter(|task| !matches!(task.role, Role::Index { .. })) {
            let made = made.entry(&task.label).or_default();
            made.count = made.count.saturating_add(1);
            if matches!(task.role, Role::Needed { .. }) {
                made.shared = task.task_id;
            }
        }
        let stands = |label: &str, verdict: &Verdict| match verdict {
            Verdict::New { .. } => {
                let made = made.get(label).copied().unwrap_or_default();
                Some(made.shared.map_or(Stands::New(made.count), Stands::Task))
            }
            Verdict::Reuse(reuse) => Some(Stands::Task(reuse.task_id)),
            Verdict::Removed { .. } => None,
            Verdict::Refused { .. } => Some(Stands::Refused),
        };
        let entry = |label: &str, verdict| stands(label, verdict).map(|stands| (label.to_owned(), stands));
        Outline(self.verdicts.iter().filter_map(|each| entry(&each.label, &each.verdict)).collect())
    }
}

/// What a plan makes for a label.
#[derive(Debug, Clone, Copy, Default)]
struct Made {
    count: u32,
    /// The id of a task that is made for whoever needs it.
    shared: Option<TaskId>,
}

impl Outline {
    /// SHA-256 over the labels and what stands for them.
    #[must_use]
    pub fn hash(&self) -> PlanHash {
        let verdicts = serde_json::to_value(&self.0).unwrap_or_default();
        PlanHash::of(digest(&SHA256, format!("{VERSION}\n{}", json::to_string_sorted(&verdicts)).as_bytes()).as_ref())
    }

    /// The labels for which something else stands here than in `was`, in order.
    ///
    /// That a task which everybody shares is needed no longer, or is needed now, is no move of its own: where somebody
    /// else has made what needs it, under the id that both derive, nothing else is to be said; and where not, what needs
    /// it is another now.
    #[must_use]
    pub fn moved_from(&self, was: &Self) -> Vec<Strayed> {
        let labels: BTreeSet<&String> = self.0.keys().chain(was.0.keys()).collect();
        let strayed = labels.into_iter().map(|label| Strayed {
            label: label.clone(),
            was: was.0.get(label).copied(),
            now: self.0.get(label).copied(),
        });
        let shared = |stands: Option<Stands>| matches!(stands, None | Some(Stands::Task(_)));
        let beside = |each: &Strayed| each.was.is_some() != each.now.is_some() && shared(each.was) && shared(each.now);
        strayed.filter(|each| each.was != each.now && !beside(each)).collect()
    }
}

impl std::fmt::Display for Strayed {
    /// As in `build-linux64: was task AWMGHage…, is one to be made for this request now`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let words = |stands: Option<Stands>| match stands {
            None => "not needed".to_owned(),
            Some(Stands::New(1)) => "to be made anew".to_owned(),
            Some(Stands::New(count)) => format!("to be made anew {count} times"),
            Some(Stands::Task(id)) => format!("task {id}"),
            Some(Stands::Refused) => "not to be had".to_owned(),
        };
        write!(f, "{}: was {}, is {} now", self.label, words(self.was), words(self.now))
    }
}

impl TryFrom<BTreeMap<String, Stands>> for Outline {
    type Error = TooManyOutlined;

    fn try_from(verdicts: BTreeMap<String, Stands>) -> Result<Self, TooManyOutlined> {
        if verdicts.len() > MAX_OUTLINED { Err(TooManyOutlined(verdicts.len())) } else { Ok(Self(verdicts)) }
    }
}

impl Serialize for Stands {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::New(1) => serializer.serialize_str("new"),
            Self::New(count) => serializer.serialize_u32(*count),
            Self::Task(id) => id.serialize(serializer),
            Self::Refused => serializer.serialize_str("refused"),
        }
    }
}

impl<'de> Deserialize<'de> for Stands {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let invalid = || de::Error::custom("a verdict is \"new\", a number of copies, \"refused\" or a task id");
        match Value::deserialize(deserializer)? {
            Value::String(text) if text == "new" => Ok(Self::New(1)),
            Value::String(text) if text == "refused" => Ok(Self::Refused),
            Value::String(text) => text.parse().map(Self::Task).map_err(|_| invalid()),
            Value::Number(count) => {
                let count = count.as_u64().and_then(|count| u32::try_from(count).ok());
                count.map(Self::New).ok_or_else(invalid)
            }
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => Err(invalid()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn outline(verdicts: Value) -> Outline {
        serde_json::from_value(verdicts).unwrap()
    }

    #[test]
    fn what_moved_is_named_and_a_label_that_is_not_there_was_not_needed() {
        let was = outline(json!({"test": "new", "build": "AWMGHageTsSoYmoMR1_cRw", "clang": "refused"}));
        let now = outline(json!({"test": 3, "build": "AWMGHageTsSoYmoMR1_cRw", "image": "new"}));
        let told: Vec<String> = now.moved_from(&was).iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "clang: was not to be had, is not needed now",
                "image: was not needed, is to be made anew now",
                "test: was to be made anew, is to be made anew 3 times now",
            ]
        );
        assert!(was.moved_from(&was).is_empty());
        let more = outline(
            json!({"test": "new", "build": "AWMGHageTsSoYmoMR1_cRw", "clang": "refused", "x": "A-JT3sTNQ5-S1wrQXVyYVw"}),
        );
        assert!(
            more.moved_from(&was).is_empty() && was.moved_from(&more).is_empty(),
            "only needed by what others made"
        );
        assert_ne!(was.hash(), now.hash());
    }

    #[test]
    fn an_outline_reads_back_with_its_hash() {
        let first = outline(json!({"b": 2, "a": "new", "c": "AWMGHageTsSoYmoMR1_cRw", "d": "refused"}));
        let text = serde_json::to_string(&first).unwrap();
        let again: Outline = serde_json::from_str(&text).unwrap();
        assert_eq!((again.hash(), &again), (first.hash(), &first));
        assert_eq!(
            outline(json!({})).hash().to_string(),
            "e3bdd6c936b9356fa52be4e130939816b12561dd3fbb400c929bddec926d71ed",
            "hashes never change between releases"
        );
    }

    #[test]
    fn what_is_no_outline_is_refused() {
        let many: BTreeMap<String, Stands> = (0..=MAX_OUTLINED).map(|n| (n.to_string(), Stands::New(1))).collect();
        let many = serde_json::to_value(many).unwrap();
        for verdicts in [json!([]), json!({"a": null}), json!({"a": "old"}), json!({"a": -1}), json!({"a": 1.5}), many]
        {
            assert!(serde_json::from_value::<Outline>(verdicts).is_err());
        }
    }
}
