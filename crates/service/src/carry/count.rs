//! How many jobs a request comes to, where a rule bounds them.

use taskgraft_core::plan::Policy;
use taskgraft_engine::PlannerError;
use taskgraft_engine::action::{self, ActionAsk, ActionError, GatherError, Means, Terms};

use super::ground::Ground;
use super::setback::{Setback, passes};
use super::turn::Work;
use crate::pulse::policy;
use crate::pulse::rehearse::jobs;
use crate::request::{Authority, Request};

impl Work {
    /// How many jobs a request comes to, at least. Where a rule bounds them and the request itself doesn't say, it is
    /// rehearsed.
    pub(super) async fn jobs(&self, request: &Request, ground: &Ground<'_>) -> Result<u64, Setback> {
        let asked = &request.asked;
        match request.asker.authority {
            Authority::Policy { .. } if !policy::is_counted(asked) => self.rehearsed(request, ground).await,
            Authority::Policy { .. } | Authority::Scopes { .. } | Authority::Nobody(_) => Ok(policy::jobs(asked)),
        }
    }

    async fn rehearsed(&self, request: &Request, ground: &Ground<'_>) -> Result<u64, Setback> {
        let name = &request.asked.action;
        let mut offered = ground.offer.catalog.actions.iter().filter(|action| action.name == *name);
        let callback = offered.find_map(|action| action.callback()).unwrap_or(name).to_owned();
        let ask = ActionAsk {
            group: ground.offer.group,
            task: ground.subject,
            input: request.action_input().unwrap_or_default(),
            callback,
        };
        let means = Means { client: self.reader.clone(), cache: self.cache.clone() };
        let terms = Terms::by_hand(Policy::Graft, request.id.clone());
        let plan = action::rehearse(&means, &ask, &terms, |_| {}).await.map_err(uncounted)?;
        Ok(jobs(&plan))
    }
}

/// Without knowing how many jobs it comes to, no rule lets it through.
fn uncounted(error: ActionError) -> Setback {
    use ActionError as E;
    let passes = matches!(
        &error,
        E::Client(error)
            | E::Subjects(error)
            | E::Gather(GatherError::Client(error))
            | E::Planner(PlannerError::Client(error)) if passes(error)
    ) || matches!(&error, E::Gather(GatherError::Push(error)) if error.is_transient());
    let why = format!("tell how many jobs it comes to: {error}");
    if passes { Setback::Later(why) } else { Setback::Refused(why) }
}
