//! What every service answers: whether it lives, and what it is.

use jiff::SignedDuration;
use serde_json::json;

use super::{Access, ApiError, Call, Endpoint, Reply};
use crate::Ctx;

/// Served by each service, before its own endpoints.
pub(super) const ENDPOINTS: &[Endpoint] = &[
    Endpoint::get("ping", "/ping", Access::Open, |ctx, call| Box::pin(ping(ctx, call))),
    Endpoint::get("lbheartbeat", "/__lbheartbeat__", Access::Open, |_, _| Box::pin(heartbeat())),
    Endpoint::get("heartbeat", "/__heartbeat__", Access::Open, |_, _| Box::pin(heartbeat())),
    Endpoint::get("version", "/__version__", Access::Open, |_, _| Box::pin(version())),
];

async fn ping(ctx: &Ctx, call: &mut Call) -> Result<Reply, ApiError> {
    let uptime = call.now.duration_since(ctx.started).max(SignedDuration::ZERO);
    Reply::json(&json!({"alive": true, "uptime": uptime.as_secs_f64()}))
}

async fn heartbeat() -> Result<Reply, ApiError> {
    Reply::json(&json!({}))
}

async fn version() -> Result<Reply, ApiError> {
    Reply::json(&json!({
        "version": env!("CARGO_PKG_VERSION"),
        "commit": "",
        "source": "taskgraft",
        "build": "embedded",
    }))
}
