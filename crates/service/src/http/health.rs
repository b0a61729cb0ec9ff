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
use crate::reach::Missing;

/// 200 as long as the process lives.
pub(super) async fn live(_: Arc<App>, _: Call) -> Result<Response<Body>, Problem> {
    reply::json(&json!({"live": true}))
}

/// 200 if requests are taken, and what that needs was there lately.
pub(super) async fn ready(app: Arc<App>, _: Call) -> Result<Response<Body>, Problem> {
    is_ready(&app).await?;
    reply::json(&json!({"ready": true}))
}

async fn is_ready(app: &App) -> Result<(), Problem> {
    if *app.stopping.borrow() {
        return Err(Problem::new(Kind::NotReady, "the service is stopping").after(5));
    }
    let missing = |missing: Missing| Problem::new(Kind::NotReady, missing.why).at(missing.name).after(5);
    app.reach.all().await.map_err(missing)
}

pub(super) async fn metrics(app: Arc<App>, _: Call) -> Result<Response<Body>, Problem> {
    let ready = is_ready(&app).await.is_ok();
    let elsewhere = Elsewhere {
        pushes: app.previews.counts(),
        changes: *app.journal.subscribe().borrow(),
        ready,
        waiting: i64::try_from(app.waiting.taken()).unwrap_or(i64::MAX),
    };
    let mut text = app.metrics.text(&elsewhere);
    text.extend(app.listened.iter().map(|counters| counters.now().text()));
    Ok(reply::bytes(CONTENT_TYPE, text))
}
