//! Whether the service lives, takes requests, and what it has counted: for whoever watches over it.

use std::sync::Arc;

use axum::body::Body;
use axum::http::Response;
use serde_json::json;
use taskgraft_serve::CONTENT_TYPE;

use super::app::App;
use super::call::Call;
use super::metrics::Elsewhere;
use super::problem::{Kind, Problem};
use super::reply;

/// 200 as long as the process lives.
pub(super) async fn live(_: Arc<App>, _: Call) -> Result<Response<Body>, Problem> {
    reply::json(&json!({"live": true}))
}

/// 200 if requests are taken.
pub(super) async fn ready(app: Arc<App>, _: Call) -> Result<Response<Body>, Problem> {
    match (app.ready)() {
        Ok(()) => reply::json(&json!({"ready": true})),
        Err(why) => Err(Problem::new(Kind::NotReady, why).after(5)),
    }
}

pub(super) async fn metrics(app: Arc<App>, _: Call) -> Result<Response<Body>, Problem> {
    let elsewhere = Elsewhere {
        pushes: app.previews.counts(),
        changes: *app.journal.subscribe().borrow(),
        ready: (app.ready)().is_ok(),
        waiting: i64::try_from(app.waiting.taken()).unwrap_or(i64::MAX),
    };
    let mut text = app.metrics.text(&elsewhere);
    text.extend(app.listened.iter().map(|counters| counters.now().text()));
    Ok(reply::bytes(CONTENT_TYPE, text))
}
