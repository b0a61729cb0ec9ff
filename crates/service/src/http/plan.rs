//! What a request would do, and why: the plan, not carried out.

use std::sync::Arc;

use axum::body::Body;
use axum::http::Response;
use serde::Deserialize;
use taskgraft_core::glob::Glob;
use taskgraft_core::ids::{RequestId, TaskId};
use taskgraft_core::plan::{MAX_TIMES, Request};
use taskgraft_engine::expand;

use super::app::App;
use super::builders::{self, Foreseen};
use super::call::Call;
use super::problem::{Kind, Problem};
use super::{pushes, reply};

/// The most labels and patterns that one preview may name.
const MAX_LABELS: usize = 10_000;

/// The most patterns among them: each is held against all labels of the push.
const MAX_PATTERNS: usize = 100;

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
    let push = &seen.push;
    let named = builders::take(&app, push, &mut wishes.labels, wishes.times).await;
    if let Some(buildbot) = named.as_ref().filter(|_| wishes.labels.is_empty()) {
        return reply::json(&Foreseen { plan: None, buildbot });
    }
    let labels = expand(push, &wishes.labels).map_err(|none| {
        Problem::new(Kind::UnknownLabels, none.to_string()).at("labels").out("search the push's jobs")
    })?;
    let id = wishes.request_id.unwrap_or_else(|| TaskId::from_bytes(rand::random()).into());
    let request = Request {
        partial: wishes.partial,
        rerun_failed: wishes.rerun_failed,
        ..Request::add(id, push.decision, push.group, &labels).repeated(wishes.times)
    };
    let planned = app.in_time(async { Ok(seen.plan(&request).await?) }).await?;
    match named {
        Some(buildbot) => reply::json(&Foreseen { plan: Some(&planned.plan), buildbot: &buildbot }),
        None => Ok(reply::bytes("application/json", planned.plan.to_json())),
    }
}
