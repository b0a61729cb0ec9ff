//! What each request that is not at its end waits for.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use taskgraft_core::ids::{RequestId, TaskId};
use tokio::time::Instant;

use super::fair::{Fair, Share};
use super::turn::Turn;

/// The pause before something is tried again, at first; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// After how many turns that broke off a request is given up.
const MOST_BROKEN: u32 = 3;

/// What a request waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Its turn.
    Turn,
    /// The end of the turn it has. `again`: something happened meanwhile.
    Busy { again: bool },
    /// A better time.
    Later(Instant),
    /// The end of its action task.
    Task(TaskId),
}

#[derive(Debug)]
struct Known {
    stage: Stage,
    share: Share,
    /// Turns in a row in which somebody didn't answer.
    vain: u32,
    /// How many turns have broken off, and why the last did.
    broke: (u32, String),
}

/// The requests that are not at their end. Each has one turn at a time.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    fair: Fair,
    known: HashMap<RequestId, Known>,
    later: BTreeSet<(Instant, RequestId)>,
    tasks: HashMap<TaskId, RequestId>,
}

impl Schedule {
    /// Something has happened to a request: it came, or somebody wants it tried again or undone.
    pub(super) fn take(&mut self, id: &RequestId, share: Share) {
        if let Some(known) = self.known.get_mut(id) {
            known.share = share;
            return self.wake(id);
        }
        self.fair.push(&share, id.clone());
        self.known.insert(id.clone(), Known { stage: Stage::Turn, share, vain: 0, broke: <_>::default() });
    }

    /// From its next turn on a request's turns come out of this share.
    pub(super) fn belongs(&mut self, id: &RequestId, share: Share) {
        if let Some(known) = self.known.get_mut(id) {
            known.share = share;
        }
    }

    /// What a request waited for is there.
    fn wake(&mut self, id: &RequestId) {
        let Some(known) = self.known.get_mut(id) else { return };
        match known.stage {
            Stage::Turn => return,
            Stage::Busy { .. } => return known.stage = Stage::Busy { again: true },
            Stage::Later(at) => drop(self.later.remove(&(at, id.clone()))),
            Stage::Task(task) => drop(self.tasks.remove(&task)),
        }
        known.stage = Stage::Turn;
        self.fair.push(&known.share, id.clone());
    }

    /// Whose turn it is; the turn has begun.
    pub(super) fn next(&mut self) -> Option<RequestId> {
        let id = self.fair.pop()?;
        if let Some(known) = self.known.get_mut(&id) {
            known.stage = Stage::Busy { again: false };
        }
        Some(id)
    }

    /// Why a request is to be given up: its turns break off.
    pub(super) fn broken(&self, id: &RequestId) -> Option<&str> {
        let (times, why) = &self.known.get(id)?.broke;
        (*times >= MOST_BROKEN).then_some(why)
    }

    /// A turn has ended like this; the task that is to be followed from now on.
    pub(super) fn turned(&mut self, id: &RequestId, turn: Turn, now: Instant, longest: Duration) -> Option<TaskId> {
        let known = self.known.get_mut(id)?;
        let again = known.stage == Stage::Busy { again: true };
        let in_vain = matches!(turn, Turn::Later(_) | Turn::Broke(_));
        known.vain = if in_vain { known.vain.saturating_add(1) } else { 0 };
        if let Turn::Broke(why) = &turn {
            known.broke = (known.broke.0.saturating_add(1), why.clone());
        }
        match turn {
            Turn::Over if !again => {
                self.known.remove(id);
            }
            Turn::Follow(task) if !again => {
                known.stage = Stage::Task(task);
                self.tasks.insert(task, id.clone());
                return Some(task);
            }
            Turn::Later(_) | Turn::Broke(_) if !again => {
                let doubled = FIRST_PAUSE.saturating_mul(1 << known.vain.saturating_sub(1).min(20));
                let at = now + doubled.min(longest);
                known.stage = Stage::Later(at);
                self.later.insert((at, id.clone()));
            }
            Turn::Over | Turn::Follow(_) | Turn::Later(_) | Turn::Broke(_) | Turn::Again => {
                known.stage = Stage::Turn;
                self.fair.push(&known.share, id.clone());
            }
        }
        None
    }

    /// A task that was followed has ended.
    pub(super) fn ended(&mut self, task: TaskId) {
        if let Some(id) = self.tasks.get(&task).cloned() {
            self.wake(&id);
        }
    }

    /// When somebody's better time comes.
    pub(super) fn due(&self) -> Option<Instant> {
        self.later.first().map(|(at, _)| *at)
    }

    /// It is `now`.
    pub(super) fn come(&mut self, now: Instant) {
        while let Some((at, id)) = self.later.first().cloned() {
            if at > now {
                return;
            }
            self.wake(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST: Duration = Duration::from_secs(2);

    fn id(n: u8) -> RequestId {
        TaskId::from_bytes([n; 16]).into()
    }

    fn lander() -> Share {
        Share::Project("lander".to_owned())
    }

    #[test]
    fn a_request_has_one_turn_at_a_time_and_misses_nothing() {
        let (mut schedule, now) = (Schedule::default(), Instant::now());
        schedule.take(&id(1), lander());
        schedule.take(&id(1), lander());
        assert_eq!((schedule.next(), schedule.next()), (Some(id(1)), None));
        schedule.take(&id(1), lander());
        assert_eq!(schedule.next(), None, "it has a turn");
        assert_eq!(schedule.turned(&id(1), Turn::Over, now, LONGEST), None);
        assert_eq!(schedule.next(), Some(id(1)), "something happened meanwhile");
        schedule.turned(&id(1), Turn::Over, now, LONGEST);
        assert!(schedule.known.is_empty() && schedule.next().is_none());
    }

    #[test]
    fn pauses_grow_and_end_when_something_happens() {
        let (mut schedule, now) = (Schedule::default(), Instant::now());
        let later = || Turn::Later("down".to_owned());
        schedule.take(&id(1), lander());
        for pause in [250, 500, 1000, 2000, 2000] {
            let pause = Duration::from_millis(pause);
            assert_eq!(schedule.next(), Some(id(1)));
            schedule.turned(&id(1), later(), now, LONGEST);
            assert_eq!(schedule.due(), Some(now + pause));
            schedule.come(now + pause - Duration::from_millis(1));
            assert_eq!(schedule.next(), None);
            schedule.come(now + pause);
        }
        schedule.next();
        schedule.turned(&id(1), later(), now, LONGEST);
        schedule.take(&id(1), lander());
        assert_eq!((schedule.next(), schedule.due()), (Some(id(1)), None), "somebody wants it now");
    }

    #[test]
    fn a_request_whose_turns_break_off_is_given_up() {
        let (mut schedule, now) = (Schedule::default(), Instant::now());
        schedule.take(&id(1), lander());
        for broke in ["one", "two", "three"] {
            assert_eq!((schedule.next(), schedule.broken(&id(1))), (Some(id(1)), None));
            schedule.turned(&id(1), Turn::Broke(broke.to_owned()), now, LONGEST);
            schedule.come(now + LONGEST);
        }
        assert_eq!((schedule.next(), schedule.broken(&id(1))), (Some(id(1)), Some("three")));
        schedule.turned(&id(1), Turn::Over, now, LONGEST);
        schedule.take(&id(1), lander());
        assert_eq!((schedule.next(), schedule.broken(&id(1))), (Some(id(1)), None), "somebody wants it tried again");
    }

    #[test]
    fn who_waits_for_a_task_is_woken_by_it_alone() {
        let (mut schedule, now) = (Schedule::default(), Instant::now());
        let task = |n| TaskId::from_bytes([n; 16]);
        for n in [1, 2] {
            schedule.take(&id(n), lander());
            schedule.next();
            assert_eq!(schedule.turned(&id(n), Turn::Follow(task(n)), now, LONGEST), Some(task(n)));
        }
        schedule.ended(task(2));
        assert_eq!((schedule.next(), schedule.next()), (Some(id(2)), None));
        schedule.take(&id(1), lander());
        schedule.ended(task(1));
        assert_eq!((schedule.next(), schedule.next()), (Some(id(1)), None));
    }

    #[test]
    fn turns_come_out_of_the_share_that_a_turn_has_learnt() {
        let (mut schedule, now) = (Schedule::default(), Instant::now());
        let ann = || Share::Asker("ann".to_owned());
        for n in [1, 2] {
            schedule.take(&id(n), ann());
            schedule.next();
        }
        for n in [3, 4] {
            schedule.take(&id(n), ann());
        }
        schedule.belongs(&id(1), lander());
        for n in [1, 2] {
            schedule.turned(&id(n), Turn::Again, now, LONGEST);
        }
        let order: Vec<_> = std::iter::from_fn(|| schedule.next()).collect();
        assert_eq!(order, [3, 1, 4, 2].map(id), "lander's own does not wait for all of ann's");
    }
}
