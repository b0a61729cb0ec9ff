//! The table of actions.

use serde_json::Value;

use super::deed::{Deeds, Refusal, View};
use super::{
    add_matching_jobs, add_new_jobs, backfill, cancel, cancel_all, rebuild_cached_tasks, rerun, retrigger,
    retrigger_decision, retrigger_disabled, retrigger_failed, retrigger_multiple, run_missing_jobs,
};

/// Which tasks an action is offered for: those whose tags contain all pairs of any of these sets. No set at all: the
/// task group as a whole. The empty set: every task. (wire.md, "actions.json version 1")
pub type Context = &'static [&'static [(&'static str, &'static str)]];

/// Who made an action up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// The reference package, whose published form is kept to the byte.
    Reference,
    /// taskgraft.
    Taskgraft,
}

/// What an action's decision looks at beyond the request itself: what has to be fetched first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Needs {
    /// The full task graph, and which of its labels have tasks.
    pub graph: bool,
    /// The definition of the task that the action was asked for.
    pub subject: bool,
    /// target-tasks.json.
    pub targets: bool,
    /// All tasks of the group.
    pub members: bool,
    /// The project's earlier pushes.
    pub earlier_pushes: bool,
}

impl Needs {
    pub(super) const NOTHING: Self =
        Self { graph: false, subject: false, targets: false, members: false, earlier_pushes: false };
    pub(super) const GRAPH: Self = Self { graph: true, ..Self::NOTHING };
    pub(super) const SUBJECT: Self = Self { subject: true, ..Self::NOTHING };
    pub(super) const GRAPH_AND_SUBJECT: Self = Self { graph: true, ..Self::SUBJECT };
}

/// One action: how it is offered to people, and what it decides.
///
/// The words of the reference's actions, their orders and schemas are those of `taskgraph/actions/*.py`, 24.5.1.
#[derive(Debug, Clone, Copy)]
pub struct Action {
    /// What user interfaces find it by. Several actions may share a name: the first whose context fits is meant.
    pub name: &'static str,
    /// What an action task calls it by; unique.
    pub cb_name: &'static str,
    /// A button's text.
    pub title: &'static str,
    /// The action task's symbol on Treeherder.
    pub symbol: &'static str,
    /// For people, in markdown.
    pub description: &'static str,
    /// Its place in menus, smallest first.
    pub order: u32,
    /// Which tasks it is offered for.
    pub context: Context,
    /// Part of the name of the hook that runs it, and of the role that says what it may do.
    pub permission: &'static str,
    /// The JSON schema of its input; none where it takes no input.
    pub schema: Option<fn() -> Value>,
    /// Who made it up.
    pub origin: Origin,
    /// What it has to know.
    pub needs: Needs,
    /// From what was fetched, and the validated input with its defaults filled in, to what is to be done.
    pub decide: fn(&View<'_>, &Value) -> Result<Deeds, Refusal>,
}

/// The order of an action that names none, as in the reference.
pub(super) const DEFAULT_ORDER: u32 = 10_000;
/// The permission of an action that needs no other than everybody's.
pub const GENERIC: &str = "generic";

/// Every action there is, in the order in which menus show them.
pub static ACTIONS: &[Action] = &[
    retrigger_decision::ACTION,
    retrigger::ACTION,
    retrigger_disabled::ACTION,
    add_new_jobs::ACTION,
    add_matching_jobs::ACTION,
    retrigger_failed::ACTION,
    backfill::ACTION,
    run_missing_jobs::ACTION,
    rerun::ACTION,
    cancel::ACTION,
    cancel_all::ACTION,
    rebuild_cached_tasks::ACTION,
    retrigger_multiple::ACTION,
];

/// The action that an action task calls `callback`.
#[must_use]
pub fn by_callback(callback: &str) -> Option<&'static Action> {
    ACTIONS.iter().find(|action| action.cb_name == callback)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn callbacks_are_unique_and_menus_are_in_order() {
        let callbacks: BTreeSet<_> = ACTIONS.iter().map(|action| action.cb_name).collect();
        assert_eq!(callbacks.len(), ACTIONS.len());
        assert!(ACTIONS.is_sorted_by_key(|action| action.order));
        for action in ACTIONS {
            assert!((1..=25).contains(&action.symbol.len()), "{}: Treeherder's bound", action.cb_name);
            assert!(!action.permission.contains('/'), "{}: a wildcard of a scope would catch it", action.cb_name);
            assert!(action.description.len() <= 4096 && action.title.trim() == action.title);
        }
    }

    #[test]
    fn an_action_is_found_by_its_callback_only() {
        assert_eq!(by_callback("retrigger-decision").map(|action| action.name), Some("retrigger"));
        assert!(by_callback("Add new jobs").is_none());
    }
}
