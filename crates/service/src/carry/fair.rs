//! Whose turn it is.

use std::collections::{BTreeMap, HashMap, VecDeque};

use taskgraft_core::ids::RequestId;

use crate::config::Project;
use crate::journal::Caller;
use crate::pulse::policy;

/// Out of whose turns a request's come.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Share {
    /// A project's.
    Project(String),
    /// The asker's, as long as no project that is served is known.
    Asker(String),
}

impl Share {
    /// Whose a request's turns are; all projects are served where none is configured.
    pub(super) fn of(caller: Caller, projects: &BTreeMap<String, Project>) -> Self {
        let served = |named: String| match policy::project(projects, &named) {
            Some((name, _)) => Some(name.to_owned()),
            None => projects.is_empty().then_some(named),
        };
        caller.project.and_then(served).map_or(Self::Asker(caller.asker), Self::Project)
    }
}

/// Requests that wait for a turn. Shares take turns, so that whoever has many requests holds nobody else up; those of one
/// share go in their order.
#[derive(Debug, Default)]
pub(super) struct Fair {
    /// Shares that have requests waiting, each once.
    turns: VecDeque<Share>,
    waiting: HashMap<Share, VecDeque<RequestId>>,
}

impl Fair {
    pub(super) fn push(&mut self, share: &Share, request: RequestId) {
        match self.waiting.get_mut(share) {
            Some(waiting) => waiting.push_back(request),
            None => {
                self.turns.push_back(share.clone());
                self.waiting.insert(share.clone(), VecDeque::from([request]));
            }
        }
    }

    pub(super) fn pop(&mut self) -> Option<RequestId> {
        let share = self.turns.pop_front()?;
        let waiting = self.waiting.get_mut(&share)?;
        let next = waiting.pop_front();
        if waiting.is_empty() {
            self.waiting.remove(&share);
        } else {
            self.turns.push_back(share);
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

    #[test]
    fn only_a_project_that_is_served_has_a_share_of_its_own() {
        let config = "[project.lander]\nlevel = \"3\"\n[project.lander.treeherder]\nurl = \"https://treeherder.example\"\nproject = \"lander-th\"\n";
        let served = crate::config::Config::read(config).unwrap().project;
        let share = |project: Option<&str>, projects| {
            let project = project.map(str::to_owned);
            Share::of(Caller { request: id(1), project, asker: "lander".to_owned() }, projects)
        };
        let (own, asker) = (|name: &str| Share::Project(name.to_owned()), Share::Asker("lander".to_owned()));
        for named in ["lander", "lander-th"] {
            assert_eq!(share(Some(named), &served), own("lander"));
        }
        assert_eq!([share(Some("made-up"), &served), share(None, &served)], [asker.clone(), asker]);
        assert_eq!(share(Some("made-up"), &BTreeMap::new()), own("made-up"), "all are served");
    }

    proptest! {
        #[test]
        fn nobody_waits_longer_than_a_round_and_nothing_is_lost(projects in prop::collection::vec("[abc]", 0..40)) {
            let mut fair = Fair::default();
            for (n, project) in projects.iter().enumerate() {
                fair.push(&Share::Project(project.clone()), id(n));
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
