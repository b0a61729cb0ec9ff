//! From a push and a request to a plan: look up, decide, look up what that raised, until nothing is open.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use taskgraft_client::Client;
use taskgraft_core::definition::ArtifactUrls;
use taskgraft_core::graph::TaskGraph;
use taskgraft_core::ids::TaskId;
use taskgraft_core::json::ReadError;
use taskgraft_core::plan::{self, Answers, Attempt, Facts, Plan, PlanError, Policy, Request, Source, StatusFact};

use crate::fetch::Artifacts;
use crate::history::{self, Notice};
use crate::kept::Kept;
use crate::lookup;
use crate::push::{Push, PushError};

/// Answers raise questions only along chains of unscheduled tasks; a graph with a longer one is hostile.
const MAX_ROUNDS: usize = 1000;
/// How many labels are named that look like a misspelt one.
const NEAREST: usize = 3;
/// How many unknown labels are told, and how many characters of each.
const MAX_TOLD: usize = 20;
const MAX_SHOWN: usize = 200;

/// Who is asked.
#[derive(Debug, Clone)]
pub enum Lookups {
    /// The queue and the index, and the artifacts of earlier actions.
    Online(Client, Artifacts),
    /// The same, with answers that count for a while, by the rules of [`Policy::Graft`].
    Kept(Arc<Kept>),
    /// Nobody: every look-up counts as not found. The root URL is for artifact references.
    Offline {
        /// Such as `https://tc.example.com`.
        root_url: String,
        /// When the plan is made.
        now: jiff::Timestamp,
    },
}

impl Lookups {
    /// When a plan is made, and where artifact references point.
    pub(crate) fn now_and_urls(&self) -> (jiff::Timestamp, ArtifactUrls) {
        match self {
            Self::Online(client, _) => (client.clock().now(), artifact_urls(client)),
            Self::Kept(kept) => (kept.client().clock().now(), artifact_urls(kept.client())),
            Self::Offline { root_url, now } => (*now, ArtifactUrls { root: root_url.clone(), proxy: None }),
        }
    }
}

/// A plan and what it was made of.
#[derive(Debug, Clone)]
pub struct Planned {
    /// The plan.
    pub plan: Plan,
    /// What was looked up.
    pub facts: Facts,
    /// What the asker should know about earlier actions.
    pub notices: Vec<Notice>,
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlannerError {
    /// Labels that the push doesn't have, each with the nearest ones that it has.
    #[error("no such {} in this push: {}", if .0.len() == 1 { "job" } else { "jobs" }, labels(.0))]
    UnknownLabels(BTreeMap<String, Vec<String>>),
    /// The graph can't be used.
    #[error("read full-task-graph.json: {0}")]
    Graph(#[from] ReadError),
    /// A task needs another that the graph doesn't hold: it is not whole.
    #[error("read full-task-graph.json: {task} depends on {label} (as `{name}`), which is not in it")]
    UnknownDependency {
        /// The task.
        task: String,
        /// What it calls that dependency.
        name: String,
        /// The label that isn't there.
        label: String,
    },
    /// The push can't be read.
    #[error(transparent)]
    Push(#[from] PushError),
    /// Taskcluster didn't answer.
    #[error("look up what ran already: failed to {0}")]
    Client(#[from] taskgraft_client::Error),
    /// The facts don't allow one.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// Look-ups that never end.
    #[error("plan: look-ups led to further look-ups {MAX_ROUNDS} times")]
    Endless,
}

impl PlannerError {
    /// Whether something is wrong with the push, rather than with those who were asked about it.
    pub(crate) fn is_of_the_push(&self) -> bool {
        match self {
            Self::UnknownLabels(_) | Self::Graph(_) | Self::UnknownDependency { .. } | Self::Plan(_) => true,
            Self::Push(_) | Self::Client(_) | Self::Endless => false,
        }
    }
}

fn labels(unknown: &BTreeMap<String, Vec<String>>) -> String {
    let name = |(label, nearest): (&String, &Vec<String>)| {
        let shown: String = label.chars().take(MAX_SHOWN).collect();
        let more = if shown.len() < label.len() { "…" } else { "" };
        match nearest.as_slice() {
            [] => format!("`{shown}{more}`"),
            nearest => format!("`{shown}{more}` (nearest: {})", nearest.join(", ")),
        }
    };
    let told = unknown.iter().take(MAX_TOLD).map(name).collect::<Vec<_>>().join(", ");
    match unknown.len().saturating_sub(MAX_TOLD) {
        0 => told,
        others => format!("{told}, and {others} more"),
    }
}

/// Plans `request` on `push`. Nothing is created.
///
/// # Errors
/// If a label is unknown (unless the request is partial), something can't be looked up, or the facts allow no plan.
pub async fn plan(lookups: &Lookups, push: &Push, request: &Request, policy: Policy) -> Result<Planned, PlannerError> {
    plan_knowing(lookups, push, request, policy, None).await
}

/// The same, where earlier work may have been looked up already.
///
/// # Errors
/// As [`plan`].
pub(crate) async fn plan_knowing(
    lookups: &Lookups,
    push: &Push,
    request: &Request,
    policy: Policy,
    before: Option<EarlierWork>,
) -> Result<Planned, PlannerError> {
    let (known, unknown) = known_labels(push, request);
    if !unknown.is_empty() && !request.partial {
        return Err(PlannerError::UnknownLabels(unknown));
    }
    let closure = push.graph.closure(&known)?;
    if policy == Policy::Graft {
        whole(&closure)?;
    }
    let EarlierWork { sources, notices } = match before {
        Some(before) => before,
        None => earlier_work(lookups, push, request.action_task, policy).await?,
    };
    let mut facts = first_facts(lookups, push, policy);
    facts.sources = sources;
    facts.nearest = unknown;
    plan_closure(lookups, &closure, request, &mut facts, policy).await.map(|plan| Planned { plan, facts, notices })
}

/// Fails for a graph that lacks what one of its tasks depends on. The reference drops such dependencies.
fn whole(graph: &TaskGraph) -> Result<(), PlannerError> {
    let Some(missing) = graph.missing().first() else { return Ok(()) };
    let (task, label) = (graph.task(missing.task).label.to_string(), missing.label.to_string());
    Err(PlannerError::UnknownDependency { task, name: missing.name.clone(), label })
}

/// Plans with the facts so far, looking up what is missing.
pub(crate) async fn plan_closure(
    lookups: &Lookups,
    closure: &TaskGraph,
    request: &Request,
    facts: &mut Facts,
    policy: Policy,
) -> Result<Plan, PlannerError> {
    for _ in 0..MAX_ROUNDS {
        let wants = match plan::attempt(closure, request, facts, policy)? {
            Attempt::Plan(plan) => return Ok(*plan),
            Attempt::Wants(wants) => wants,
        };
        let answers = match lookups {
            Lookups::Online(client, _) => lookup::answers(client, &wants, policy).await?,
            Lookups::Kept(kept) => kept.answers(&wants).await?,
            Lookups::Offline { .. } => Answers::default(),
        };
        facts.answer(&wants, answers);
    }
    Err(PlannerError::Endless)
}

/// The request's labels that the graph has, and those that it lacks with the nearest ones that it has.
fn known_labels<'a>(push: &Push, request: &'a Request) -> (Vec<&'a str>, BTreeMap<String, Vec<String>>) {
    let (known, unknown): (Vec<_>, Vec<_>) =
        request.labels.iter().map(String::as_str).partition(|label| push.graph.contains(label));
    let all: Vec<_> = if unknown.is_empty() { Vec::new() } else { push.graph.labels().collect() };
    let nearest = |label: &str| plan::nearest(label, all.iter().map(AsRef::as_ref), NEAREST);
    // In the order in which they are told. To compare thousands of names with a large graph would take minutes.
    let unknown = unknown.into_iter().collect::<BTreeSet<_>>().into_iter().enumerate();
    let unknown =
        unknown.map(|(n, label)| (label.to_owned(), if n < MAX_TOLD { nearest(label) } else { Vec::new() })).collect();
    (known, unknown)
}

/// Earlier work on a push, and what is to be said about it.
#[derive(Debug, Clone, Default)]
pub(crate) struct EarlierWork {
    /// Oldest first: the decision task's own list leads.
    pub(crate) sources: Vec<Source>,
    pub(crate) notices: Vec<Notice>,
}

/// Looks for earlier work; `own` is the action task that looks.
///
/// # Errors
/// If the index or the queue doesn't answer; under the reference's rules, if an artifact is missing.
pub(crate) async fn earlier_work(
    lookups: &Lookups,
    push: &Push,
    own: Option<TaskId>,
    policy: Policy,
) -> Result<EarlierWork, PlannerError> {
    let (sources, notices) = match (lookups, policy) {
        (Lookups::Kept(kept), _) => return Ok(kept.earlier(push).await?.clone()),
        (Lookups::Offline { .. }, _) => (vec![history::decision_source(push)], Vec::new()),
        (Lookups::Online(client, artifacts), Policy::Reference) => {
            (history::earlier_as_reference(client, artifacts, push).await?, Vec::new())
        }
        (Lookups::Online(client, artifacts), Policy::Graft) => history::earlier(client, artifacts, push, own).await?,
    };
    Ok(EarlierWork { sources, notices })
}

/// What is known before the first decision: the push and its group.
pub(crate) fn first_facts(lookups: &Lookups, push: &Push, policy: Policy) -> Facts {
    let (now, urls) = lookups.now_and_urls();
    let mut facts = Facts::new(now, urls, push.parameters.clone());
    facts.scheduler_id = push.scheduler_id();
    facts.group = push.group_fact.clone();
    facts.index_tasks = push.graph_config.clone().filter(|_| policy == Policy::Graft);
    if let Some((_, status)) = &push.task {
        facts.statuses.insert(status.task_id, Some(StatusFact::from(status)));
    }
    facts
}

/// Where artifact references point: the deployment, not the proxy, except for private ones.
pub(crate) fn artifact_urls(client: &Client) -> ArtifactUrls {
    let config = client.config();
    ArtifactUrls { root: config.root_url.trim_end_matches('/').to_owned(), proxy: config.proxy_url.clone() }
}
