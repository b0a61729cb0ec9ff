//! Requests: asking for something, seeing what became of it, taking it back.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::LOCATION;
use axum::http::{HeaderValue, Response, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use taskgraft_core::ids::{RequestId, TaskId};
use taskgraft_engine::PushRef;
use tokio::time::Instant;

use super::app::App;
use super::call::Call;
use super::page::{MOST, Page};
use super::places::Place;
use super::problem::{Kind, Problem};
use super::reply;
use super::room::Held;
use super::shown::{Lines, Shown, Summaries};
use super::table::BASE;
use super::who::Who;
use crate::asked::{Asked, PushName, Subject};
use crate::journal::{self, Change, Filter, JournalError, Received};
use crate::log;
use crate::request::{Asker, Authority, Door, NewRequest, Request};
use crate::state::{Event, State};

/// The longest key and the longest action name, in characters.
const MAX_KEY: usize = 255;
/// Between two looks at a request that somebody waits for, however much else happens.
const PAUSE: Duration = Duration::from_millis(50);
/// How often a request is in memory while it is shown: as it is kept, taken apart, and written again.
const COPIES: usize = 4;
/// When to look again at what has no result yet, in seconds.
const LOOK_AGAIN: u64 = 2;
/// Whoever has this with a project's name may cancel anybody's request on it.
const MANAGE: &str = "taskgraft:requests:";

/// What is asked for.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Wanted {
    project: Option<String>,
    /// A decision task's id, or `PROJECT@REVISION`; not needed where a task is named.
    push: Option<String>,
    action: String,
    task_id: Option<TaskId>,
    #[serde(default)]
    input: Value,
    key: Option<String>,
}

/// How it is taken back.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct Undo {
    with_dependencies: bool,
}

impl From<JournalError> for Problem {
    fn from(error: JournalError) -> Self {
        let detail = error.to_string();
        match error {
            JournalError::Unknown(_) => Self::new(Kind::UnknownRequest, detail),
            JournalError::Invalid(_) => Self::new(Kind::WrongState, detail),
            JournalError::TooLarge { .. } => Self::new(Kind::LargeBody, detail),
            JournalError::Store(_) | JournalError::NoLetter(_) | JournalError::Cut(_) => Self::internal(detail),
        }
    }
}

pub(super) async fn ask(app: Arc<App>, call: Call) -> Result<Response<Body>, Problem> {
    // A place to wait in comes before anything is written down: who gets none has asked for nothing.
    let who = call.who()?.clone();
    if !who.may_ask() {
        let detail = format!("`{}` has no scope with which anything can be asked for", who.client_id);
        return Err(
            Problem::new(Kind::Forbidden, detail).out("have hooks:trigger-hook: for the hook of the push's action")
        );
    }
    let wait = Wait::of(&app, &call)?;
    let wanted: Wanted = call.json()?;
    let key = key(&call, wanted.key.as_deref())?;
    let asked = asked(wanted)?;
    let Who { client_id: name, scopes, expires } = who;
    let asker = Asker { name, authority: Authority::Scopes { scopes, expires } };
    let new = NewRequest { key, door: Door::Http, asker, asked };
    has_room(&app, &new).await?;
    let taken = match app.journal.receive(new).await? {
        Received::New(request) => {
            log::span(&request).in_scope(|| tracing::info!(call = call.id, "received over HTTP"));
            Taken::of(&request)
        }
        Received::Known(request) => {
            log::span(&request).in_scope(|| tracing::info!(call = call.id, "asked for again over HTTP"));
            Taken::of(&request)
        }
        Received::Other(request) => {
            let detail = format!("request {} has this key, and asks for something else", request.id);
            return Err(Problem::new(Kind::KeyReused, detail)
                .at("key")
                .out("draw a new key for each thing that is asked"));
        }
    };
    accepted(&app, taken, (call, wait)).await
}

/// Refuses what is new while too much is unfinished. What was taken before is answered all the same.
async fn has_room(app: &App, new: &NewRequest) -> Result<(), Problem> {
    if app.journal.waiting().await? < app.settings.backlog || app.journal.glance(&new.id()).await?.is_some() {
        return Ok(());
    }
    let detail = format!("{} requests are unfinished, as many as may be", app.settings.backlog);
    Err(Problem::new(Kind::Overloaded, detail).after(LOOK_AGAIN))
}

pub(super) async fn cancel(app: Arc<App>, call: Call) -> Result<Response<Body>, Problem> {
    let (who, wait) = (call.who()?.clone(), Wait::of(&app, &call)?);
    let undo: Undo = if call.body.is_empty() { Undo::default() } else { call.json()? };
    let id = id(&call)?;
    // Anybody with credentials may come as far as this: what is large of it is not read for them.
    let request = app.journal.glance(&id).await?.ok_or_else(unknown)?;
    let own = request.door == Door::Http && request.asker == who.client_id;
    let scope = format!("{MANAGE}{}", request.project.as_deref().unwrap_or("*"));
    if !own && !who.may(&scope) {
        let detail = format!("`{}` did not ask for {id}, and has not {scope}", who.client_id);
        return Err(Problem::new(Kind::Forbidden, detail).out(format!("have {} cancel it", request.asker)));
    }
    let change = Change {
        // Once wanted it stays so, whoever else cancels it.
        with_dependencies: undo.with_dependencies.then_some(true),
        by: Some(who.client_id),
        why: Some(if own { "it is the asker's own".to_owned() } else { format!("by scope {scope}") }),
        ..Change::default()
    };
    let taken = Taken::of(&app.journal.apply(&id, Event::CancelAsked, change).await?);
    accepted(&app, taken, (call, wait)).await
}

pub(super) async fn one(app: Arc<App>, mut call: Call) -> Result<Response<Body>, Problem> {
    let (id, wait) = (id(&call)?, Wait::of(&app, &call)?);
    ended(&app, &id, &mut call, wait.as_ref()).await?;
    whole(&app, &id).await.map(|(_, answer)| answer)
}

pub(super) async fn list(app: Arc<App>, call: Call) -> Result<Response<Body>, Problem> {
    let page = page(&call)?;
    let state = call.query("state").map(|state| {
        let all = State::ALL.map(State::as_str).join(", ");
        State::named(state).ok_or_else(|| Problem::parameter("state", format!("one of {all} is needed")))
    });
    let push = call
        .query("push")
        .map(|push| push.parse::<PushRef>().map_err(|error| Problem::parameter("push", error.to_string())));
    let text = |name| call.query(name).map(str::to_owned);
    let filter = Filter {
        state: state.transpose()?,
        project: text("project"),
        asker: text("asker"),
        push: push.transpose()?,
        key: text("key"),
        ..Filter::default()
    };
    reply::json(&Summaries::of(app.journal.list(filter, page).await?))
}

pub(super) async fn log(app: Arc<App>, call: Call) -> Result<Response<Body>, Problem> {
    let (id, page) = (id(&call)?, page(&call)?);
    app.journal.glance(&id).await?.ok_or_else(unknown)?;
    reply::json(&Lines::of(app.journal.log_of(&id, page).await?))
}

/// The request that is in the path.
fn id(call: &Call) -> Result<RequestId, Problem> {
    call.subject().parse().map_err(|_| unknown())
}

fn unknown() -> Problem {
    Problem::new(Kind::UnknownRequest, "no such request is in the journal; it may have been too long ago")
}

fn page(call: &Call) -> Result<journal::Page, Problem> {
    let page = Page::<i64>::of(call)?;
    Ok(journal::Page { after: page.after, limit: u32::try_from(page.limit.min(MOST)).unwrap_or(1) })
}

/// The name under which this is asked for once.
fn key(call: &Call, in_body: Option<&str>) -> Result<String, Problem> {
    let header = call.header("idempotency-key").map(|key| key.trim_matches('"'));
    let key = match (header, in_body) {
        (Some(header), Some(body)) if header != body => {
            return Err(Problem::parameter("Idempotency-Key", "the header and the body name different keys"));
        }
        (Some(key), _) | (None, Some(key)) => key,
        (None, None) => {
            let problem =
                Problem::parameter("Idempotency-Key", "a request needs a key, so that it can be sent again safely");
            return Err(problem.out("draw one for each click, and keep it for retries"));
        }
    };
    let plain = (1..=MAX_KEY).contains(&key.len()) && key.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if !plain {
        let detail = format!("1 to {MAX_KEY} printable ASCII characters are needed");
        return Err(Problem::parameter("Idempotency-Key", detail));
    }
    Ok(key.to_owned())
}

fn asked(wanted: Wanted) -> Result<Asked, Problem> {
    let Wanted { project, push, action, task_id, input, .. } = wanted;
    let malformed = |place: &str, detail: String| Problem::new(Kind::MalformedBody, detail).at(place);
    let names = [("action", Some(&action)), ("project", project.as_ref())];
    let is_name = |name: &String| (1..=MAX_KEY).contains(&name.len()) && !name.contains(char::is_control);
    if let Some((place, _)) = names.into_iter().find(|(_, name)| name.is_some_and(|name| !is_name(name))) {
        return Err(malformed(place, format!("1 to {MAX_KEY} characters are needed, and no control characters")));
    }
    let push = match (push, task_id) {
        (Some(push), _) => match push.parse::<PushRef>().map_err(|error| malformed("push", error.to_string()))? {
            PushRef::Task(id) => PushName::Decision(id),
            PushRef::Member(id) => PushName::OfTask(id),
            PushRef::Revision { project, revision } => PushName::Revision { project, revision },
        },
        (None, Some(task)) => PushName::OfTask(task),
        (None, None) => return Err(malformed("push", "neither a push nor a task is named".to_owned())),
    };
    Ok(Asked { project, push, resultset: None, action, subject: task_id.map(Subject::Task), input })
}

/// A place in which the caller waits for a result.
struct Wait {
    until: Instant,
    _place: Place,
}

impl Wait {
    /// What `?wait=SECONDS` or `Prefer: wait=SECONDS` asks for, if it asks for anything.
    fn of(app: &App, call: &Call) -> Result<Option<Self>, Problem> {
        let preferred = call.header("prefer").into_iter().flat_map(|header| header.split([',', ';']));
        let preferred = preferred.filter_map(|wish| wish.trim().strip_prefix("wait=")).next();
        let Some((name, text)) =
            call.query("wait").map(|text| ("wait", text)).or(preferred.map(|text| ("Prefer", text)))
        else {
            return Ok(None);
        };
        let seconds: u64 = text.parse().map_err(|_| Problem::parameter(name, "a whole number of seconds is needed"))?;
        let wait = Duration::from_secs(seconds).min(app.settings.longest_wait);
        if wait.is_zero() {
            return Ok(None);
        }
        let full = || {
            let problem = Problem::new(Kind::Overloaded, "as many calls wait for a result as may at once");
            problem.out("ask without waiting, and look again").after(LOOK_AGAIN)
        };
        let place = app.waiting.take(call.caller()).ok_or_else(full)?;
        Ok(Some(Self { until: Instant::now() + wait, _place: place }))
    }
}

/// Waits until the request is at its end, the time is over or the service stops; meanwhile nothing is worked on.
async fn ended(app: &App, id: &RequestId, call: &mut Call, wait: Option<&Wait>) -> Result<(), Problem> {
    let Some(wait) = wait else { return Ok(()) };
    call.rest();
    let mut steps = app.journal.subscribe();
    loop {
        // What happens from here on wakes; what happened before is read.
        steps.mark_unchanged();
        if app.journal.glance(id).await?.ok_or_else(unknown)?.state.is_terminal() {
            return Ok(());
        }
        tokio::select! {
            changed = steps.changed() => changed.map_err(Problem::internal)?,
            () = app.stopped() => return Ok(()),
            // Nobody is to be told: the place is for others.
            () = call.left() => return Ok(()),
            () = tokio::time::sleep_until(wait.until) => return Ok(()),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// The request with all that became of it, which may be much.
async fn whole(app: &App, id: &RequestId) -> Result<(State, Response<Body>), Problem> {
    let mut held = Held::default();
    let bytes = app.journal.glance(id).await?.ok_or_else(unknown)?.bytes;
    app.room.hold(&mut held, usize::try_from(bytes).unwrap_or(usize::MAX).saturating_mul(COPIES))?;
    let request = app.journal.get(id).await?.ok_or_else(unknown)?;
    let shown = serde_json::to_vec(&Shown::of(&request)).map_err(Problem::internal)?;
    Ok((request.state, reply::bytes("application/json", held.until_sent(shown.into()))))
}

/// A request that was written down, or changed, for the call.
#[derive(Serialize)]
struct Taken {
    id: RequestId,
    /// From then on.
    state: State,
}

impl Taken {
    fn of(request: &Request) -> Self {
        Self { id: request.id.clone(), state: request.state }
    }
}

/// What became of what was just asked: 200 with its result, or 202 and where to look. It was taken, which is to be said
/// though it can't be shown now.
async fn accepted(app: &App, taken: Taken, (mut call, wait): (Call, Option<Wait>)) -> Result<Response<Body>, Problem> {
    let id = &taken.id;
    let shown = async {
        ended(app, id, &mut call, wait.as_ref()).await?;
        whole(app, id).await
    };
    let (ended, mut response) = match shown.await {
        Ok((state, response)) => (state.is_terminal(), response),
        Err(problem) => {
            tracing::debug!(%id, problem = problem.name(), detail = %problem.detail, "taken, and not shown");
            (false, reply::json(&taken)?)
        }
    };
    let location = HeaderValue::from_str(&format!("{BASE}/requests/{id}")).map_err(Problem::internal)?;
    response.headers_mut().insert(LOCATION, location);
    if !ended {
        *response.status_mut() = StatusCode::ACCEPTED;
        response.headers_mut().insert("retry-after", LOOK_AGAIN.into());
    }
    Ok(response)
}
