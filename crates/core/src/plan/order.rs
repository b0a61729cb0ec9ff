//! In which order new tasks are listed: whatever one depends on, softly or not, comes first.

use std::collections::BTreeSet;

use crate::graph::{TaskGraph, TaskIx};

/// New tasks in order, and the soft dependencies between them.
pub(super) struct Order {
    pub(super) tasks: Vec<TaskIx>,
    /// Pairs of a task and what it softly depends on.
    soft: BTreeSet<(TaskIx, TaskIx)>,
    /// Tasks whose soft dependencies had to be left out because they lead round in a circle.
    pub(super) circle: Vec<TaskIx>,
}

impl Order {
    /// What a task softly depends on.
    pub(super) fn soft_of(&self, ix: TaskIx) -> Vec<TaskIx> {
        let pairs = self.soft.range((ix, TaskIx::new(0))..).take_while(|(of, _)| *of == ix);
        pairs.map(|(_, on)| *on).collect()
    }
}

/// Orders the tasks for which `is_new` holds. `may_follow` says whether a soft dependency may be kept at all.
pub(super) fn order(
    graph: &TaskGraph,
    is_new: impl Fn(TaskIx) -> bool,
    may_follow: impl Fn(TaskIx, TaskIx) -> bool,
) -> Order {
    let new: Vec<TaskIx> = graph.postorder().iter().copied().filter(|ix| is_new(*ix)).collect();
    let mut soft = BTreeSet::new();
    for ix in &new {
        let labels = &graph.task(*ix).soft_dependencies;
        let targets = labels.iter().filter_map(|label| graph.by_label(label));
        soft.extend(targets.filter(|on| on != ix && is_new(*on) && may_follow(*ix, *on)).map(|on| (*ix, on)));
    }
    let mut circle = Vec::new();
    loop {
        let tasks = place(graph, &new, &soft);
        if tasks.len() == new.len() {
            return Order { tasks, soft, circle };
        }
        // The hard dependencies alone lead nowhere round, so some of these soft ones do.
        let placed: BTreeSet<TaskIx> = tasks.into_iter().collect();
        circle = new.iter().copied().filter(|ix| !placed.contains(ix)).collect();
        soft.retain(|(ix, on)| placed.contains(ix) || placed.contains(on));
    }
}

/// As many of `new` as can be placed with everything that they depend on before them; in the order of `new` where
/// nothing else decides.
fn place(graph: &TaskGraph, new: &[TaskIx], soft: &BTreeSet<(TaskIx, TaskIx)>) -> Vec<TaskIx> {
    if soft.is_empty() {
        return new.to_vec();
    }
    let members: BTreeSet<TaskIx> = new.iter().copied().collect();
    let hard = new.iter().flat_map(|ix| graph.dependencies(*ix).iter().map(|(_, on)| (*ix, *on)));
    let edges: BTreeSet<(TaskIx, TaskIx)> =
        hard.filter(|(_, on)| members.contains(on)).chain(soft.iter().copied()).collect();
    let mut waiting = vec![0_usize; graph.len()];
    let mut followers: Vec<Vec<TaskIx>> = vec![Vec::new(); graph.len()];
    for (ix, on) in &edges {
        waiting[ix.index()] += 1;
        followers[on.index()].push(*ix);
    }
    let mut placed: Vec<TaskIx> = new.iter().copied().filter(|ix| waiting[ix.index()] == 0).collect();
    let mut next = 0;
    while let Some(ix) = placed.get(next).copied() {
        next += 1;
        for follower in &followers[ix.index()] {
            waiting[follower.index()] -= 1;
            if waiting[follower.index()] == 0 {
                placed.push(*follower);
            }
        }
    }
    placed
}
