//! Orders and reachability. The reference walks sets; here they are walked in the order of labels, so that the same
//! graph always gives the same order.

use std::collections::VecDeque;

use crate::graph::{TaskGraph, TaskIx};

/// Every task after its dependencies.
///
/// # Errors
///
/// One circle of tasks, each depending on the next and the last on the first.
pub(crate) fn postorder(graph: &TaskGraph) -> Result<Vec<TaskIx>, Vec<TaskIx>> {
    let waiting: Vec<usize> = all(graph).map(|ix| distinct_dependencies(graph, ix).count()).collect();
    let order = release(waiting, |ix| graph.dependents(ix).iter().copied());
    if order.len() == graph.len() { Ok(order) } else { Err(cycle(graph, &order)) }
}

/// Every task before its dependencies.
pub(crate) fn preorder(graph: &TaskGraph) -> Vec<TaskIx> {
    let waiting: Vec<usize> = all(graph).map(|ix| graph.dependents(ix).len()).collect();
    release(waiting, |ix| {
        let mut dependencies: Vec<TaskIx> = distinct_dependencies(graph, ix).collect();
        dependencies.sort_unstable();
        dependencies.into_iter()
    })
}

/// For each task whether it is one of `roots` or something that they need.
pub(crate) fn closure(graph: &TaskGraph, roots: &[TaskIx]) -> Vec<bool> {
    let mut inside = vec![false; graph.len()];
    let mut queue = roots.to_vec();
    while let Some(ix) = queue.pop() {
        if !std::mem::replace(&mut inside[ix.index()], true) {
            queue.extend(graph.dependencies(ix).iter().map(|(_, dependency)| *dependency));
        }
    }
    inside
}

fn all(graph: &TaskGraph) -> impl Iterator<Item = TaskIx> {
    (0..graph.len()).map(TaskIx::new)
}

/// A task's dependencies, each once although it may have several names.
fn distinct_dependencies(graph: &TaskGraph, ix: TaskIx) -> impl Iterator<Item = TaskIx> {
    let dependencies = graph.dependencies(ix);
    let first = move |at: usize, task: TaskIx| !dependencies[..at].iter().any(|(_, earlier)| *earlier == task);
    dependencies.iter().enumerate().filter(move |(at, (_, task))| first(*at, *task)).map(|(_, (_, task))| *task)
}

/// Kahn's way: take what waits for nothing, oldest first, and release what waited for it. Leaves out what is on or
/// behind a circle.
fn release<I: Iterator<Item = TaskIx>>(mut waiting: Vec<usize>, next: impl Fn(TaskIx) -> I) -> Vec<TaskIx> {
    let ready = waiting.iter().enumerate().filter(|(_, count)| **count == 0).map(|(index, _)| TaskIx::new(index));
    let mut queue: VecDeque<TaskIx> = ready.collect();
    let mut order = Vec::with_capacity(waiting.len());
    while let Some(ix) = queue.pop_front() {
        order.push(ix);
        for released in next(ix) {
            waiting[released.index()] -= 1;
            if waiting[released.index()] == 0 {
                queue.push_back(released);
            }
        }
    }
    order
}

/// A circle among the tasks that are not in `order`: each of them has a dependency that isn't either.
fn cycle(graph: &TaskGraph, order: &[TaskIx]) -> Vec<TaskIx> {
    let mut stuck = vec![true; graph.len()];
    for ix in order {
        stuck[ix.index()] = false;
    }
    let stuck_dependency =
        |ix: TaskIx| graph.dependencies(ix).iter().map(|(_, dependency)| *dependency).find(|ix| stuck[ix.index()]);
    let mut path: Vec<TaskIx> = Vec::new();
    let mut seen_at = vec![usize::MAX; graph.len()];
    let mut at = all(graph).find(|ix| stuck[ix.index()]);
    while let Some(ix) = at {
        if seen_at[ix.index()] != usize::MAX {
            return path.split_off(seen_at[ix.index()]);
        }
        seen_at[ix.index()] = path.len();
        path.push(ix);
        at = stuck_dependency(ix);
    }
    path
}
