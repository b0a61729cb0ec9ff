use proptest::prelude::*;

use super::*;

const DAY: i64 = 86_400;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

fn claim_of(run: u16) -> Event {
    Event::Claim { run, worker_group: "g".to_owned(), worker_id: "w".to_owned(), until: at(1200) }
}

fn changed(life: &Life, event: &Event, now: i64) -> Life {
    match step(life, event, at(now)).unwrap() {
        Step::Changed(next) => next,
        Step::Same => panic!("{event:?} changed nothing"),
    }
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        Just(Outcome::Completed),
        Just(Outcome::Failed),
        Just(Outcome::Exception(ExceptionReason::WorkerShutdown)),
        Just(Outcome::Exception(ExceptionReason::MalformedPayload)),
        Just(Outcome::Exception(ExceptionReason::IntermittentTask)),
    ]
}

/// Events at moments around the deadline of a day, mostly about runs that may exist.
fn event() -> impl Strategy<Value = (Event, i64)> {
    let run = 0..4_u16;
    let what = prop_oneof![
        3 => Just(Event::Schedule),
        3 => Just(Event::Rerun),
        1 => Just(Event::Cancel),
        1 => Just(Event::DeadlinePassed),
        4 => run.clone().prop_map(claim_of),
        1 => (run.clone(), 0..3000_i64).prop_map(|(run, until)| Event::Reclaim { run, until: at(until) }),
        3 => (run.clone(), outcome()).prop_map(|(run, outcome)| Event::Resolve { run, outcome }),
        2 => run.prop_map(|run| Event::ClaimExpired { run }),
    ];
    (what, prop_oneof![9 => 0..DAY, 1 => DAY..DAY + 60])
}

proptest! {
    /// Whatever happens in whatever order: at most one run is open, and it is the last; ended runs never change; runs
    /// are numbered from 0, are never lost and never more than fifty; retries never grow beyond what they were.
    #[test]
    fn laws(retries in 0..=49_u8, events in proptest::collection::vec(event(), 0..200)) {
        let mut life = Life::new(retries, at(DAY));
        for (event, now) in events {
            let Ok(Step::Changed(next)) = step(&life, &event, at(now)) else { continue };
            let (open, ended): (Vec<_>, Vec<_>) =
                next.runs.iter().partition(|run| matches!(run.state, RunState::Pending | RunState::Running));
            prop_assert!(open.len() <= 1);
            prop_assert!(ended.iter().all(|run| run.resolved.is_some() && run.reason_resolved.is_some()));
            prop_assert!(next.runs.iter().rev().skip(1).all(|run| run.resolved.is_some()));
            prop_assert!(next.runs.iter().enumerate().all(|(n, run)| usize::from(run.run_id) == n));
            prop_assert!(next.runs.len() <= MAX_RUNS && next.runs.len() >= life.runs.len());
            prop_assert!(next.retries_left <= next.retries);
            let before = life.runs.iter().filter(|run| run.resolved.is_some());
            prop_assert!(before.zip(&next.runs).all(|(old, new)| old == new));
            prop_assert_ne!(&next, &life);
            life = next;
        }
    }

    /// Nothing starts after the deadline.
    #[test]
    fn nothing_starts_late(events in proptest::collection::vec(event(), 0..50)) {
        let mut life = Life::new(5, at(-1));
        for (event, now) in events {
            if let Ok(Step::Changed(next)) = step(&life, &event, at(now)) {
                prop_assert!(next.state().is_resolved());
                life = next;
            }
        }
    }

    /// Saying the same thing twice is saying it once.
    #[test]
    fn repeating_changes_nothing(events in proptest::collection::vec(event(), 0..60)) {
        let mut life = Life::new(3, at(DAY));
        for (event, now) in events {
            let Ok(Step::Changed(next)) = step(&life, &event, at(now)) else { continue };
            prop_assert!(!matches!(step(&next, &event, at(now)), Ok(Step::Changed(_))));
            life = next;
        }
    }
}

#[test]
fn a_task_runs_to_green() {
    let life = Life::new(5, at(DAY));
    assert_eq!(life.state(), TaskState::Unscheduled);
    let life = changed(&life, &Event::Schedule, 1);
    assert_eq!(life.state(), TaskState::Pending);
    let life = changed(&life, &claim_of(0), 2);
    assert_eq!(life.state(), TaskState::Running);
    let life = changed(&life, &Event::Reclaim { run: 0, until: at(2000) }, 3);
    assert_eq!(life.runs[0].taken_until, Some(Millis::from(at(2000))));
    let life = changed(&life, &Event::Resolve { run: 0, outcome: Outcome::Completed }, 4);
    assert_eq!(life.state(), TaskState::Completed);
    assert_eq!(step(&life, &Event::Cancel, at(5)), Ok(Step::Same));
    assert_eq!(step(&life, &claim_of(0), at(5)), Err(Refusal::NotClaimable));
    assert_eq!(step(&life, &Event::Reclaim { run: 0, until: at(9) }, at(5)), Err(Refusal::NotRunning));
    assert_eq!(step(&life, &claim_of(1), at(5)), Err(Refusal::NoSuchRun));
}

#[test]
fn an_expired_claim_is_retried_until_no_retry_is_left() {
    let mut life = changed(&Life::new(1, at(DAY)), &Event::Schedule, 0);
    life = changed(&life, &claim_of(0), 0);
    assert_eq!(step(&life, &Event::ClaimExpired { run: 0 }, at(1199)), Err(Refusal::TooEarly));
    life = changed(&life, &Event::ClaimExpired { run: 0 }, 1200);
    assert_eq!(life.runs[0].reason_resolved, Some(ReasonResolved::ClaimExpired));
    assert_eq!(life.runs[1].reason_created, ReasonCreated::Retry);
    assert_eq!((life.state(), life.retries_left), (TaskState::Pending, 0));
    life = changed(&life, &claim_of(1), 1200);
    life = changed(&life, &Event::ClaimExpired { run: 1 }, 1200);
    assert_eq!((life.state(), life.runs.len()), (TaskState::Exception, 2));
}

#[test]
fn a_task_that_never_ran_is_cancelled_with_a_run_that_says_so() {
    let life = changed(&Life::new(5, at(DAY)), &Event::Cancel, 0);
    assert_eq!(life.runs.len(), 1);
    assert_eq!(life.runs[0].reason_created, ReasonCreated::Exception);
    assert_eq!(life.runs[0].reason_resolved, Some(ReasonResolved::Canceled));
}

#[test]
fn the_fifty_first_run_is_refused() {
    let mut life = changed(&Life::new(49, at(DAY)), &Event::Schedule, 0);
    for run in 0..49 {
        life = changed(&life, &claim_of(run), 0);
        life = changed(&life, &Event::Resolve { run, outcome: Outcome::Failed }, 0);
        life = changed(&life, &Event::Rerun, 0);
    }
    assert_eq!((life.runs.len(), life.retries_left), (MAX_RUNS, 0));
    life = changed(&life, &Event::Cancel, 0);
    assert_eq!(step(&life, &Event::Rerun, at(0)), Err(Refusal::TooManyRuns));
}

#[test]
fn a_claim_is_never_shortened() {
    let life = changed(&changed(&Life::new(0, at(DAY)), &Event::Schedule, 0), &claim_of(0), 0);
    assert_eq!(step(&life, &Event::Reclaim { run: 0, until: at(600) }, at(0)), Ok(Step::Same));
    let life = changed(&life, &Event::Reclaim { run: 0, until: at(1800) }, 0);
    assert_eq!(life.runs[0].taken_until, Some(Millis::from(at(1800))));
}
