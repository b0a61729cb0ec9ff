//! Looking at all action tasks that requests wait for, in few calls.

use std::time::Duration;

use taskgraft_client::Client;
use taskgraft_core::ids::TaskId;
use taskgraft_engine::Following;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

use crate::live::Live;

/// The pause between two looks: short at first, since actions of ours take less than a second.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// Follows the tasks that are named until no more can be, and tells each that has ended. Where live states are heard of,
/// a look comes at once; where not, after a pause that grows while nothing ends.
pub(super) async fn follow(
    client: Client,
    longest: Duration,
    live: Live,
    mut named: UnboundedReceiver<TaskId>,
    ended: UnboundedSender<TaskId>,
) {
    let mut following = Following::default();
    let mut new: Vec<TaskId> = Vec::new();
    let mut events = live.follow();
    let mut pause = FIRST_PAUSE;
    loop {
        let idle = following.is_empty() && new.is_empty();
        tokio::select! {
            task = named.recv() => {
                let Some(task) = task else { return };
                new.push(task);
                pause = FIRST_PAUSE.min(longest);
                continue;
            }
            event = events.recv() => match event {
                Ok(event) if event.state.is_resolved() && following.has(event.task) => {}
                // What was missed is seen at the next look.
                Ok(_) | Err(RecvError::Lagged(_)) => continue,
                // This holds a sender itself: it can't be.
                Err(RecvError::Closed) => return,
            },
            () = tokio::time::sleep(pause), if !idle => {}
        }
        match look(&client, &mut following, &mut new).await {
            Ok(ends) => {
                pause = if ends.is_empty() { (pause * 5 / 4).min(longest) } else { FIRST_PAUSE.min(longest) };
                for task in ends {
                    // If whoever waits is gone, so is this, soon.
                    let _ = ended.send(task);
                }
            }
            Err(error) => {
                tracing::warn!("failed to look at action tasks: {error}");
                pause = longest;
            }
        }
    }
}

async fn look(
    client: &Client,
    following: &mut Following,
    new: &mut Vec<TaskId>,
) -> Result<Vec<TaskId>, taskgraft_client::Error> {
    following.add(client, new).await?;
    new.clear();
    let ends: Vec<TaskId> = following.look(client).await?.ends.into_keys().collect();
    ends.iter().for_each(|task| following.forget(*task));
    Ok(ends)
}
