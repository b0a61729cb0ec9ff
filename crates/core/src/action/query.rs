//! Jobs by what they are: conditions on label, kind, platform, attributes and tags, all of which must hold.

use std::fmt;

use serde_json::Value;

use crate::glob::Glob;
use crate::json::{BadValue, GraphFile, Head, ReadError};

/// The longest text of a condition that a message repeats, in characters.
const SHOWN: usize = 64;

/// What is asked of a job.
#[derive(Debug, Clone)]
pub(super) struct Query {
    /// The cheap ones first.
    pub(super) conditions: Vec<Condition>,
}

/// One thing that is asked of a job.
#[derive(Debug, Clone)]
pub(super) struct Condition {
    pub(super) of: Of,
    /// Any of these will do.
    wanted: Vec<Value>,
    /// Those of them that are texts.
    globs: Vec<Glob>,
}

/// What a condition looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Of {
    Label,
    Kind,
    /// As Treeherder shows it: `linux64` or `linux64/opt`.
    Platform,
    Attribute(String),
    Tag(String),
}

impl Query {
    /// From an input that fits the action's schema.
    pub(super) fn new(input: &Value) -> Self {
        let plain = |name: &str, of: Of| input.get(name).map(|wanted| Condition::new(of, wanted));
        let named = |name: &str, of: fn(String) -> Of| {
            let pairs = input.get(name).and_then(Value::as_object).into_iter().flatten();
            pairs.map(move |(key, wanted)| Condition::new(of(key.clone()), wanted))
        };
        let cheap = plain("label", Of::Label).into_iter().chain(plain("kind", Of::Kind));
        let conditions = cheap
            .chain(named("attributes", Of::Attribute))
            .chain(plain("platform", Of::Platform))
            .chain(named("tags", Of::Tag));
        Self { conditions: conditions.collect() }
    }

    /// The labels of the jobs that match, in their order.
    pub(super) fn labels(&self, graph: &GraphFile) -> Result<Vec<String>, ReadError> {
        graph.select(|head| {
            for condition in &self.conditions {
                if !condition.holds(head)? {
                    return Ok(false);
                }
            }
            Ok(true)
        })
    }
}

impl Condition {
    fn new(of: Of, wanted: &Value) -> Self {
        let wanted = wanted.as_array().cloned().unwrap_or_else(|| vec![wanted.clone()]);
        let globs = wanted.iter().filter_map(Value::as_str).map(Glob::new).collect();
        Self { of, wanted, globs }
    }

    pub(super) fn holds(&self, head: &Head<'_>) -> Result<bool, BadValue> {
        Ok(match self.of.seen(head)? {
            Some(Value::Array(several)) => several.iter().any(|one| self.fits(one)),
            Some(one) => self.fits(&one),
            // What is not there is null.
            None => self.fits(&Value::Null),
        })
    }

    fn fits(&self, one: &Value) -> bool {
        match one {
            Value::String(text) => self.globs.iter().any(|glob| glob.matches(text)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                self.wanted.contains(one)
            }
        }
    }

    /// The texts among what is wanted.
    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        self.wanted.iter().filter_map(Value::as_str)
    }
}

impl Of {
    /// What a task has there; a list where it has several.
    pub(super) fn seen(&self, head: &Head<'_>) -> Result<Option<Value>, BadValue> {
        Ok(match self {
            Self::Label => Some(Value::from(head.label())),
            Self::Kind => Some(Value::from(head.kind()?)),
            Self::Platform => {
                let [_, extra] = head.tags_and_extra()?;
                Some(Value::from(platforms(extra.get("treeherder"))))
            }
            Self::Attribute(name) => head.attributes()?.remove(name),
            Self::Tag(name) => {
                let [mut tags, _] = head.tags_and_extra()?;
                tags.remove(name)
            }
        })
    }

    /// The name that it looks for.
    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Self::Attribute(name) | Self::Tag(name) => Some(name),
            Self::Label | Self::Kind | Self::Platform => None,
        }
    }

    /// The names that could stand where this one's does.
    pub(super) fn names(&self, head: &Head<'_>) -> Result<Vec<String>, BadValue> {
        Ok(match self {
            Self::Label | Self::Kind | Self::Platform => Vec::new(),
            Self::Attribute(_) => head.attributes()?.into_iter().map(|(name, _)| name).collect(),
            Self::Tag(_) => {
                let [tags, _] = head.tags_and_extra()?;
                tags.into_iter().map(|(name, _)| name).collect()
            }
        })
    }
}

/// A job's platform alone, and with each of its collections.
fn platforms(treeherder: Option<&Value>) -> Vec<String> {
    let Some(platform) = treeherder.and_then(|job| job.pointer("/machine/platform")).and_then(Value::as_str) else {
        return Vec::new();
    };
    let collections = treeherder.and_then(|job| job.get("collection")).and_then(Value::as_object);
    let with = collections.into_iter().flatten().map(|(collection, _)| format!("{platform}/{collection}"));
    std::iter::once(platform.to_owned()).chain(with).collect()
}

impl fmt::Display for Of {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Label => f.write_str("label"),
            Self::Kind => f.write_str("kind"),
            Self::Platform => f.write_str("platform"),
            Self::Attribute(name) => write!(f, "attribute `{}`", shown(name)),
            Self::Tag(name) => write!(f, "tag `{}`", shown(name)),
        }
    }
}

impl fmt::Display for Condition {
    /// As in ``kind `build` or `test` ``; of many only the first.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.of)?;
        for (at, one) in self.wanted.iter().take(3).enumerate() {
            let text = one.as_str().map_or_else(|| one.to_string(), str::to_owned);
            write!(f, "{} `{}`", if at == 0 { "" } else { " or" }, shown(&text))?;
        }
        if self.wanted.len() > 3 { write!(f, " or {} more", self.wanted.len() - 3) } else { Ok(()) }
    }
}

fn shown(text: &str) -> String {
    text.chars().take(SHOWN).collect()
}
