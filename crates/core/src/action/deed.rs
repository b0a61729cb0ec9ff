//! What an action looks at, and what it decides.

use crate::ids::TaskId;

/// What was fetched for an action's decision.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// The task that the action was asked for; none where it was asked for the group.
    pub subject: Option<&'a TaskId>,
}

/// What is to be done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deeds {}

/// Why nothing will be done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The action was asked for a group.
    #[error("this action is for a task, and none was named")]
    NoSubject,
}
