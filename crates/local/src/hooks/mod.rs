//! Hooks: templates of tasks, rendered and created when somebody triggers them or their schedule says so.
//!
//! ```text
//! triggerHook ─┐  the payload matches the schema       one transaction
//!              ├─► render (JSON-e) ─► checks as createTask's ─► task + fire (+ next time of the schedule)
//! schedule ────┘  as client static/taskcluster/hooks with the scope assume:hook-id:<group>/<hook>
//! ```

mod cron;
mod definitions;
mod fire;
mod fires;
mod jobs;
mod table;
mod trigger;
mod trigger_schema;

pub(crate) use jobs::{purge, run_once};

use crate::http::{Access, Endpoint, PAGED, Service};

/// Taskcluster's hooks service.
pub(crate) const SERVICE: Service = Service {
    name: "hooks",
    params: &[("hookGroupId", "^[a-zA-Z0-9-_]{1,1000}$"), ("hookId", "^[a-zA-Z0-9-_/]{1,1000}$")],
    endpoints: ENDPOINTS,
};

/// Whoever makes or changes a hook must be able to do what the hook's tasks may.
const MODIFY: Access =
    Access::All(&["hooks:modify-hook:<hookGroupId>/<hookId>", "assume:hook-id:<hookGroupId>/<hookId>"]);
const BODY: &str = "hooks/v1/create-hook-request.json";
const PAYLOAD: &str = "hooks/v1/trigger-hook.json";

const fn scope(template: &'static str) -> Access {
    Access::Scope(template)
}

#[rustfmt::skip]
const ENDPOINTS: &[Endpoint] = &[
    Endpoint::get("listHookGroups", "/hooks", scope("hooks:list-hooks:"), |ctx, _| Box::pin(definitions::list_groups(ctx))),
    Endpoint::get("listHooks", "/hooks/<hookGroupId>", scope("hooks:list-hooks:<hookGroupId>"), |ctx, call| Box::pin(definitions::list(ctx, call))),
    Endpoint::get("hook", "/hooks/<hookGroupId>/<hookId>", scope("hooks:get:<hookGroupId>:<hookId>"), |ctx, call| Box::pin(definitions::get(ctx, call))),
    Endpoint::get("getHookStatus", "/hooks/<hookGroupId>/<hookId>/status", scope("hooks:status:<hookGroupId>/<hookId>"), |ctx, call| Box::pin(fires::status(ctx, call))),
    Endpoint::put("createHook", "/hooks/<hookGroupId>/<hookId>", MODIFY, |ctx, call| Box::pin(definitions::create(ctx, call))).json(BODY),
    Endpoint::post("updateHook", "/hooks/<hookGroupId>/<hookId>", MODIFY, |ctx, call| Box::pin(definitions::update(ctx, call))).json(BODY),
    Endpoint::delete("removeHook", "/hooks/<hookGroupId>/<hookId>", scope("hooks:modify-hook:<hookGroupId>/<hookId>"), |ctx, call| Box::pin(definitions::remove(ctx, call))),
    Endpoint::post("triggerHook", "/hooks/<hookGroupId>/<hookId>/trigger", scope("hooks:trigger-hook:<hookGroupId>/<hookId>"), |ctx, call| Box::pin(trigger::with_credentials(ctx, call))).json(PAYLOAD),
    Endpoint::get("getTriggerToken", "/hooks/<hookGroupId>/<hookId>/token", scope("hooks:get-trigger-token:<hookGroupId>/<hookId>"), |ctx, call| Box::pin(trigger::token(ctx, call))),
    Endpoint::post("resetTriggerToken", "/hooks/<hookGroupId>/<hookId>/token", scope("hooks:reset-trigger-token:<hookGroupId>/<hookId>"), |ctx, call| Box::pin(trigger::reset_token(ctx, call))),
    Endpoint::post("triggerHookWithToken", "/hooks/<hookGroupId>/<hookId>/trigger/<token>", Access::Open, |ctx, call| Box::pin(trigger::with_token(ctx, call))).json(PAYLOAD).secret("token"),
    Endpoint::get("listLastFires", "/hooks/<hookGroupId>/<hookId>/last-fires", scope("hooks:list-last-fires:<hookGroupId>/<hookId>"), |ctx, call| Box::pin(fires::list(ctx, call))).query(PAGED),
];
