//! Writing down what becomes of a request.

use rusqlite::{Transaction, params};
use serde_json::Value;
use taskgraft_core::ids::{RequestId, TaskId};

use super::audit::{self, Entry};
use super::steps::{self, What};
use super::{Journal, JournalError, bounds, rows};
use crate::buildbot::Builds;
use crate::request::Request;
use crate::state::{Event, next};

/// What was learnt about a request. What is none stays as it was.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Change {
    /// The project of its push.
    pub project: Option<String>,
    /// The decision task of its push.
    pub decision: Option<TaskId>,
    /// What of it is for Buildbot.
    pub builds: Option<Builds>,
    /// The action task that carries it out.
    pub action_task: Option<TaskId>,
    /// What was planned.
    pub plan: Option<Value>,
    /// What became of it.
    pub report: Option<Value>,
    /// Why it was refused or failed.
    pub error: Option<String>,
    /// Whether cancelling it takes the tasks along that only it needed.
    pub with_dependencies: Option<bool>,
    /// For the audit log: who wants this; none for whoever asked in the first place.
    pub by: Option<String>,
    /// For the audit log: why, as which rule allows it; none for the error.
    pub why: Option<String>,
}

impl Journal {
    /// Lets `event` happen to a request, and returns how it then stands, without its plan and report, which are large.
    /// Trying again forgets what came of the time before: its action task, plan, report and error.
    ///
    /// # Errors
    /// If that can't happen in its state, if there is no such request, or if it can't be written: then nothing changed.
    pub async fn apply(&self, id: &RequestId, event: Event, change: Change) -> Result<Request, JournalError> {
        self.alter(id, Some(event), change).await
    }

    /// Adds to what is known of a request, in whatever state it is; the same is returned.
    ///
    /// # Errors
    /// If there is no such request, or it can't be written.
    pub async fn facts(&self, id: &RequestId, change: Change) -> Result<Request, JournalError> {
        self.alter(id, None, change).await
    }

    async fn alter(&self, id: &RequestId, event: Option<Event>, change: Change) -> Result<Request, JournalError> {
        let texts = Texts::of(&change)?;
        let (id, now) = (id.clone(), self.now());
        let write = move |tx: &Transaction<'_>| {
            let (n, mut request) = rows::glimpse(tx, &id)?.ok_or(JournalError::Unknown(id))?;
            let (by, why) = (change.by.clone(), change.why.clone());
            if let Some(event) = event {
                request.state = next(request.state, event)?;
                request.changed = now;
                if event == Event::Retried {
                    request.retries = request.retries.saturating_add(1);
                    let cancelled = steps::last_of(tx, n, &[Event::CancelAsked, Event::Retried])?;
                    request.undone = request.undone.saturating_add((cancelled == Some(Event::CancelAsked)).into());
                    request.action_task = None;
                    request.error = None;
                }
            }
            learn(&mut request, change);
            update(tx, n, &request, texts.builds.as_deref())?;
            outcome(tx, n, &texts, event == Some(Event::Retried))?;
            if let Some(event) = event {
                let by = by.as_deref().unwrap_or(&request.asker.name);
                let why = why.as_deref().or(request.error.as_deref()).unwrap_or_default();
                audit::insert(tx, now, &Entry::of(&request, by, why, event.as_str()))?;
            }
            let seq = steps::insert(tx, n, now, event.map_or(What::Facts, What::Event), request.state)?;
            Ok((request, seq))
        };
        let tides = self.inner.tides.clone();
        self.inner.store.write_then(write, move |seq| tides.step(Some(seq))).await
    }
}

/// What is kept as JSON.
struct Texts {
    builds: Option<String>,
    plan: Option<String>,
    report: Option<String>,
}

impl Texts {
    fn of(change: &Change) -> Result<Self, JournalError> {
        let text = |what, value: &Option<Value>| -> Result<Option<String>, JournalError> {
            let Some(value) = value else { return Ok(None) };
            let text = value.to_string();
            bounds::check(what, &text, bounds::OUTCOME)?;
            Ok(Some(text))
        };
        // Nothing in them can't be written as JSON.
        let builds = change.builds.as_ref().map(|builds| serde_json::to_string(builds).unwrap_or_default());
        if let Some(builds) = &builds {
            bounds::check("what is for Buildbot", builds, bounds::ASKED)?;
        }
        Ok(Self { builds, plan: text("a plan", &change.plan)?, report: text("a report", &change.report)? })
    }
}

fn learn(request: &mut Request, change: Change) {
    fn set<T>(fact: &mut Option<T>, learnt: Option<T>) {
        if learnt.is_some() {
            *fact = learnt;
        }
    }
    set(&mut request.project, change.project);
    set(&mut request.decision, change.decision);
    set(&mut request.builds, change.builds);
    set(&mut request.action_task, change.action_task);
    set(&mut request.error, change.error.map(|error| bounds::cut(&error, bounds::REASON).to_owned()));
    request.with_dependencies = change.with_dependencies.unwrap_or(request.with_dependencies);
}

/// Writes a request's row; `builds` where they were learnt.
fn update(tx: &Transaction<'_>, n: i64, request: &Request, builds: Option<&str>) -> Result<(), JournalError> {
    let mut statement = tx.prepare_cached(
        "UPDATE requests SET project = ?, state = ?, decision = ?, builds = coalesce(?, builds), action_task = ?, \
         error = ?, with_dependencies = ?, changed = ?, retries = ?, undone = ? WHERE n = ?",
    )?;
    statement.execute(params![
        request.project,
        request.state.as_str(),
        request.decision.as_ref().map(TaskId::as_str),
        builds,
        request.action_task.as_ref().map(TaskId::as_str),
        request.error,
        request.with_dependencies,
        request.changed.epoch(),
        request.retries,
        request.undone,
        n,
    ])?;
    Ok(())
}

/// Writes the plan and the report that were learnt; `forget` drops those there were.
fn outcome(tx: &Transaction<'_>, n: i64, texts: &Texts, forget: bool) -> Result<(), JournalError> {
    if forget {
        tx.prepare_cached("DELETE FROM outcomes WHERE request = ?")?.execute([n])?;
    }
    if texts.plan.is_none() && texts.report.is_none() {
        return Ok(());
    }
    let mut statement = tx.prepare_cached(
        "INSERT INTO outcomes (request, plan, report) VALUES (?1, ?2, ?3) \
         ON CONFLICT (request) DO UPDATE SET plan = coalesce(?2, plan), report = coalesce(?3, report)",
    )?;
    statement.execute(params![n, texts.plan, texts.report])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::journal::testing::{Place, add};

    #[tokio::test]
    async fn what_is_learnt_stays_until_it_is_learnt_anew() {
        let place = Place::new().await;
        let id = add(&place.journal, "click-1").await.id;
        let plan = serde_json::json!({"tasks": [1, 2]});
        let learnt = Change {
            plan: Some(plan.clone()),
            report: Some(true.into()),
            error: Some("x".to_owned()),
            ..Change::default()
        };
        place.journal.apply(&id, Event::Failed, learnt).await.unwrap();
        let cancel = Change { with_dependencies: Some(true), ..Change::default() };
        let told = place.journal.apply(&id, Event::CancelAsked, cancel).await.unwrap();
        let request = place.journal.get(&id).await.unwrap().unwrap();
        let small = Request { plan: None, report: None, ..request.clone() };
        assert_eq!(told, small, "what is large is not read while others wait to write");
        assert_eq!(
            (request.plan, request.report, request.error.as_deref()),
            (Some(plan), Some(true.into()), Some("x"))
        );
        assert!(request.with_dependencies);
    }

    #[tokio::test]
    async fn trying_again_forgets_what_came_of_the_time_before() {
        let place = Place::new().await;
        let first = add(&place.journal, "click-1").await;
        let (id, task) = (first.id.clone(), TaskId::from_bytes([1; 16]));
        place.clock.go(Duration::from_secs(1));
        let failed = Change {
            decision: Some(task),
            action_task: Some(task),
            plan: Some(true.into()),
            report: Some(true.into()),
            error: Some("x".to_owned()),
            ..Change::default()
        };
        place.journal.apply(&id, Event::Failed, failed).await.unwrap();
        let again = place.journal.apply(&id, Event::Retried, Change::default()).await.unwrap();
        let now = again.changed;
        assert_eq!(again, Request { decision: Some(task), retries: 1, changed: now, ..first });
        assert_eq!(place.journal.get(&id).await.unwrap(), Some(again));
    }

    #[tokio::test]
    async fn the_last_of_some_events_is_told() {
        let place = Place::new().await;
        let id = add(&place.journal, "click-1").await.id;
        let mut told = Vec::new();
        let tries = [Event::Allowed, Event::Sent, Event::Failed, Event::Retried, Event::Allowed, Event::Sent];
        for event in tries {
            place.journal.apply(&id, event, Change::default()).await.unwrap();
            place.journal.facts(&id, Change::default()).await.unwrap();
            told.push(place.journal.last_of(&id, &[Event::Sent, Event::Retried]).await.unwrap());
        }
        let (sent, retried) = (Some(Event::Sent), Some(Event::Retried));
        assert_eq!(told, [None, sent, sent, retried, retried, sent]);
        assert_eq!(place.journal.last_of(&"nobody".parse().unwrap(), &Event::ALL).await.unwrap(), None);
    }

    #[tokio::test]
    async fn each_time_it_is_tried_again_because_it_was_cancelled_counts_once() {
        use Event::{Allowed, CancelAsked, Cancelled, Failed, Retried};
        let place = Place::new().await;
        let id = add(&place.journal, "click-1").await.id;
        let tries: [(&[Event], u32); 5] = [
            (&[Failed, Retried], 0),
            (&[Allowed, CancelAsked, CancelAsked, Cancelled, Retried], 1),
            (&[Failed, Retried], 1),
            (&[CancelAsked, Failed, CancelAsked, Failed, Retried], 2),
            (&[CancelAsked, Cancelled], 2),
        ];
        for (events, undone) in tries {
            let mut request = place.journal.get(&id).await.unwrap().unwrap();
            for event in events {
                request = place.journal.apply(&id, *event, Change::default()).await.unwrap();
            }
            assert_eq!(request.undone, undone, "{events:?}");
            assert_eq!(place.journal.get(&id).await.unwrap(), Some(request));
        }
    }

    #[tokio::test]
    async fn what_cannot_happen_changes_nothing() {
        let place = Place::new().await;
        let request = add(&place.journal, "click-1").await;
        let learnt = Change { error: Some("x".to_owned()), ..Change::default() };
        let refused = place.journal.apply(&request.id, Event::Sent, learnt).await;
        assert!(matches!(refused, Err(JournalError::Invalid(_))), "{refused:?}");
        assert_eq!(place.journal.get(&request.id).await.unwrap(), Some(request.clone()));
        assert_eq!(place.journal.since(0, 10).await.unwrap().len(), 1);
        let unknown = place.journal.facts(&"nobody".parse().unwrap(), Change::default()).await;
        assert!(matches!(unknown, Err(JournalError::Unknown(_))), "{unknown:?}");
    }
}
