//! What a request would come to on its push, nothing of it done.

use taskgraft_core::action::by_name;
use taskgraft_core::ids::RequestId;
use taskgraft_core::plan::{Care, Plan, Policy, Verdict, own};
use taskgraft_engine::action::{self, ActionAsk, ActionError, Means, Terms};

use super::resolver::Found;
use crate::asked::Asked;

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum RehearseError {
    /// Only the push knows what it would do.
    #[error("plan `{0}`: it is no action of taskgraft's for that")]
    Unknown(String),
    /// The action decides that nothing is done, or something can't be had.
    #[error(transparent)]
    Action(#[from] ActionError),
    /// Taskcluster doesn't answer.
    #[error("look up the task: failed to {0}")]
    Client(#[from] taskgraft_client::Error),
}

/// The plan of what is asked for. Whether credentials would do is not looked at.
///
/// # Errors
/// If there is none.
pub async fn rehearse(means: &Means, asked: &Asked, found: &Found, request: RequestId) -> Result<Plan, RehearseError> {
    let tags = match found.subject {
        Some(task) => Some(means.client.queue().task(task).await?.tags),
        None => None,
    };
    let action = by_name(&asked.action, tags.as_ref()).ok_or_else(|| RehearseError::Unknown(asked.action.clone()))?;
    let ask = ActionAsk {
        group: found.decision,
        task: found.subject,
        input: asked.input.clone(),
        callback: action.cb_name.to_owned(),
    };
    let terms = Terms::by_hand(Policy::Graft, request);
    Ok(action::rehearse(means, &ask, &terms, |_| ()).await?)
}

/// How many jobs a plan comes to, for a rule that bounds them: what was asked for, each copy, and what is run again. What they
/// need counts as none.
#[must_use]
pub fn jobs(plan: &Plan) -> u64 {
    let of_part = |part: &Plan| {
        let made = (0..part.tasks.len()).filter(|at| own(|at| part.tasks.get(at).map(|task| &task.role), *at));
        made.count() + part.tend.iter().filter(|tend| tend.care == Care::Rerun).count()
    };
    plan.clone().parts().iter().map(|part| of_part(part) as u64).sum()
}

/// A plan in one sentence.
#[must_use]
pub fn summary(plan: &Plan) -> String {
    let mut counts = [0_usize; 4];
    for part in plan.clone().parts() {
        counts[0] += part.tasks.len();
        counts[1] += part.verdicts.iter().filter(|label| matches!(label.verdict, Verdict::Reuse(_))).count();
        counts[2] += part.tend.iter().filter(|tend| tend.care == Care::Rerun).count();
        counts[3] += part.tend.iter().filter(|tend| tend.care == Care::Cancel).count();
    }
    let words = ["created", "reused", "run again", "cancelled"];
    let told: Vec<String> = counts
        .iter()
        .zip(words)
        .filter(|(count, _)| **count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    if told.is_empty() { "nothing would be done".to_owned() } else { format!("would be: {}", told.join(", ")) }
}
