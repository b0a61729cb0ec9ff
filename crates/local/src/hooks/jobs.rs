//! What hooks do without anybody asking: fire when their schedule says so.
//!
//! The task of a scheduled fire has an id made of the hook's seed and the moment in the schedule, and is written
//! together with the schedule's next moment. So however often a server is killed and started again, a moment's task is
//! there once. Moments that pass while no server runs come to one fire afterwards, as on a real deployment.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use ring::digest;
use serde_json::json;
use taskgraft_core::api::hooks::{FiredBy, Hook};
use taskgraft_core::ids::TaskId;

use super::cron::Schedule;
use super::fire::{Firing, fire};
use super::table::{self, Stored};
use crate::Ctx;
use crate::http::ApiError;

/// How many due hooks are read at a time.
const AT_ONCE: usize = 100;

/// A fire that is later than this has the present for `now`: a task's `created` must not be 15 minutes old.
const LATE: SignedDuration = SignedDuration::from_mins(10);

/// For how long it is known when a hook fired, as on a real deployment.
const KEPT: SignedDuration = SignedDuration::from_hours(366 * 24);

/// Of how many fires of a hook it is known: a real deployment has no such bound, but a machine's disk does.
const MOST_KEPT: i64 = 10_000;

/// Fires the hooks whose schedule says so by now, each once: one that stays due, as a fault of ours leaves it, keeps
/// none after it from firing.
///
/// # Errors
/// The store's; what fired until then has fired.
pub(crate) async fn run_once(ctx: &Arc<Ctx>) -> Result<(), ApiError> {
    let now = ctx.now();
    let mut reached = (i64::MIN, String::new(), String::new());
    loop {
        let after = reached.clone();
        let due = ctx.store.read(move |tx| Ok::<_, ApiError>(table::due(tx, now.as_millisecond(), &after, AT_ONCE)?));
        let due = due.await?;
        if due.is_empty() {
            return Ok(());
        }
        for Stored { hook, seed, next_fire, .. } in due {
            let Some(moment) = next_fire else { continue };
            let (group, id) = (hook.hook_group_id.clone(), hook.hook_id.clone());
            reached = (moment, group.clone(), id.clone());
            if let Err(error) = fire(ctx, scheduled(hook, &seed, moment, now)).await {
                tracing::warn!(%group, hook = %id, %error, "a scheduled hook did not make its task");
            }
        }
    }
}

fn scheduled(hook: Hook, seed: &str, moment: i64, now: Timestamp) -> Firing {
    // What was accepted once can be read; should it not be, the hook fires no more.
    let next = Schedule::parse(&hook.schedule).ok().and_then(|schedule| schedule.next_after(now));
    let due = Timestamp::from_millisecond(moment).unwrap_or(now);
    let late = now.duration_since(due) > LATE;
    Firing {
        task_id: task_id(&hook, seed, moment),
        hook,
        fired_by: FiredBy::Schedule,
        context: json!({}),
        now: if late { now } else { due },
        advance: Some((moment, next.map(Timestamp::as_millisecond))),
    }
}

/// The id of the task that a hook makes at a moment of its schedule. Without the seed nobody can foresee it, and so
/// keep the task from being made by taking its id.
fn task_id(hook: &Hook, seed: &str, moment: i64) -> TaskId {
    let mut hash = digest::Context::new(&digest::SHA256);
    let moment = moment.to_string();
    for part in ["taskgraft scheduled hook 1", seed, &hook.hook_group_id, &hook.hook_id, &moment] {
        hash.update(&(part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.finish().as_ref()[..16]);
    TaskId::from_bytes(bytes)
}

/// Forgets old fires.
pub(crate) async fn purge(ctx: &Ctx) -> Result<(), ApiError> {
    let before = ctx.now().saturating_sub(KEPT).unwrap_or(Timestamp::MIN).as_millisecond();
    ctx.store.write(move |tx| Ok::<_, ApiError>(table::forget_fires(tx, before, MOST_KEPT)?)).await?;
    Ok(())
}
