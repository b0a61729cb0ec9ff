//! What always holds, whatever is done to however many tasks in whatever order.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::json;
use taskgraft_core::ids::TaskId;
use taskgraft_core::state::ExceptionReason;
use taskgraft_local::queue::Settings;
use taskgraft_store::StoreError;

use super::Place;
use crate::support::fresh_id;

/// Each finds rows that must not be, in a store where it is `?1` now.
const NEVER: [(&str, &str); 6] = [
    (
        "a task waits for another number of dependencies than are unsatisfied",
        "SELECT count(*) FROM tasks t WHERE ?1 = ?1 AND waiting != \
         (SELECT count(*) FROM dependencies WHERE dependent = t.id AND NOT satisfied)",
    ),
    (
        "a task waits for nothing and is not scheduled",
        "SELECT count(*) FROM tasks WHERE state = 0 AND waiting = 0 AND deadline > ?1",
    ),
    (
        "a dependency is over, and whoever waits for it was not told",
        "SELECT count(*) FROM dependencies d JOIN tasks a ON a.id = d.dependency JOIN tasks b ON b.id = d.dependent \
         WHERE ?1 = ?1 AND NOT d.satisfied AND (a.state = 3 OR (a.state >= 3 AND b.requires_resolved))",
    ),
    (
        "a task's state is not that of its last run",
        "SELECT count(*) FROM tasks WHERE ?1 = ?1 AND coalesce(json_extract(runs, '$[#-1].state'), 'unscheduled') != \
         CASE state WHEN 0 THEN 'unscheduled' WHEN 1 THEN 'pending' WHEN 2 THEN 'running' WHEN 3 THEN 'completed' \
         WHEN 4 THEN 'failed' ELSE 'exception' END",
    ),
    (
        "a claim belongs to no running task, or a running task to no claim",
        "SELECT count(*) FROM tasks WHERE ?1 = ?1 AND (state = 2) != (taken_until IS NOT NULL)",
    ),
    (
        "what is due is not done",
        "SELECT count(*) FROM tasks WHERE (state = 2 AND taken_until <= ?1) OR (state < 3 AND deadline <= ?1)",
    ),
];

async fn check(place: &Place, seed: u64) {
    let ctx = place.deployment.server.ctx();
    let now = ctx.now().as_millisecond();
    for (what, sql) in NEVER {
        let found: i64 =
            ctx.store.read(move |tx| Ok::<_, StoreError>(tx.query_row(sql, [now], |row| row.get(0))?)).await.unwrap();
        assert_eq!(found, 0, "{what} (seed {seed})");
    }
}

/// Creates a task that depends on up to three of those there are.
async fn create(place: &Place, random: &mut StdRng, ids: &mut Vec<TaskId>) {
    let mut dependencies: Vec<TaskId> =
        (0..random.random_range(0..=3)).filter_map(|_| ids.get(random.random_range(0..=ids.len())).copied()).collect();
    dependencies.sort();
    dependencies.dedup();
    let requires = if random.random_bool(0.3) { "all-resolved" } else { "all-completed" };
    let deadline = place.later(random.random_range(600..20_000));
    let task = json!({"dependencies": dependencies, "requires": requires, "retries": 1, "deadline": deadline});
    let id = fresh_id();
    // Refused where a dependency does not outlive the deadline; that is fine.
    if place.send(id, &place.definition(task)).await.is_ok() {
        ids.push(id);
    }
}

/// Does anything at all; much of it is refused, which is fine too.
async fn disturb(place: &Place, random: &mut StdRng, ids: &[TaskId]) {
    let Some(id) = ids.get(random.random_range(0..=ids.len())).copied() else { return };
    let (queue, run) = (place.client.queue(), random.random_range(0..3));
    match random.random_range(0..12) {
        0 => drop(queue.cancel_task(id).await),
        1 => drop(queue.rerun_task(id).await),
        2 => drop(queue.schedule_task(id).await),
        3 => place.pass(random.random_range(1..900)).await,
        4 => drop(queue.report_failed(id, run).await),
        5 => drop(queue.report_exception(id, run, ExceptionReason::WorkerShutdown).await),
        6 => drop(queue.reclaim_task(id, run).await),
        7 => drop(place.claim(3).await),
        8 | 9 => drop(place.claim_run(id, run).await),
        _ => drop(queue.report_completed(id, run).await),
    }
}

#[tokio::test]
async fn whatever_happens() {
    let seed = rand::random();
    let mut random = StdRng::seed_from_u64(seed);
    let place = Place::with(Settings { long_poll: Duration::from_millis(1), ..Settings::default() }).await;
    let mut ids = Vec::new();
    for _ in 0..25 {
        for _ in 0..4 {
            create(&place, &mut random, &mut ids).await;
        }
        for _ in 0..30 {
            disturb(&place, &mut random, &ids).await;
        }
        place.pass(0).await;
        check(&place, seed).await;
    }
    assert!(ids.len() > 50, "{} tasks (seed {seed})", ids.len());
}
