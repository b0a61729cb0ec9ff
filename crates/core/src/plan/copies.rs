//! How often a label that was asked for is made.

use std::collections::HashMap;

use super::request::{MAX_TIMES, Request};
use crate::graph::Task;

/// The copies of each label that was asked for.
#[derive(Debug)]
pub(super) struct Rounds<'a> {
    /// Where each label is made.
    spans: HashMap<&'a str, Vec<Span>>,
    is_optimization: bool,
}

/// A label's times in one round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    round: usize,
    /// How many times of it come before, in other rounds.
    before: u32,
    times: u32,
}

/// The copies of one label: so many times in each round, each with its duplicates. Copy `n` is the duplicate
/// `n % duplicates` of the time `n / duplicates`; times count through all rounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Copies {
    spans: Vec<Span>,
    duplicates: u32,
}

impl<'a> Rounds<'a> {
    pub(super) fn of(request: &'a Request) -> Self {
        let mut spans: HashMap<&str, Vec<Span>> = HashMap::new();
        for (round, asked) in request.rounds().iter().enumerate() {
            let times = asked.times.clamp(1, MAX_TIMES);
            for label in &asked.labels {
                let spans = spans.entry(label).or_default();
                let before = spans.last().map_or(0, |last| last.before.saturating_add(last.times));
                spans.push(Span { round, before, times });
            }
        }
        Self { spans, is_optimization: request.is_optimization() }
    }

    /// Those of `task`, whose attribute `task_duplicates` counts up to [`MAX_TIMES`].
    pub(super) fn copies(&self, task: &Task) -> Copies {
        let duplicates = if self.is_optimization { Ok(1) } else { crate::definition::copies(&task.attributes) };
        let duplicates = u32::try_from(duplicates.unwrap_or(1)).unwrap_or(MAX_TIMES).clamp(1, MAX_TIMES);
        Copies { spans: self.spans.get(&*task.label).cloned().unwrap_or_default(), duplicates }
    }
}

impl Copies {
    pub(super) fn total(&self) -> u32 {
        let times = self.spans.last().map_or(0, |last| last.before.saturating_add(last.times));
        times.saturating_mul(self.duplicates)
    }

    pub(super) fn duplicates(&self) -> u32 {
        self.duplicates
    }

    /// The copy of a label with these copies that copy `n` of one with `others` depends on: the same time's of the same
    /// round, and the same duplicate if there is one. What is not made in that round has its first copy depended on.
    pub(super) fn matching(&self, n: u32, others: &Self) -> u32 {
        let (time, duplicate) = (n / others.duplicates, n % others.duplicates);
        let theirs = others.spans.iter().find(|span| (span.before..span.before + span.times).contains(&time));
        let same = theirs.and_then(|theirs| {
            let ours = self.spans.iter().find(|ours| ours.round == theirs.round)?;
            Some(ours.before + (time - theirs.before))
        });
        same.unwrap_or(0) * self.duplicates + if duplicate < self.duplicates { duplicate } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copies(spans: &[(usize, u32, u32)], duplicates: u32) -> Copies {
        let span = |(round, before, times): &(usize, u32, u32)| Span { round: *round, before: *before, times: *times };
        Copies { spans: spans.iter().map(span).collect(), duplicates }
    }

    #[test]
    fn copy_n_goes_with_copy_n() {
        let (build, test) = (copies(&[(0, 0, 2)], 1), copies(&[(0, 0, 2)], 3));
        let of_test: Vec<u32> = (0..test.total()).map(|n| build.matching(n, &test)).collect();
        assert_eq!(of_test, [0, 0, 0, 1, 1, 1]);
        assert_eq!((0..6).map(|n| test.matching(n, &test)).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5]);
        assert_eq!((0..2).map(|n| test.matching(n, &build)).collect::<Vec<_>>(), [0, 3]);
    }

    #[test]
    fn copies_count_on_through_the_rounds_and_keep_to_their_own() {
        // The build is made in the rounds 0 and 2, the test in 1 and 2.
        let (build, test) = (copies(&[(0, 0, 2), (2, 2, 2)], 1), copies(&[(1, 0, 1), (2, 1, 2)], 1));
        assert_eq!((build.total(), test.total()), (4, 3));
        assert_eq!((0..3).map(|n| build.matching(n, &test)).collect::<Vec<_>>(), [0, 2, 3]);
    }
}
