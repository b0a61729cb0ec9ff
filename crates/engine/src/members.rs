//! A group's tasks.

use futures_util::TryStreamExt as _;
use taskgraft_client::{Client, Error};
use taskgraft_core::action::member::Member;
use taskgraft_core::ids::TaskId;

/// How many tasks a page of a listing has, which is the most that the queue gives.
const PAGE: u16 = 1000;

/// All tasks of a group.
///
/// # Errors
/// If the queue doesn't answer.
pub(crate) async fn members(client: &Client, group: TaskId) -> Result<Vec<Member>, Error> {
    let mut members = Vec::new();
    let mut pages = std::pin::pin!(client.queue().list_task_group(group, PAGE));
    while let Some(page) = pages.try_next().await? {
        members.extend(page.tasks.into_iter().map(Member::from));
    }
    Ok(members)
}
