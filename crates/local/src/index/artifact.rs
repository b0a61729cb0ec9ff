//! An artifact of whatever task is at an index path.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::handlers::found;
use crate::Ctx;
use crate::http::{ApiError, Call, Reply};
use crate::queue::latest_location;

/// How long the link to a private artifact works.
const LINK_WORKS: SignedDuration = SignedDuration::from_mins(15);

/// Sends on to the queue, which knows where the artifact is. A private one gets a link that is signed for this artifact
/// and for a while: whoever gets it has just shown the scope.
pub(super) async fn find(ctx: &Arc<Ctx>, call: &mut Call) -> Result<Reply, ApiError> {
    let task = found(ctx, call.param("indexPath")).await?;
    let name = call.param("name");
    let mut url = ctx.root_url.clone();
    let path = ["api", "queue", "v1", "task", task.task_id.as_str(), "artifacts", name];
    match url.path_segments_mut() {
        Ok(mut segments) => drop(segments.pop_if_empty().extend(path)),
        Err(()) => return Err(ApiError::internal("the root URL has no path")),
    }
    let scope = format!("queue:get-artifact:{name}");
    if ctx.auth.is_public(&scope) {
        // What can't be had is said by the queue itself.
        let direct = latest_location(ctx, call, task.task_id).await.ok().flatten();
        return Reply::see_other(direct.as_deref().unwrap_or(url.as_str()));
    }
    let until = ctx.now().saturating_add(LINK_WORKS).unwrap_or(Timestamp::MAX);
    Reply::see_other(ctx.auth.with_bewit(url, &[scope], until).as_str())
}
