//! Whose turn it is.

use std::collections::{HashMap, VecDeque};

use taskgraft_core::ids::RequestId;

/// Requests that wait for a turn. Projects take turns, so that one with many requests holds nobody else's up; those of one
/// project go in their order.
#[derive(Debug, Default)]
pub(super) struct Fair {
    /// Projects that have requests waiting, each once.
    turns: VecDeque<String>,
    waiting: HashMap<String, VecDeque<RequestId>>,
}

impl Fair {
    pub(super) fn push(&mut self, project: &str, request: RequestId) {
        match self.waiting.get_mut(project) {
            Some(waiting) => waiting.push_back(request),
            None => {
                self.turns.push_back(project.to_owned());
                self.waiting.insert(project.to_owned(), VecDeque::from([request]));
            }
        }
    }

    pub(super) fn pop(&mut self) -> Option<RequestId> {
        let project = self.turns.pop_front()?;
        let waiting = self.waiting.get_mut(&project)?;
        let next = waiting.pop_front();
        if waiting.is_empty() {
            self.waiting.remove(&project);
        } else {
            self.turns.push_back(project);
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn id(n: usize) -> RequestId {
        format!("r{n}").parse().unwrap()
    }

    proptest! {
        #[test]
        fn nobody_waits_longer_than_a_round_and_nothing_is_lost(projects in prop::collection::vec("[abc]", 0..40)) {
            let mut fair = Fair::default();
            for (n, project) in projects.iter().enumerate() {
                fair.push(project, id(n));
            }
            let order: Vec<usize> = std::iter::from_fn(|| fair.pop())
                .map(|id| id.as_str()[1..].parse().unwrap())
                .collect();
            let mut all = order.clone();
            all.sort_unstable();
            prop_assert_eq!(all, (0..projects.len()).collect::<Vec<_>>());
            for project in ["a", "b", "c"] {
                let own: Vec<usize> = order.iter().copied().filter(|n| projects[*n] == project).collect();
                prop_assert!(own.is_sorted(), "in their order");
                let places: Vec<usize> = (0..order.len()).filter(|at| projects[order[*at]] == project).collect();
                prop_assert!(places.iter().enumerate().all(|(n, at)| *at < (n + 1) * 3), "{project}: {places:?}");
            }
        }
    }
}
