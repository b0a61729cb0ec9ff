//! Looking at all action tasks that requests wait for, in few calls.

use std::time::Duration;

use taskgraft_client::Client;
use taskgraft_core::ids::TaskId;
use taskgraft_engine::Following;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

/// The pause between two looks: short at first, since actions of ours take less than a second.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// What the follower is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// Somebody waits for this task.
    Follow(TaskId),
    /// Something has happened: look now.
    Look,
}

/// Follows tasks until nobody wishes for anything any more, and tells each that has ended.
pub(super) async fn follow(
    client: Client,
    longest: Duration,
    mut wishes: UnboundedReceiver<Wish>,
    ended: UnboundedSender<TaskId>,
) {
    let mut following = Following::default();
    let mut new: Vec<TaskId> = Vec::new();
    let mut pause = FIRST_PAUSE;
    loop {
        let idle = following.is_empty() && new.is_empty();
        let wish = tokio::select! {
            wish = wishes.recv() => match wish {
                Some(wish) => Some(wish),
                None => return,
            },
            () = tokio::time::sleep(pause), if !idle => None,
        };
        if let Some(Wish::Follow(task)) = wish {
            new.push(task);
            pause = FIRST_PAUSE.min(longest);
            continue;
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
