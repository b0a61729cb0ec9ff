//! Looking at all action tasks that requests wait for, in few calls.

use std::time::Duration;

use taskgraft_client::Client;
use taskgraft_core::ids::TaskId;
use taskgraft_engine::Following;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::time::{Instant, sleep_until};

use crate::live::{Live, LiveEvent};

/// The pause between two looks: short at first, since actions of ours take less than a second.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// Follows the tasks that are named until no more can be, and tells each that has ended. Where live states are heard of,
/// a look comes at once; where not, after a pause that grows while nothing ends. Whatever else happens, only a look puts the
/// next one off.
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
    // None while there is nothing to look at.
    let mut next: Option<Instant> = None;
    loop {
        tokio::select! {
            task = named.recv() => {
                let Some(task) = task else { return };
                new.push(task);
                pause = FIRST_PAUSE.min(longest);
                let soon = Instant::now() + pause;
                next = Some(next.map_or(soon, |next| next.min(soon)));
                continue;
            }
            event = events.recv() => match event {
                Ok(LiveEvent::Task(event))
                    if event.state.is_resolved() && (following.has(event.task) || new.contains(&event.task)) => {}
                // What was missed is seen at the next look.
                Ok(_) | Err(RecvError::Lagged(_)) => continue,
                // This holds a sender itself: it can't be.
                Err(RecvError::Closed) => return,
            },
            () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {}
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
        let idle = following.is_empty() && new.is_empty();
        next = (!idle).then(|| Instant::now() + pause);
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

#[cfg(test)]
mod tests {
    use taskgraft_client::Config;
    use taskgraft_core::state::TaskState;
    use taskgraft_local::Server;
    use tokio::sync::mpsc::unbounded_channel;
    use tokio::time::{interval, timeout};

    use super::*;
    use crate::live::TaskEvent;

    #[tokio::test]
    async fn a_look_comes_however_much_happens_to_others() {
        let dir = tempfile::tempdir().unwrap();
        // A queue that knows no task: whatever is looked at has ended.
        let queue = Server::start(taskgraft_local::Config::new(dir.path().join("data"))).await.unwrap();
        let client = Client::new(Config::new(queue.root_url())).unwrap();
        let (live, (name, named), (ended, mut ends)) = (Live::default(), unbounded_channel(), unbounded_channel());
        let following = tokio::spawn(follow(client, FIRST_PAUSE, live.clone(), named, ended));
        let [own, other] = [1, 2].map(|n| TaskId::from_bytes([n; 16]));
        let traffic = async {
            let mut ticks = interval(FIRST_PAUSE / 5);
            loop {
                ticks.tick().await;
                let completed = TaskEvent { task: other, group: other, state: TaskState::Completed, run: Some(0) };
                live.hand_on(LiveEvent::Task(completed));
            }
        };
        name.send(own).unwrap();
        let seen = tokio::select! {
            seen = timeout(Duration::from_secs(20), ends.recv()) => seen,
            () = traffic => unreachable!("it goes on"),
        };
        assert_eq!(seen, Ok(Some(own)), "it was looked at");
        following.abort();
        queue.stop().await;
    }
}
