//! Trying again until it is time to stop.

use std::time::Duration;

use tokio::sync::watch;

/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// It was told to stop before a message was dealt with.
pub(super) struct Stopped;

/// Waits the longer the more tries were in vain; true if it is time to stop.
pub(super) async fn pause(tries: u32, stop: &mut watch::Receiver<bool>) -> bool {
    let pause = Duration::from_millis(50).saturating_mul(1 << tries.min(10)).min(LONGEST_PAUSE);
    tokio::select! {
        _ = stop.wait_for(|stop| *stop) => true,
        () = tokio::time::sleep(pause) => false,
    }
}
