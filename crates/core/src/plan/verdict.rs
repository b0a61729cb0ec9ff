//! The verdict on each task of the closure, with the fact that decided it. The words are in `wording.rs`.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::facts::SourceKind;
use crate::ids::TaskId;
use crate::state::TaskState;
use crate::time::Millis;

/// A label of the closure and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabelVerdict {
    /// The label.
    pub label: String,
    /// What becomes of it.
    #[serde(flatten)]
    pub verdict: Verdict,
}

/// What becomes of one task of the closure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
pub enum Verdict {
    /// It is created.
    New {
        /// What it is made for.
        why: Why,
        /// Earlier tasks that could have stood in for it and can't, best first.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        passed_over: Vec<PassedOver>,
    },
    /// An earlier task stands in for it.
    Reuse(Reuse),
    /// It is not needed.
    Removed {
        /// Why not.
        why: Unneeded,
        /// A task that would stand in for it all the same; the reference names it in label-to-taskid.json.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stand_in: Option<TaskId>,
    },
    /// It is needed and can't be had.
    Refused {
        /// Why not.
        why: Refusal,
    },
}

/// What a new task is made for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "case", rename_all = "kebab-case")]
pub enum Why {
    /// Somebody asked for it.
    AskedFor {
        /// How many are made, `task_duplicates` counted in.
        copies: u32,
    },
    /// Another new task depends on it.
    NeededBy {
        /// The label of the first such task.
        label: String,
        /// A label that was asked for and that this task needs: it can't be reused, since that one is made anew.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        with: Option<String>,
    },
    /// A target that its optimisation keeps (only where a graph is optimised as a decision task does).
    Kept {
        /// What keeps it.
        by: String,
    },
}

/// An earlier task that stands in for a new one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reuse {
    /// The earlier task.
    pub task_id: TaskId,
    /// Where it is known from.
    pub from: Origin,
    /// Its state, expiry and so on. Absent where the policy doesn't look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<super::facts::StatusFact>,
    /// It failed and is to be run again.
    #[serde(default)]
    pub rerun: bool,
}

/// Where an earlier task is known from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "case", rename_all = "kebab-case")]
pub enum Origin {
    /// A list of this push's tasks.
    Push {
        /// Which kind of list.
        source: SourceKind,
        /// The task whose list it is; absent for artifacts of an unnamed decision task.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        of: Option<TaskId>,
    },
    /// The index.
    Index {
        /// The path.
        path: String,
    },
    /// Its id is the one derived for this need: another request promised it.
    Promised {
        /// How many ids were passed over before.
        k: u8,
    },
    /// A strategy that doesn't say.
    Strategy,
}

/// An earlier task that can't stand in, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassedOver {
    /// The task; absent if an index path leads nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_id: Option<TaskId>,
    /// Where it is known from.
    pub from: Origin,
    /// Why it can't.
    pub because: Unusable,
}

/// Why an earlier task can't stand in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "case", rename_all = "kebab-case")]
pub enum Unusable {
    /// The queue has no such task, or the index no such path.
    Absent,
    /// It failed.
    Unsuccessful {
        /// `failed` or `exception`.
        state: TaskState,
        /// When.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<Millis>,
    },
    /// It is gone before the tasks that would depend on it must be done.
    Expires {
        /// When it is forgotten.
        at: Millis,
        /// When they must be done.
        needed_until: Millis,
    },
    /// It waits for something that will never be there.
    Waits {
        /// The ancestor that failed or is gone.
        on: TaskId,
    },
    /// Its id is the one derived for this need, but it is something else.
    Foreign,
    /// A strategy refuses it.
    Strategy,
}

/// Why a task is not needed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "case", rename_all = "kebab-case")]
pub enum Unneeded {
    /// Only tasks that are reused need it.
    OnlyReused,
    /// Only tasks that can't be had need it.
    OnlyRefused,
    /// Its optimisation removes it, and nothing that stays needs it.
    Optimized {
        /// The strategy, as the reference's log names it.
        by: String,
    },
}

/// Why a task that is needed can't be had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "case", rename_all = "kebab-case")]
pub enum Refusal {
    /// The graph has no such label.
    UnknownLabel {
        /// Labels that it has and that look most like it.
        nearest: Vec<String>,
    },
    /// More than 64 routes, and no index task can be made for the rest.
    TooManyRoutes {
        /// How many.
        routes: usize,
    },
    /// Its definition can't be read, completed, or kept by the queue (NUL, half of a surrogate pair).
    Definition {
        /// Where, as a JSON pointer; empty is the whole definition.
        place: String,
        /// What is wrong there.
        problem: String,
    },
    /// All ids that it could have are taken by something else.
    NoFreeId,
    /// It depends on something that can't be had.
    DependsOn {
        /// That label.
        label: String,
    },
}

/// The earlier task that stands for a label by its verdict, if one does.
pub(super) fn stand_in(verdict: &Verdict) -> Option<TaskId> {
    match verdict {
        Verdict::Reuse(reuse) => Some(reuse.task_id),
        Verdict::Removed { stand_in, .. } => *stand_in,
        Verdict::New { .. } | Verdict::Refused { .. } => None,
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Definition { place, problem } if place.is_empty() => write!(f, "its definition: {problem}"),
            Self::Definition { place, problem } => write!(f, "its definition, at {place}: {problem}"),
            Self::UnknownLabel { nearest } if nearest.is_empty() => f.write_str("no such label"),
            Self::UnknownLabel { nearest } => write!(f, "no such label; nearest: {}", nearest.join(", ")),
            Self::TooManyRoutes { routes } => write!(f, "{routes} routes, of which the queue takes 64"),
            Self::NoFreeId => f.write_str("each id that it could have is taken"),
            Self::DependsOn { label } => write!(f, "it depends on {label}, which can't be had"),
        }
    }
}
