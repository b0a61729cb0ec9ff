//! What was sent right before the service stopped, and so before it could be written down.

use std::time::Duration;

use taskgraft_core::ids::TaskId;
use taskgraft_engine::trigger::{self, Begun, Sending, Sent};

use super::ground::Ground;
use super::setback::Setback;
use super::turn::Work;
use crate::journal::Change;
use crate::request::Request;

/// Why what may run can be neither followed nor cancelled.
pub(super) const UNKNOWN: &str = "it is not known whether it was asked for: the service stopped at that moment, and this \
                                  action's tasks don't say which request they are for";
/// A hook that was triggered makes its task within this.
const HOOKS_TAKE: Duration = Duration::from_secs(10);

impl Work {
    /// The action task that an earlier turn sent, unless it has failed.
    pub(super) async fn earlier(&self, ground: &Ground<'_>) -> Result<Option<Sent>, Setback> {
        // Only looks: whoever asks as nobody sees the group, and it is the service's own tasks that are looked for.
        let client = self.narrowed(Vec::new());
        let earlier = trigger::earlier(&client, &ground.offer, &ground.prepared).await;
        earlier.map_err(|error| Setback::unsent(error, true))
    }

    /// Every action task that carries the request's key; what counts comes first.
    pub(super) async fn carrying(&self, ground: &Ground<'_>) -> Result<Vec<Begun>, Setback> {
        let client = self.narrowed(Vec::new());
        let begun = trigger::begun(&client, &ground.offer, &ground.prepared).await;
        begun.map_err(|error| Setback::unsent(error, true))
    }

    /// The action task of a request that counts as sent.
    pub(super) async fn came_of(&self, request: &Request) -> Result<TaskId, Setback> {
        let ground = self.ground_again(request).await?;
        if !ground.prepared.can_be_found() {
            return Err(Setback::Failed(UNKNOWN.to_owned()));
        }
        let found = self.carrying(&ground).await?.into_iter().find(|begun| begun.counts);
        match found {
            Some(Begun { task, .. }) => {
                self.journal.facts(&request.id, Change { action_task: Some(task), ..Change::default() }).await?;
                Ok(task)
            }
            None if self.may_be_coming(&ground) => Err(Setback::Later("its action task may be on its way".to_owned())),
            None => Err(Setback::Failed(
                "the service stopped at the moment it was asked for, and no action task for it is there that has not failed"
                    .to_owned(),
            )),
        }
    }

    /// The same ground as when it was allowed. What is wrong with it now doesn't mean that nothing was sent.
    pub(super) async fn ground_again(&self, request: &Request) -> Result<Ground<'_>, Setback> {
        self.ground(request).await.map_err(|setback| match setback {
            Setback::Refused(why) => Setback::Failed(format!("learn whether anything was sent: {why}")),
            other @ (Setback::Failed(_) | Setback::Later(_) | Setback::Journal(_)) => other,
        })
    }

    /// Whether a hook may still be making the task that was asked for right before the service started anew.
    pub(super) fn may_be_coming(&self, ground: &Ground<'_>) -> bool {
        let runs = self.reader.clock().now().duration_since(self.since);
        let began = Duration::try_from(runs).is_ok_and(|runs| runs < HOOKS_TAKE);
        began && matches!(ground.prepared.sending, Sending::Hook { .. })
    }
}
