//! A push's jobs, scheduled or not: what they are, where they stand, and how many are of each sort.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::http::Response;
use serde::Serialize;
use serde_json::{Map, Value};
use taskgraft_core::ids::TaskId;
use taskgraft_core::json::{BadValue, GraphFile, Head, ReadError};
use taskgraft_core::state::TaskState;
use taskgraft_engine::{PushError, Seen, newest};

use super::app::App;
use super::call::Call;
use super::page::Page;
use super::problem::Problem;
use super::search::Search;
use super::{pushes, reply};

/// The word for a job that no task of the push is.
const NOT_SCHEDULED: &str = "not-scheduled";
/// The states that can be chosen.
const STATES: [&str; 7] = ["unscheduled", "pending", "running", "completed", "failed", "exception", NOT_SCHEDULED];

/// What a push's graph says of its jobs, by label.
pub(super) type Jobs = Vec<Job>;
/// The newest task of each label that has one.
pub(super) type States = HashMap<String, (TaskId, TaskState)>;

/// What a graph says of a job.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Job {
    label: String,
    kind: String,
    /// As Treeherder shows it, such as `linux64/opt`; none for a job that it doesn't show.
    platform: Option<String>,
    group: Option<String>,
    symbol: Option<String>,
}

/// A job, and where it stands.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row<'a> {
    #[serde(flatten)]
    job: &'a Job,
    state: &'static str,
    task_id: Option<TaskId>,
}

#[derive(Serialize)]
struct Rows<'a> {
    jobs: Vec<Row<'a>>,
    /// How many there are on all pages together.
    total: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// How many jobs there are of each sort. A sort counts what all other choices leave.
#[derive(Default, Serialize)]
struct Facets<'a> {
    total: usize,
    state: BTreeMap<&'static str, usize>,
    kind: BTreeMap<&'a str, usize>,
    platform: BTreeMap<&'a str, usize>,
}

/// Which jobs are wanted.
struct Choice<'c> {
    state: Option<&'c str>,
    kind: Option<&'c str>,
    platform: Option<&'c str>,
}

impl<'c> Choice<'c> {
    fn of(call: &'c Call) -> Result<Self, Problem> {
        let state = call.query("state");
        if state.is_some_and(|state| !STATES.contains(&state)) {
            return Err(Problem::parameter("state", format!("one of {} is needed", STATES.join(", "))));
        }
        Ok(Self { state, kind: call.query("kind"), platform: call.query("platform") })
    }

    /// Whether a job's state, kind and platform are as wanted, each by itself.
    fn fits(&self, job: &Job, state: &str) -> [bool; 3] {
        [
            self.state.is_none_or(|wanted| wanted == state),
            self.kind.is_none_or(|wanted| wanted == job.kind),
            self.platform.is_none_or(|wanted| job.platform.as_deref() == Some(wanted)),
        ]
    }
}

/// A push's jobs and their states.
struct Known {
    jobs: Arc<Jobs>,
    states: Arc<States>,
}

impl Known {
    async fn of(app: &Arc<App>, name: &str) -> Result<Self, Problem> {
        let seen = pushes::seen(app, name).await?;
        let (jobs, states) = app.in_time(async { tokio::try_join!(described(app, &seen), states(app, &seen)) }).await?;
        Ok(Self { jobs, states })
    }

    /// The jobs whose labels are searched for. They are looked through beside the calls of others: with a hostile text, or
    /// hostile labels, that takes its time, though no more than an answer may.
    async fn found(&self, app: &App, search: Search) -> Result<Vec<&Job>, Problem> {
        if search == Search::All {
            return Ok(self.jobs.iter().collect());
        }
        let (jobs, until) = (Arc::clone(&self.jobs), Instant::now() + app.settings.answer_within);
        let found = tokio::task::spawn_blocking(move || places(&jobs, &search, until)).await;
        let slow =
            || Problem::parameter("search", "it takes too long with labels like this push's").out("ask for less");
        let places = found.map_err(Problem::internal)?.ok_or_else(slow)?;
        Ok(places.into_iter().filter_map(|place| self.jobs.get(place)).collect())
    }

    fn state(&self, label: &str) -> &'static str {
        self.states.get(label).map_or(NOT_SCHEDULED, |(_, state)| state.as_str())
    }
}

pub(super) async fn list(app: Arc<App>, call: Call) -> Result<Response<Body>, Problem> {
    let (choice, search) = (Choice::of(&call)?, Search::new(call.query("search"), call.query("match"))?);
    let page = Page::<String>::of(&call)?;
    let known = Known::of(&app, call.subject()).await?;
    let mut all = known.found(&app, search).await?;
    all.retain(|job| choice.fits(job, known.state(&job.label)) == [true; 3]);
    let total = all.len();
    let behind = all.into_iter().filter(|job| page.after.as_ref().is_none_or(|after| job.label > *after));
    let (jobs, next) = page.cut(behind, |job| job.label.clone());
    let row = |job| row(&known, job);
    reply::json(&Rows { jobs: jobs.into_iter().map(row).collect(), total, next })
}

fn row<'k>(known: &Known, job: &'k Job) -> Row<'k> {
    Row { state: known.state(&job.label), task_id: known.states.get(&job.label).map(|(id, _)| *id), job }
}

pub(super) async fn facets(app: Arc<App>, call: Call) -> Result<Response<Body>, Problem> {
    let (choice, search) = (Choice::of(&call)?, Search::new(call.query("search"), call.query("match"))?);
    let known = Known::of(&app, call.subject()).await?;
    let mut facets = Facets::default();
    for job in known.found(&app, search).await? {
        let state = known.state(&job.label);
        let [by_state, by_kind, by_platform] = choice.fits(job, state);
        facets.total += usize::from(by_state && by_kind && by_platform);
        if by_kind && by_platform {
            *facets.state.entry(state).or_default() += 1;
        }
        if by_state && by_platform {
            *facets.kind.entry(&job.kind).or_default() += 1;
        }
        if let Some(platform) = job.platform.as_deref().filter(|_| by_state && by_kind) {
            *facets.platform.entry(platform).or_default() += 1;
        }
    }
    reply::json(&facets)
}

/// Where among `jobs` those stand whose labels are searched for; nothing if that is not known by `until`.
fn places(jobs: &[Job], search: &Search, until: Instant) -> Option<Vec<usize>> {
    let mut places = Vec::new();
    for (place, job) in jobs.iter().enumerate() {
        if Instant::now() > until {
            return None;
        }
        if search.matches(&job.label) {
            places.push(place);
        }
    }
    Some(places)
}

/// What the push's graph says of its jobs. It is read whole for this, once.
async fn described(app: &App, seen: &Arc<Seen>) -> Result<Arc<Jobs>, Problem> {
    let status = seen.push.task.as_ref().map(|(_, status)| status);
    let key = status.map_or((TaskId::from_bytes([0; 16]), 0), |status| (status.task_id, status.runs.len()));
    let seen = Arc::clone(seen);
    let read = async move {
        let jobs = tokio::task::spawn_blocking(move || jobs_of(&seen.push.graph)).await.map_err(Problem::internal)?;
        let jobs = jobs.map_err(PushError::from)?;
        let weight = jobs.len() as u64 + 1;
        Ok::<_, Problem>((Arc::new(jobs), weight))
    };
    app.jobs.get(key, read).await
}

async fn states(app: &App, seen: &Seen) -> Result<Arc<States>, Problem> {
    let key = seen.push.decision.unwrap_or_else(|| TaskId::from_bytes([0; 16]));
    let look = async {
        let states = newest(&app.client, &seen.push).await?;
        let weight = states.len() as u64 + 1;
        Ok::<_, Problem>((Arc::new(states), weight))
    };
    app.states.get(key, look).await
}

fn jobs_of(graph: &GraphFile) -> Result<Jobs, ReadError> {
    graph.each(job)
}

fn job(head: &Head<'_>) -> Result<Job, BadValue> {
    let [_, extra] = head.tags_and_extra()?;
    let shown = extra.get("treeherder").and_then(Value::as_object);
    let text = |name: &str| shown.and_then(|shown| shown.get(name)?.as_str()).map(str::to_owned);
    Ok(Job {
        label: head.label().to_owned(),
        kind: head.kind()?.into_owned(),
        platform: shown.and_then(platform),
        group: text("groupSymbol"),
        symbol: text("symbol"),
    })
}

/// `PLATFORM/COLLECTION`, or the platform alone where no collection is named.
fn platform(shown: &Map<String, Value>) -> Option<String> {
    let platform = shown.get("machine")?.get("platform")?.as_str()?;
    let collection = shown.get("collection").and_then(Value::as_object).and_then(|of| of.keys().next());
    Some(collection.map_or_else(|| platform.to_owned(), |collection| format!("{platform}/{collection}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::time::Duration;

    #[test]
    fn a_search_that_takes_too_long_ends() {
        let label = "a".repeat(4096);
        let jobs = vec![Job { label, ..Job::default() }; 20_000];
        // Some ten thousand million steps: minutes.
        let search = Search::new(Some(&format!("*{}b", "a".repeat(190))), Some("glob")).unwrap();
        let begun = Instant::now();
        assert_eq!(places(&jobs, &search, begun + Duration::from_millis(50)), None);
        assert!(begun.elapsed() < Duration::from_secs(30));
        let one = Search::new(Some("a*"), None).unwrap();
        assert_eq!(places(&jobs[..2], &one, Instant::now() + Duration::from_secs(3600)), Some(vec![0, 1]));
    }

    #[test]
    fn a_graph_says_what_its_jobs_are() {
        let shown = json!({"symbol": "B", "groupSymbol": "G", "machine": {"platform": "linux64"},
            "collection": {"opt": true}});
        let entry = |label: &str, extra: Value| {
            json!({"attributes": {}, "dependencies": {}, "kind": "build", "label": label, "optimization": null,
                "task": {"extra": extra}})
        };
        let graph = json!({"a": entry("a", json!({"treeherder": shown})), "b": entry("b", json!({}))});
        let jobs = jobs_of(&GraphFile::read(graph.to_string().into()).unwrap()).unwrap();
        let text = |text: &str| Some(text.to_owned());
        let (a, b) = ("a".to_owned(), "b".to_owned());
        assert_eq!(
            jobs,
            [
                Job {
                    label: a,
                    kind: "build".into(),
                    platform: text("linux64/opt"),
                    group: text("G"),
                    symbol: text("B")
                },
                Job { label: b, kind: "build".into(), ..Job::default() },
            ]
        );
    }
}
