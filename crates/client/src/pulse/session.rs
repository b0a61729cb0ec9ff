//! A connection that is in use.

use std::time::Duration;

use lapin::{Channel, Connection};
use tokio_util::sync::DropGuard;

/// How long a connection may take to end in order. After that it is as good as lost.
const CLOSE: Duration = Duration::from_secs(5);

/// A connection with a channel. Dropped, its socket is cut: left to itself, lapin would wait with it, in a thread, for a
/// broker that says nothing.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) connection: Connection,
    pub(super) channel: Channel,
    pub(super) _cut: DropGuard,
}

impl Session {
    /// Ends the connection in order, if it still can be.
    pub(super) async fn close(self) {
        // Gone already, it is as good as closed.
        let _ = tokio::time::timeout(CLOSE, self.connection.close(200, "done".into())).await;
    }
}
