//! Pushes: by project, newest first, and one with what it offers.

use std::pin::pin;
use std::sync::Arc;

use axum::body::Body;
use axum::http::Response;
use futures_util::TryStreamExt as _;
use serde::Serialize;
use serde_json::Value;
use taskgraft_client::Client;
use taskgraft_core::action::catalog::{Offered, Way};
use taskgraft_core::api::index::IndexedTask;
use taskgraft_core::ids::TaskId;
use taskgraft_core::time::Millis;
use taskgraft_engine::trigger::{Offer, OfferError};
use taskgraft_engine::{PushRef, Seen};

use super::app::App;
use super::call::Call;
use super::page::Page;
use super::problem::{Kind, Problem};
use super::reply;

/// The most pushes of a project that are listed, the newest.
const MAX_PUSHES: usize = 5000;
/// The most revisions that are looked up in one call.
const BATCH: usize = 1000;

/// A push in a list.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Listed {
    project: String,
    revision: String,
    decision: TaskId,
    /// When the index forgets it. The later that is, the newer is the push: those of one project live equally long.
    expires: Millis,
}

/// The pushes of a project.
#[derive(Debug)]
pub(super) struct Known {
    /// The newest first.
    pushes: Vec<Listed>,
    /// Whether the index has more than was looked at.
    incomplete: bool,
}

/// A page of pushes.
#[derive(Serialize)]
struct Pushes {
    pushes: Vec<Listed>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    incomplete: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// One push.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Detail<'a> {
    decision: TaskId,
    group: Option<TaskId>,
    project: Option<&'a str>,
    revision: Option<&'a str>,
    level: Option<String>,
    owner: Option<&'a str>,
    description: Option<&'a str>,
    created: Option<Millis>,
    /// How many jobs it could have, and how many of them its decision task scheduled.
    labels: usize,
    scheduled: usize,
    actions: Vec<Action>,
}

/// What can be asked for on a push, or on a task of it.
#[derive(Serialize)]
struct Action {
    name: String,
    title: String,
    description: String,
    /// `hook` or `task`.
    kind: &'static str,
    /// The tasks that it is for: those that have all tags of one of these sets. None: it is for the push as a whole.
    context: Value,
    /// JSON schema of its input; null where it takes none.
    schema: Option<Value>,
}

pub(super) async fn list(app: Arc<App>, call: Call) -> Result<Response<Body>, Problem> {
    let project = call.query("project").ok_or_else(|| Problem::parameter("project", "which project's pushes?"))?;
    if project.len() > 100 || !project.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')) {
        return Err(Problem::parameter("project", "letters, digits, `-` and `_` are needed"));
    }
    let page = Page::<(i64, String)>::of(&call)?;
    let look = async {
        let known = of_project(&app.client, project, app.settings.index_pages).await?;
        let weight = known.pushes.len() as u64 + 1;
        Ok::<_, Problem>((Arc::new(known), weight))
    };
    let known = app.in_time(app.lists.get(project.to_owned(), look)).await?;
    let key = |push: &Listed| (-push.expires.epoch(), push.revision.clone());
    let behind = known.pushes.iter().filter(|push| page.after.as_ref().is_none_or(|after| key(push) > *after)).cloned();
    let (pushes, next) = page.cut(behind, key);
    reply::json(&Pushes { pushes, incomplete: known.incomplete, next })
}

/// The pushes of a project that the index knows by revision, in any trust domain, newest first.
async fn of_project(client: &Client, project: &str, pages: usize) -> Result<Known, taskgraft_client::Error> {
    let (revisions, incomplete) = revisions(client, project, pages).await?;
    let paths: Vec<String> =
        revisions.iter().map(|(_, below, revision)| format!("{below}.{revision}.taskgraph.decision")).collect();
    let mut pushes = Vec::new();
    for paths in paths.chunks(BATCH) {
        let found = client.index().find_tasks_at_index(paths).await?;
        pushes.extend(found.into_values().filter_map(|task| listed(project, task)));
    }
    pushes.sort_unstable_by(|a, b| (b.expires, &a.revision).cmp(&(a.expires, &b.revision)));
    Ok(Known { pushes, incomplete })
}

/// When the index forgets a revision, what it is below, and the revision.
type Revision = (Millis, String, String);

/// The newest revisions of a project, and whether the index has some that were not looked at. It lists them by name, which
/// says nothing of their age, so all have to be looked at: one page for each of a page of trust domains, and so many more.
async fn revisions(
    client: &Client,
    project: &str,
    mut pages: usize,
) -> Result<(Vec<Revision>, bool), taskgraft_client::Error> {
    let Some(domains) = pin!(client.index().namespaces("")).try_next().await? else { return Ok((Vec::new(), false)) };
    let mut incomplete = domains.continuation_token.is_some();
    let mut newest = Vec::new();
    for domain in domains.namespaces {
        let below = format!("{}.v2.{project}.revision", domain.namespace);
        let mut listing = pin!(client.index().namespaces(&below));
        while let Some(page) = listing.try_next().await? {
            newest.extend(page.namespaces.into_iter().map(|found| (found.expires, below.clone(), found.name)));
            if newest.len() > 2 * MAX_PUSHES {
                cut(&mut newest);
            }
            if page.continuation_token.is_some() {
                incomplete |= pages == 0;
                let Some(left) = pages.checked_sub(1) else { break };
                pages = left;
            }
        }
    }
    cut(&mut newest);
    Ok((newest, incomplete))
}

/// Leaves the newest.
fn cut(revisions: &mut Vec<Revision>) {
    revisions.sort_unstable_by(|a, b| b.cmp(a));
    revisions.truncate(MAX_PUSHES);
}

fn listed(project: &str, task: IndexedTask) -> Option<Listed> {
    let revision = task.namespace.strip_suffix(".taskgraph.decision")?.rsplit('.').next()?.to_owned();
    Some(Listed { project: project.to_owned(), revision, decision: task.task_id, expires: task.expires })
}

/// The decision task of a push, as a path or body names it.
pub(super) async fn decision(app: &App, name: &str) -> Result<TaskId, Problem> {
    let name: PushRef = name.parse()?;
    match &name {
        PushRef::Task(id) | PushRef::Member(id) if !id.is_v4() => {
            Err(Problem::new(Kind::UnknownPush, format!("`{id}` is no task id that a queue gives")))
        }
        PushRef::Task(id) => Ok(*id),
        PushRef::Member(_) | PushRef::Revision { .. } => {
            let resolve = async { Ok::<_, Problem>((Arc::new(name.resolve(&app.client).await?), 1)) };
            Ok(*app.in_time(app.names.get(name.to_string(), resolve)).await?)
        }
    }
}

/// The push that a path or body names, as far as it was looked up lately.
pub(super) async fn seen(app: &Arc<App>, name: &str) -> Result<Arc<Seen>, Problem> {
    let decision = decision(app, name).await?;
    // On its own: a graph that takes longer than an answer may is there when it is asked for again.
    let reading = Arc::clone(app);
    let reading = tokio::spawn(async move { reading.previews.push(decision).await });
    app.in_time(async { Ok(reading.await.map_err(Problem::internal)??) }).await
}

pub(super) async fn one(app: Arc<App>, call: Call) -> Result<Response<Body>, Problem> {
    let seen = seen(&app, call.subject()).await?;
    let push = &seen.push;
    let Some((task, status)) = &push.task else { return Err(Problem::internal("a push without its decision task")) };
    let run = status.runs.last().filter(|run| run.resolved.is_some()).map(|run| run.run_id);
    let actions = match app.in_time(async { Ok(Offer::of(&app.artifacts, status.task_id, task, run).await) }).await? {
        Ok(offer) => offer.catalog.actions.into_iter().map(action).collect(),
        Err(OfferError::Nothing(_)) => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    let text = |name| push.parameters.text(name).ok();
    reply::json(&Detail {
        decision: status.task_id,
        group: push.group,
        project: text("project"),
        revision: text("head_rev"),
        level: push.parameters.level().ok().map(|level| level.to_string()),
        owner: text("owner"),
        description: task.metadata.description.lines().next(),
        created: Some(task.created),
        labels: push.graph.len(),
        scheduled: push.labels.len(),
        actions,
    })
}

fn action(offered: Offered) -> Action {
    let Offered { name, title, description, context, schema, way } = offered;
    let kind = match way {
        Way::Hook { .. } => "hook",
        Way::Task { .. } | Way::Mustache { .. } => "task",
    };
    Action { name, title, description, kind, context: context.to_json(), schema }
}
