//! What happens, as it happens: server-sent events.
//!
//! Steps of requests have the journal's numbers as their ids. They are read from the journal, not kept for anybody: who
//! comes back with the last id that they saw misses nothing. What becomes of a group and its tasks is told as queue exchanges
//! tell it, and is not kept at all. Who doesn't read is cut, and can come back.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderValue, Response};
use bytes::Bytes;
use futures_util::stream;
use serde::Serialize;
use serde_json::json;
use taskgraft_core::ids::{RequestId, TaskId};
use tokio::sync::{broadcast, mpsc};
use tokio::time::MissedTickBehavior;

use super::app::App;
use super::call::Call;
use super::places::Place;
use super::problem::{Kind, Problem};
use super::reply;
use crate::live::{LiveEvent, TaskEvent};

/// How many steps are read at once.
const STEPS: u32 = 200;
/// After how many milliseconds a follower that lost the connection should come back.
const RETRY: u32 = 2000;

/// One who follows.
struct Follower {
    app: Arc<App>,
    out: mpsc::Sender<Bytes>,
    /// The last step that was looked at.
    seen: i64,
    /// Only steps of this request.
    request: Option<RequestId>,
    /// The group of which is told what becomes of it and its tasks.
    group: Option<TaskId>,
    _place: Place,
}

/// The follower is gone, or does not read.
struct Gone;

pub(super) async fn follow(app: Arc<App>, call: Call) -> Result<Response<Body>, Problem> {
    let bad = |name: &'static str, what: &str| Problem::parameter(name, format!("{what} is needed"));
    let request = call.query("request").map(|id| id.parse().map_err(|_| bad("request", "a request's id")));
    let group = call.query("group").map(|id| id.parse().map_err(|_| bad("group", "a task group's id")));
    let (request, group) = (request.transpose()?, group.transpose()?);
    // One that is no text is no number either.
    let last = call.headers.get("last-event-id").map(|id| ("Last-Event-ID", id.to_str().unwrap_or_default()));
    let seen = match last.or_else(|| Some(("after", call.query("after")?))) {
        Some((name, id)) => id.parse().ok().filter(|id| *id >= 0).ok_or_else(|| bad(name, "an event's number"))?,
        None => *app.journal.subscribe().borrow(),
    };
    let full = || Problem::new(Kind::Overloaded, "as many follow events as may").after(10);
    let place = app.following.take(call.caller()).ok_or_else(full)?;
    let (out, events) = mpsc::channel(app.settings.event_buffer.max(1));
    let live = app.live.follow();
    let follower = Follower { app, out, seen, request, group, _place: place };
    tokio::spawn(follower.run(live));
    let events = stream::unfold(events, |mut events| async {
        let event = events.recv().await?;
        Some((Ok::<Bytes, std::convert::Infallible>(event), events))
    });
    let mut response = reply::bytes("text/event-stream", Body::from_stream(events));
    // A reverse proxy that collected answers would hold events back.
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

impl Follower {
    async fn run(mut self, live: broadcast::Receiver<LiveEvent>) {
        let metrics = Arc::clone(&self.app.metrics);
        let _one = metrics.subscribe();
        if let Err(Gone) = self.tell(live).await
            && !self.out.is_closed()
        {
            metrics.cut();
        }
    }

    /// Tells until the follower is gone, or the service stops.
    async fn tell(&mut self, mut live: broadcast::Receiver<LiveEvent>) -> Result<(), Gone> {
        let app = Arc::clone(&self.app);
        let mut steps = self.app.journal.subscribe();
        let mut beat = tokio::time::interval(self.app.settings.heartbeat);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.send(format!("retry: {RETRY}\n")).await?;
        steps.mark_changed();
        loop {
            tokio::select! {
                changed = steps.changed() => match changed {
                    Ok(()) => self.catch_up().await?,
                    Err(_) => return Ok(()),
                },
                told = live.recv() => match told {
                    Ok(event) if self.group == Some(event.group()) => self.send(live_event(event)).await?,
                    Ok(_) => {}
                    // What was missed is told by nobody: the follower has to look, and does when it comes back.
                    Err(broadcast::error::RecvError::Lagged(_)) => return Err(Gone),
                    Err(broadcast::error::RecvError::Closed) => return Ok(()),
                },
                _ = beat.tick() => self.send(format!(": alive\nid: {}\n\n", self.seen)).await?,
                () = self.out.closed() => return Ok(()),
                () = app.stopped() => return Ok(()),
            }
        }
    }

    /// Tells all steps behind the last one that was seen.
    async fn catch_up(&mut self) -> Result<(), Gone> {
        loop {
            let steps = self.app.journal.since(self.seen, STEPS).await.map_err(|error| {
                tracing::error!(%error, "failed to read steps for a follower");
                Gone
            })?;
            // Whose steps they are is looked at here: a long way may be gone without anything to send.
            if steps.is_empty() || self.out.is_closed() || *self.app.stopping.borrow() {
                return Ok(());
            }
            for step in steps {
                self.seen = step.seq;
                if self.request.as_ref().is_none_or(|request| *request == step.request) {
                    self.send(event("request", Some(step.seq), &step)).await?;
                }
            }
        }
    }

    /// Sends something, if the follower reads what was sent before it in time.
    async fn send(&self, text: String) -> Result<(), Gone> {
        let sent = tokio::time::timeout(self.app.settings.heartbeat, self.out.send(text.into())).await;
        sent.map_err(|_| Gone)?.map_err(|_| Gone)
    }
}

fn live_event(told: LiveEvent) -> String {
    match told {
        LiveEvent::Task(TaskEvent { task, group, state, run }) => {
            event("task", None, &json!({"taskId": task, "taskGroupId": group, "state": state, "runId": run}))
        }
        LiveEvent::GroupResolved(group) => event("group", None, &json!({"taskGroupId": group, "state": "resolved"})),
    }
}

/// An event; JSON is one line.
fn event(name: &str, id: Option<i64>, data: &impl Serialize) -> String {
    let id = id.map(|id| format!("id: {id}\n")).unwrap_or_default();
    // Steps and states can always be written as JSON.
    let data = serde_json::to_string(data).unwrap_or_default();
    format!("event: {name}\n{id}data: {data}\n\n")
}
