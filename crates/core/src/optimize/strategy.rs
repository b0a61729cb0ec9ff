//! Strategies, as data: what may be made of a task, given its argument.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use super::candidate::Source;
use super::outcome::By;
use crate::graph::Task;
use crate::ids::TaskId;
use crate::params::Parameters;
use crate::pattern::PathPattern;

/// How a task may be optimised away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Strategy {
    /// Not at all.
    Never,
    /// Remove it unless something needs it.
    Always,
    /// Replace it by what the index has at one of the paths that the argument lists, the first that is usable.
    IndexSearch,
    /// Remove it unless the push changed a path that matches one of the patterns that the argument lists.
    SkipUnlessChanged,
    /// What any of these says, the first that says something; each gets the whole argument.
    Any(Vec<Strategy>),
    /// Remove it if all of these do. Where all replace it, it is replaced by nothing, as in the reference.
    All(Vec<Strategy>),
    /// The opposite. Where the part doesn't replace the task, it is replaced by nothing, as in the reference.
    Not(Box<Strategy>),
    /// Another under a name of its own.
    Alias(Box<Strategy>),
}

impl Strategy {
    /// What the reference's log calls it.
    #[must_use]
    pub fn description(&self) -> String {
        let joined = |parts: &[Self], word: &str| parts.iter().map(Self::description).collect::<Vec<_>>().join(word);
        match self {
            Self::Never => "never".to_owned(),
            Self::Always => "always".to_owned(),
            Self::IndexSearch => "index-search".to_owned(),
            Self::SkipUnlessChanged => "skip-unless-changed".to_owned(),
            Self::Any(parts) => joined(parts, "-or-"),
            Self::All(parts) => joined(parts, "-and-"),
            Self::Not(part) => format!("not-{}", part.description()),
            Self::Alias(part) => part.description(),
        }
    }
}

/// Strategies by the names that graphs use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Strategies(BTreeMap<String, Strategy>);

impl Default for Strategies {
    /// Those that the reference registers itself.
    fn default() -> Self {
        let known = [Strategy::Never, Strategy::Always, Strategy::IndexSearch, Strategy::SkipUnlessChanged];
        Self(known.into_iter().map(|strategy| (strategy.description(), strategy)).collect())
    }
}

impl Strategies {
    /// Adds one, or puts it in the place of another.
    pub fn insert(&mut self, name: &str, strategy: Strategy) {
        self.0.insert(name.to_owned(), strategy);
    }

    /// The one with this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Strategy> {
        self.0.get(name)
    }

    /// The strategy that applies to a task, with its argument and how reasons name it. A task without optimisation
    /// has whatever is called `never`.
    pub(crate) fn of<'a>(&'a self, task: &'a Task) -> (Strategy, &'a Value, By) {
        match task.strategy() {
            None => (self.get("never").cloned().unwrap_or(Strategy::Never), &Value::Null, By::Never),
            Some((name, arg)) => match self.get(name) {
                Some(strategy) => {
                    let by = By::Strategy { name: name.to_owned(), description: strategy.description() };
                    (strategy.clone(), arg, by)
                }
                None => (Strategy::Never, arg, By::Unknown { name: name.to_owned() }),
            },
        }
    }
}

/// Whether paths have changed; compiles each pattern once.
pub(super) struct Changes<'a> {
    params: &'a Parameters,
    matched: HashMap<&'a str, bool>,
}

impl<'a> Changes<'a> {
    pub(super) fn new(params: &'a Parameters) -> Self {
        Self { params, matched: HashMap::new() }
    }

    fn any(&mut self, patterns: &'a Value) -> Result<bool, String> {
        for pattern in texts(patterns)? {
            let matched = match self.matched.get(pattern) {
                Some(matched) => *matched,
                None => {
                    let paths = self.params.files_changed().map_err(|error| error.to_string())?;
                    let compiled = PathPattern::new(pattern).map_err(|error| error.to_string())?;
                    paths.iter().any(|path| compiled.matches(path))
                }
            };
            self.matched.insert(pattern, matched);
            if matched {
                return Ok(true);
            }
        }
        // The reference reads the list even where there is no pattern.
        self.params.files_changed().map(|_| false).map_err(|error| error.to_string())
    }
}

/// Whether `strategy` removes a task with this argument, or why it can't say.
pub(super) fn removes<'a>(strategy: &Strategy, arg: &'a Value, changes: &mut Changes<'a>) -> Result<bool, String> {
    match strategy {
        Strategy::Never | Strategy::IndexSearch => Ok(false),
        Strategy::Always => Ok(true),
        Strategy::SkipUnlessChanged => Ok(!changes.params.has_no_delta() && !changes.any(arg)?),
        Strategy::Any(parts) => {
            for part in parts {
                if removes(part, arg, changes)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        Strategy::All(parts) => {
            for part in parts {
                if !removes(part, arg, changes)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        Strategy::Not(part) => Ok(!removes(part, arg, changes)?),
        Strategy::Alias(part) => removes(part, arg, changes),
    }
}

/// What a strategy would put in a task's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The task stays.
    Keep,
    /// A task from the index.
    Task(TaskId, Source),
    /// Nothing.
    Nothing,
}

/// Why a strategy has no answer.
pub(crate) enum NoAnswer<E> {
    /// It can't work with its argument.
    Unusable(String),
    /// Looking for candidates failed.
    Failed(E),
}

/// What `strategy` puts in the place of a task; `search` finds the first usable task at index paths.
pub(crate) fn replaces<'a, E>(
    strategy: &Strategy,
    arg: &'a Value,
    search: &mut impl FnMut(&[&'a str]) -> Result<Option<(TaskId, Source)>, E>,
) -> Result<Answer, NoAnswer<E>> {
    match strategy {
        Strategy::Never | Strategy::Always | Strategy::SkipUnlessChanged => Ok(Answer::Keep),
        Strategy::IndexSearch => {
            let paths = texts(arg).map_err(NoAnswer::Unusable)?;
            let found = search(&paths).map_err(NoAnswer::Failed)?;
            Ok(found.map_or(Answer::Keep, |(task_id, source)| Answer::Task(task_id, source)))
        }
        Strategy::Any(parts) => {
            for part in parts {
                let answer = replaces(part, arg, search)?;
                if answer != Answer::Keep {
                    return Ok(answer);
                }
            }
            Ok(Answer::Keep)
        }
        Strategy::All(parts) => {
            for part in parts {
                if replaces(part, arg, search)? == Answer::Keep {
                    return Ok(Answer::Keep);
                }
            }
            Ok(Answer::Nothing)
        }
        Strategy::Not(part) => match replaces(part, arg, search)? {
            Answer::Keep => Ok(Answer::Nothing),
            Answer::Task(..) | Answer::Nothing => Ok(Answer::Keep),
        },
        Strategy::Alias(part) => replaces(part, arg, search),
    }
}

/// An argument that must be a list of texts.
pub(super) fn texts(arg: &Value) -> Result<Vec<&str>, String> {
    let texts = arg.as_array().and_then(|items| items.iter().map(Value::as_str).collect::<Option<Vec<_>>>());
    texts.ok_or_else(|| "its argument must be a list of texts".to_owned())
}
