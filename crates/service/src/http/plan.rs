//! What a request would do, and why: the plan, not carried out.

use std::sync::Arc;

use axum::body::Body;
use axum::http::Response;
use serde::Deserialize;
use taskgraft_core::glob::Glob;
use taskgraft_core::ids::{RequestId, TaskId};
use taskgraft_core::json::to_string_sorted_within;
use taskgraft_core::plan::{MAX_NEW, MAX_TIMES, Request};
use taskgraft_engine::{Seen, expand};
use tokio::runtime::Handle;

use super::app::App;
use super::builders::{self, Foreseen, Named};
use super::call::Call;
use super::problem::{Kind, Problem};
use super::room::Held;
use super::{pushes, reply};

/// The most labels and patterns that one preview may name.
const MAX_LABELS: usize = 10_000;

/// The most patterns among them: each is held against all labels of the push.
const MAX_PATTERNS: usize = 100;

/// How large a task is in memory while a plan is made of it, by its text.
const PARSED: usize = 4;

/// How often the answer is in memory while it is written.
const SORTED: usize = 2;

/// What is to be planned.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Wishes {
    /// A decision task's id, or `PROJECT@REVISION`.
    push: String,
    /// Labels, and patterns with `*` and `?`.
    labels: Vec<String>,
    #[serde(default = "once")]
    times: u32,
    #[serde(default)]
    partial: bool,
    #[serde(default)]
    rerun_failed: bool,
    /// What ids of new tasks follow from; drawn where it isn't given.
    request_id: Option<RequestId>,
}

fn once() -> u32 {
    1
}

pub(super) async fn plan(app: Arc<App>, call: Call) -> Result<Response<Body>, Problem> {
    let mut wishes: Wishes = call.json()?;
    let patterns = wishes.labels.iter().filter(|label| Glob::is_pattern(label)).count();
    let bounds = [
        ((1..=MAX_LABELS).contains(&wishes.labels.len()), "labels", format!("1 to {MAX_LABELS} are needed")),
        (patterns <= MAX_PATTERNS, "labels", format!("at most {MAX_PATTERNS} may have `*` or `?`")),
        ((1..=MAX_TIMES).contains(&wishes.times), "times", format!("1 to {MAX_TIMES} is needed")),
    ];
    if let Some((_, place, detail)) = bounds.into_iter().find(|(holds, ..)| !holds) {
        return Err(Problem::new(Kind::MalformedBody, detail).at(place));
    }
    let seen = pushes::seen(&app, &wishes.push).await?;
    let named = builders::take(&app, &seen.push, &mut wishes.labels, wishes.times).await?;
    if named.is_some() && wishes.labels.is_empty() {
        return reply::json(&Foreseen { plan: None, buildbot: named.as_ref() });
    }
    // Beside the calls of others: of many jobs it takes its time. It goes on with its place and its room to its end, even
    // if nobody waits for it any more.
    let preview = Preview { app, seen, wishes, named, held: Held::default(), call };
    let done = tokio::task::spawn_blocking(move || Handle::current().block_on(preview.answer()));
    done.await.map_err(Problem::internal)?
}

/// A preview that is being made.
struct Preview {
    app: Arc<App>,
    seen: Arc<Seen>,
    wishes: Wishes,
    named: Option<Named>,
    held: Held,
    call: Call,
}

impl Preview {
    async fn answer(self) -> Result<Response<Body>, Problem> {
        let request = self.request()?;
        let Self { app, seen, named, mut held, call: _call, .. } = self;
        bound(request.asked())?;
        let planning = seen.weight(&request)?.saturating_mul(PARSED);
        app.room.hold_most(&mut held, planning)?;
        let planned = app.in_time(async { Ok(seen.plan(&request).await?) }).await?;
        bound(planned.plan.tasks.len() as u64)?;
        let foreseen = Foreseen { plan: Some(&planned.plan), buildbot: named.as_ref() };
        let text = to_string_sorted_within(&foreseen, |bytes| {
            app.room.hold_most(&mut held, planning.saturating_add(bytes.saturating_mul(SORTED)))
        })?;
        held.only(text.len());
        Ok(reply::bytes("application/json", held.until_sent(text.into())))
    }

    fn request(&self) -> Result<Request, Problem> {
        let (push, wishes) = (&self.seen.push, &self.wishes);
        let labels = expand(push, &wishes.labels).map_err(|none| {
            Problem::new(Kind::UnknownLabels, none.to_string()).at("labels").out("search the push's jobs")
        })?;
        let id = wishes.request_id.clone().unwrap_or_else(|| TaskId::from_bytes(rand::random()).into());
        Ok(Request {
            partial: wishes.partial,
            rerun_failed: wishes.rerun_failed,
            ..Request::add(id, push.decision, push.group, &labels).repeated(wishes.times)
        })
    }
}

/// Refuses what nobody could have done: each copy is written out with its whole definition.
fn bound(tasks: u64) -> Result<(), Problem> {
    if tasks <= MAX_NEW as u64 {
        return Ok(());
    }
    let detail = format!("{tasks} tasks would be created, and one request creates {MAX_NEW} at most");
    Err(Problem::new(Kind::NoPlan, detail).at("labels").out("ask for fewer jobs, or for fewer times"))
}
