//! Requests: asking for something, seeing what became of it, taking it back.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::LOCATION;
use axum::http::{HeaderValue, Response, StatusCode};
use serde::Deserialize;
use serde_json::Value;
use taskgraft_core::ids::{RequestId, TaskId};
use taskgraft_engine::PushRef;
use tokio::time::Instant;

use super::app::App;
use super::call::Call;
use super::page::{MOST, Page};
use super::problem::{Kind, Problem};
use super::reply;
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
    let (who, wait) = (call.who()?.clone(), wait(&app, &call)?);
    let wanted: Wanted = call.json()?;
    let key = key(&call, wanted.key.as_deref())?;
    let asked = asked(wanted)?;
    let Who { client_id: name, scopes, expires } = who;
    let asker = Asker { name, authority: Authority::Scopes { scopes, expires } };
    let new = NewRequest { key, door: Door::Http, asker, asked };
    has_room(&app, &new).await?;
    let request = match app.journal.receive(new).await? {
        Received::New(request) => {
            log::span(&request).in_scope(|| tracing::info!(call = call.id, "received over HTTP"));
            request
        }
        Received::Known(request) => {
            log::span(&request).in_scope(|| tracing::info!(call = call.id, "asked for again over HTTP"));
            request
        }
        Received::Other(request) => {
            let detail = format!("request {} has this key, and asks for something else", request.id);
            return Err(Problem::new(Kind::KeyReused, detail)
                .at("key")
                .out("draw a new key for each thing that is asked"));
        }
    };
    accepted(&app, request, wait).await
}

/// Refuses what is new while too much is unfinished. What was taken before is answered all the same.
async fn has_room(app: &App, new: &NewRequest) -> Result<(), Problem> {
    if app.journal.waiting().await? < app.settings.backlog || app.journal.get(&new.id()).await?.is_some() {
        return Ok(());
    }
    let detail = format!("{} requests are unfinished, as many as may be", app.settings.backlog);
    Err(Problem::new(Kind::Overloaded, detail).after(LOOK_AGAIN))
}

pub(super) async fn cancel(app: Arc<App>, call: Call) -> Result<Response<Body>, Problem> {
    let (who, wait) = (call.who()?.clone(), wait(&app, &call)?);
    let undo: Undo = if call.body.is_empty() { Undo::default() } else { call.json()? };
    let request = found(&app, &call).await?;
    let own = request.door == Door::Http && request.asker.name == who.client_id;
    let scope = format!("{MANAGE}{}", request.project.as_deref().unwrap_or("*"));
    if !own && !who.may(&scope) {
        let detail = format!("`{}` did not ask for {}, and has not {scope}", who.client_id, request.id);
        return Err(Problem::new(Kind::Forbidden, detail).out(format!("have {} cancel it", request.asker.name)));
    }
    let change = Change {
        with_dependencies: Some(undo.with_dependencies),
        by: Some(who.client_id),
        why: Some(if own { "it is the asker's own".to_owned() } else { format!("by scope {scope}") }),
        ..Change::default()
    };
    let request = app.journal.apply(&request.id, Event::CancelAsked, change).await?;
    accepted(&app, request, wait).await
}

pub(super) async fn one(app: Arc<App>, call: Call) -> Result<Response<Body>, Problem> {
    let wait = wait(&app, &call)?;
    let request = found(&app, &call).await?;
    reply::json(&Shown::of(&ended(&app, request, wait).await?))
}

pub(super) async fn list(app: Arc<App>, call: Call) -> Result<Response<Body>, Problem> {
    let page = page(&call)?;
    let state = call.query("state").map(|state| {
        let all = State::ALL.map(State::as_str).join(", ");
        State::named(state).ok_or_else(|| Problem::parameter("state", format!("one of {all} is needed")))
    });
    let text = |name| call.query(name).map(str::to_owned);
    let filter =
        Filter { state: state.transpose()?, project: text("project"), asker: text("asker"), ..Filter::default() };
    reply::json(&Summaries::of(app.journal.list(filter, page).await?))
}

pub(super) async fn log(app: Arc<App>, call: Call) -> Result<Response<Body>, Problem> {
    let page = page(&call)?;
    let request = found(&app, &call).await?;
    reply::json(&Lines::of(app.journal.log_of(&request.id, page).await?))
}

/// What is in the path, if it is in the journal.
async fn found(app: &App, call: &Call) -> Result<Request, Problem> {
    let unknown =
        || Problem::new(Kind::UnknownRequest, "no such request is in the journal; it may have been too long ago");
    let id: RequestId = call.subject().parse().map_err(|_| unknown())?;
    app.journal.get(&id).await?.ok_or_else(unknown)
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
    if action.is_empty() || action.len() > MAX_KEY {
        return Err(malformed("action", format!("1 to {MAX_KEY} characters are needed")));
    }
    if project.as_ref().is_some_and(|project| project.is_empty() || project.len() > MAX_KEY) {
        return Err(malformed("project", format!("1 to {MAX_KEY} characters are needed")));
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

/// How long the caller waits for a result: `?wait=SECONDS` or `Prefer: wait=SECONDS`.
fn wait(app: &App, call: &Call) -> Result<Option<Duration>, Problem> {
    let preferred = call.header("prefer").into_iter().flat_map(|header| header.split([',', ';']));
    let preferred = preferred.filter_map(|wish| wish.trim().strip_prefix("wait=")).next();
    let Some((name, text)) = call.query("wait").map(|text| ("wait", text)).or(preferred.map(|text| ("Prefer", text)))
    else {
        return Ok(None);
    };
    let seconds: u64 = text.parse().map_err(|_| Problem::parameter(name, "a whole number of seconds is needed"))?;
    Ok(Some(Duration::from_secs(seconds).min(app.settings.longest_wait)))
}

/// The request when it is at its end, or as it is when the time is over or the service stops.
async fn ended(app: &App, mut request: Request, wait: Option<Duration>) -> Result<Request, Problem> {
    let Some(wait) = wait else { return Ok(request) };
    let until = Instant::now() + wait;
    let mut steps = app.journal.subscribe();
    while !request.state.is_terminal() {
        // What happens from here on wakes; what happened before is read.
        steps.mark_unchanged();
        request = app.journal.get(&request.id).await?.ok_or_else(|| JournalError::Unknown(request.id))?;
        if request.state.is_terminal() {
            break;
        }
        tokio::select! {
            changed = steps.changed() => changed.map_err(Problem::internal)?,
            () = app.stopped() => break,
            () = tokio::time::sleep_until(until) => break,
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(request)
}

/// What became of what was just asked: 200 with its result, or 202 and where to look.
async fn accepted(app: &App, request: Request, wait: Option<Duration>) -> Result<Response<Body>, Problem> {
    let request = ended(app, request, wait).await?;
    let mut response = reply::json(&Shown::of(&request))?;
    let location = HeaderValue::from_str(&format!("{BASE}/requests/{}", request.id)).map_err(Problem::internal)?;
    response.headers_mut().insert(LOCATION, location);
    if !request.state.is_terminal() {
        *response.status_mut() = StatusCode::ACCEPTED;
        response.headers_mut().insert("retry-after", LOOK_AGAIN.into());
    }
    Ok(response)
}
