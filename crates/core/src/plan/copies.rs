//! How often a label that was asked for is made.

use super::request::{MAX_TIMES, Request};
use crate::graph::Task;

/// The copies of one label: `times` over, each with its duplicates. Copy `n` is the duplicate `n % duplicates` of the
/// time `n / duplicates`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Copies {
    times: u32,
    duplicates: u32,
}

impl Copies {
    /// Those of `task`, whose attribute `task_duplicates` counts up to [`MAX_TIMES`].
    pub(super) fn of(task: &Task, request: &Request) -> Self {
        let duplicates = if request.is_optimization() { Ok(1) } else { crate::definition::copies(&task.attributes) };
        let duplicates = u32::try_from(duplicates.unwrap_or(1)).unwrap_or(MAX_TIMES).clamp(1, MAX_TIMES);
        Self { times: request.times(), duplicates }
    }

    pub(super) fn total(self) -> u32 {
        self.times * self.duplicates
    }

    pub(super) fn duplicates(self) -> u32 {
        self.duplicates
    }

    /// The copy of a label with these copies that copy `n` of one with `others` depends on: the same time's, and the
    /// same duplicate if there is one.
    pub(super) fn matching(self, n: u32, others: Self) -> u32 {
        let (time, duplicate) = (n / others.duplicates, n % others.duplicates);
        time * self.duplicates + if duplicate < self.duplicates { duplicate } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copy_n_goes_with_copy_n() {
        let (build, test) = (Copies { times: 2, duplicates: 1 }, Copies { times: 2, duplicates: 3 });
        let of_test: Vec<u32> = (0..test.total()).map(|n| build.matching(n, test)).collect();
        assert_eq!(of_test, [0, 0, 0, 1, 1, 1]);
        assert_eq!((0..6).map(|n| test.matching(n, test)).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5]);
        assert_eq!((0..2).map(|n| test.matching(n, build)).collect::<Vec<_>>(), [0, 3]);
    }
}
