//! Taking up a stored plan: what of it exists, and whether the facts still allow the rest.

use std::collections::BTreeSet;

use jiff::Timestamp;
use taskgraft_client::{Client, Error};
use taskgraft_core::ids::TaskId;
use taskgraft_core::plan::{Moved, Plan, moved};

use crate::lookup;
use crate::planner::{Lookups, PlannerError, plan};
use crate::push::Push;

/// The tasks of a stored plan that exist, under the ids that it was made with.
///
/// # Errors
/// If the queue doesn't answer.
pub async fn existing(client: &Client, plan: &Plan) -> Result<BTreeSet<TaskId>, Error> {
    let ids: Vec<TaskId> = plan.tasks.iter().filter_map(|task| task.task_id).collect();
    Ok(lookup::statuses(client, &ids).await?.into_keys().collect())
}

/// Whether some of a plan's tasks are still to be created.
#[must_use]
pub fn is_open(plan: &Plan, existing: &BTreeSet<TaskId>) -> bool {
    plan.tasks.iter().any(|task| task.task_id.is_none_or(|id| !existing.contains(&id)))
}

/// The verdicts on what doesn't exist yet that would be others now, and when that was looked up.
///
/// # Errors
/// If the same request can't be planned any more.
pub async fn recheck(
    lookups: &Lookups,
    push: &Push,
    stored: &Plan,
    existing: &BTreeSet<TaskId>,
) -> Result<(Vec<Moved>, Timestamp), PlannerError> {
    let now = match &stored.index_tasks {
        Some(config) => {
            let push = Push { graph_config: Some(config.clone()), ..push.clone() };
            plan(lookups, &push, &stored.request, stored.policy).await?
        }
        None => plan(lookups, push, &stored.request, stored.policy).await?,
    };
    Ok((moved(stored, &now.plan, existing), now.facts.now))
}
