//! From what an action task is told to do, to what became of it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use taskgraft_core::action;
use taskgraft_core::plan::Policy;
use taskgraft_core::report::{Report, Terminal};

use super::ask::ActionAsk;
use super::run::{ActionError, Keep, Means};

/// How an action is to be performed.
#[derive(Debug, Clone)]
pub struct With {
    /// By which rules.
    pub policy: Policy,
    /// Where the plan is kept, and whose run this is.
    pub keep: Keep,
    /// Where task-graph.json, label-to-taskid.json, to-run.json, plan.json and report.json are written.
    pub out: PathBuf,
    /// The most tasks that one request may create.
    pub max_new: usize,
}

/// What became of an action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionReport {
    /// Whether the asker got what was asked for.
    pub result: Terminal,
    /// What became of each request that the action came to: first that on the push it was asked for.
    pub requests: Vec<Report>,
}

/// Performs the action: fetches what it needs, validates its input, decides, plans, stores the plan, carries it out.
///
/// A later run of the same action task takes up the stored plan and finishes it. `log` gets what people read: verdicts
/// first, then what was done, then one line that says whether the asker got what they asked for.
///
/// # Errors
/// If nothing can be done; what an earlier run had done stays as it is.
pub async fn perform(
    _means: &Means,
    ask: &ActionAsk,
    _with: &With,
    _stop: impl Future<Output = ()>,
    _log: impl FnMut(&str),
) -> Result<ActionReport, ActionError> {
    let action = action::by_callback(&ask.callback);
    Err(ActionError::UnknownAction(action.map_or(ask.callback.as_str(), |action| action.cb_name).to_owned()))
}
