//! From a request that came in to its action task.

use taskgraft_core::ids::TaskId;
use taskgraft_engine::trigger::{self, Sent};
use tracing::Span;

use super::ground::Ground;
use super::setback::Setback;
use super::turn::{Turn, Work};
use crate::authority::{Asking, Permit, permit};
use crate::journal::Change;
use crate::log;
use crate::request::Request;
use crate::state::{Event, State};

impl Work {
    /// Has the request carried out by the push's own action, unless it was before. `builds` is why its builds may be forced,
    /// where it has any.
    pub(super) async fn ask(&self, request: &Request, builds: Option<&str>) -> Result<Turn, Setback> {
        let ground = self.ground(request).await?;
        log::decided(&Span::current(), ground.decision);
        // What was sent before is taken up, whatever may be sent by now.
        if (request.state == State::Ready || request.retries > 0)
            && let Some(sent) = self.earlier(&ground).await?
        {
            if request.state == State::Received {
                self.allowed(request, &ground, both("it was sent before", builds)).await?;
            }
            return self.sent(request, sent.task()).await;
        }
        let permit = match self.permit(request, &ground).await {
            // Whoever looks for the push's requests finds what was refused, too.
            Err(refused @ Setback::Refused(_)) if request.decision != Some(ground.decision) => {
                let learnt = Change { decision: Some(ground.decision), ..Change::default() };
                self.journal.facts(&request.id, learnt).await?;
                return Err(refused);
            }
            permit => permit?,
        };
        if request.state == State::Received {
            self.allowed(request, &ground, both(&permit.why, builds)).await?;
        }
        let client = self.narrowed(permit.scopes);
        if ground.prepared.settles() {
            let sent = trigger::send(&client, &ground.offer, &ground.prepared).await;
            let sent = sent.map_err(|error| Setback::unsent(error, true))?;
            return self.sent(request, sent.task()).await;
        }
        // Nobody can tell afterwards whether this was sent: so that it is not sent twice, it counts as sent from here on.
        self.journal.apply(&request.id, Event::Sent, Change::default()).await?;
        let sent = trigger::send(&client, &ground.offer, &ground.prepared).await;
        let task = sent.map_err(|error| Setback::unsent(error, false)).map(Sent::task).map_err(for_good)?;
        self.journal.facts(&request.id, Change { action_task: Some(task), ..Change::default() }).await?;
        Ok(self.on_its_way(task))
    }

    async fn permit(&self, request: &Request, ground: &Ground<'_>) -> Result<Permit, Setback> {
        let asking = Asking {
            asker: &request.asker,
            action: &request.asked.action,
            jobs: self.jobs(request, ground).await?,
            project: ground.project,
            offer: &ground.offer,
            prepared: &ground.prepared,
        };
        Ok(permit(&self.reader, asking).await?)
    }

    async fn allowed(&self, request: &Request, ground: &Ground<'_>, why: String) -> Result<(), Setback> {
        let change = Change {
            project: Some(ground.name.clone()),
            decision: Some(ground.decision),
            builds: request.builds.clone(),
            why: Some(why.clone()),
            ..Change::default()
        };
        self.journal.apply(&request.id, Event::Allowed, change).await?;
        tracing::info!(%why, "allowed");
        Ok(())
    }

    async fn sent(&self, request: &Request, task: TaskId) -> Result<Turn, Setback> {
        let change = Change { action_task: Some(task), ..Change::default() };
        self.journal.apply(&request.id, Event::Sent, change).await?;
        Ok(self.on_its_way(task))
    }

    fn on_its_way(&self, task: TaskId) -> Turn {
        log::acting(&Span::current(), task);
        tracing::info!("sent: the push's action does it");
        Turn::Follow(task)
    }
}

/// Why its action may be asked, and why its builds may be forced, where that is not the same.
fn both(action: &str, builds: Option<&str>) -> String {
    let builds = builds.filter(|builds| *builds != action);
    builds.map_or_else(|| action.to_owned(), |builds| format!("{action}; builds: {builds}"))
}

/// What counts as sent is not tried again by itself.
fn for_good(setback: Setback) -> Setback {
    match setback {
        Setback::Later(why) => Setback::Failed(why),
        other @ (Setback::Refused(_) | Setback::Failed(_) | Setback::Journal(_)) => other,
    }
}
