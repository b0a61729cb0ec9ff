//! Which requests are about a push, and which have a key.

use rusqlite::ToSql;
use serde_json::json;
use taskgraft_engine::PushRef;

/// Those that name the push so, and all that name, or turned out to be on, the decision tasks that this is known to be.
const ON_PUSH: &str = " AND n IN (WITH \
     named(n, task) AS (SELECT n, decision FROM requests \
     WHERE push IN (SELECT value FROM json_each(:names)) OR (push >= :from AND push < :to)), \
     pushes(task) AS (SELECT task FROM named UNION SELECT value FROM json_each(:names)) \
     SELECT n FROM named UNION ALL SELECT n FROM requests WHERE decision IN (SELECT task FROM pushes) \
     UNION ALL SELECT n FROM requests WHERE push IN (SELECT task FROM pushes))";

/// Those with that key, and messages with that id: their keys are `id:EXCHANGE:ID`.
const WITH_KEY: &str = " AND n IN (SELECT n FROM requests WHERE key = :key UNION ALL \
     SELECT n FROM requests WHERE door = 'pulse' AND key > 'id:' AND key < 'id;' \
     AND key = 'id:' || substr(key, 4, instr(substr(key, 4), ':')) || :key)";

/// How a push may be named in the journal.
pub(super) struct OnPush {
    /// As a JSON list of texts.
    names: String,
    /// From here, and up to there: a revision and whatever begins with it.
    range: Option<(String, String)>,
}

impl OnPush {
    pub(super) fn of(push: &PushRef) -> Self {
        match push {
            PushRef::Task(id) | PushRef::Member(id) => Self { names: json!([id]).to_string(), range: None },
            PushRef::Revision { project, revision } => {
                // Whoever asked may have named fewer of its digits.
                let shorter = (1..revision.len()).filter_map(|end| revision.get(..end));
                let names: Vec<String> = shorter.map(|beginning| format!("{project}@{beginning}")).collect();
                let from = format!("{project}@{revision}");
                // No digit of a revision is behind `f`.
                let to = format!("{from}g");
                Self { names: json!(names).to_string(), range: Some((from, to)) }
            }
        }
    }
}

/// A condition, and what it is told.
#[derive(Default)]
pub(super) struct Also<'a> {
    /// What follows other conditions.
    pub(super) sql: String,
    pub(super) told: Vec<(&'static str, &'a dyn ToSql)>,
}

impl<'a> Also<'a> {
    /// What a filter says of push and key.
    pub(super) fn of(push: Option<&'a OnPush>, key: Option<&'a String>) -> Self {
        let mut also = Self::default();
        if let Some(push) = push {
            also.sql.push_str(ON_PUSH);
            let (from, to): (&dyn ToSql, &dyn ToSql) = match &push.range {
                Some((from, to)) => (from, to),
                None => (&None::<String>, &None::<String>),
            };
            also.told.extend([(":names", &push.names as &dyn ToSql), (":from", from), (":to", to)]);
        }
        if let Some(key) = key {
            also.sql.push_str(WITH_KEY);
            also.told.push((":key", key));
        }
        also
    }
}

#[cfg(test)]
mod tests {
    use taskgraft_core::ids::{RequestId, TaskId};

    use super::*;
    use crate::journal::testing::{Place, wish};
    use crate::journal::{Change, Filter, Page};
    use crate::{Door, Event, NewRequest, PushName};

    async fn ask(place: &Place, key: &str, push: PushName) -> RequestId {
        let mut new = wish(key, "add-new-jobs");
        new.asked.push = push;
        place.journal.receive(new).await.unwrap().request().id.clone()
    }

    async fn found(place: &Place, filter: Filter) -> Vec<RequestId> {
        let listed = place.journal.list(filter, Page::first(100)).await.unwrap();
        listed.items.into_iter().map(|request| request.id).rev().collect()
    }

    async fn on(place: &Place, push: &str) -> Vec<RequestId> {
        found(place, Filter { push: Some(push.parse().unwrap()), ..Filter::default() }).await
    }

    fn revision(project: &str, revision: &str) -> PushName {
        PushName::Revision { project: project.to_owned(), revision: revision.to_owned() }
    }

    #[tokio::test]
    async fn a_pushs_requests_are_found_by_whatever_they_named_it() {
        let place = Place::new().await;
        let (decision, task) = (TaskId::from_bytes([1; 16]), TaskId::from_bytes([2; 16]));
        let by_id = ask(&place, "id", PushName::Decision(decision)).await;
        let short = ask(&place, "short", revision("lander", "ABCDEF12")).await;
        let long = ask(&place, "long", revision("lander", "abcdef1234")).await;
        let by_number = ask(&place, "number", PushName::Resultset { project: "lander".to_owned(), id: 7 }).await;
        let by_task = ask(&place, "task", PushName::OfTask(task)).await;
        let other = ask(&place, "other", revision("lander", "abcdef22")).await;
        ask(&place, "elsewhere", revision("lander-2", "abcdef1234")).await;
        // As long as nobody knows what they are.
        assert_eq!(on(&place, "lander@abcdef123").await, [short.clone(), long.clone()]);
        assert_eq!(on(&place, "lander@abcdef").await, [short.clone(), long.clone(), other.clone()]);
        assert_eq!(on(&place, decision.as_str()).await, std::slice::from_ref(&by_id));
        assert_eq!(on(&place, &format!("https://tc.example.com/tasks/{task}")).await, std::slice::from_ref(&by_task));
        let learnt = || Change { decision: Some(decision), ..Change::default() };
        for id in [&short, &by_number] {
            place.journal.apply(id, Event::Allowed, learnt()).await.unwrap();
        }
        place.journal.facts(&by_task, learnt()).await.unwrap();
        assert_eq!(on(&place, decision.as_str()).await, [&by_id, &short, &by_number, &by_task].map(Clone::clone));
        // One that named the revision tells which decision task it is.
        assert_eq!(on(&place, "lander@abcdef1234").await, [by_id, short, long, by_number, by_task]);
    }

    #[tokio::test]
    async fn a_key_is_found_as_it_is_stored_and_a_message_by_its_id() {
        let place = Place::new().await;
        let receive = async |new: NewRequest| place.journal.receive(new).await.unwrap().request().id.clone();
        let pulse = |key: &str| NewRequest { door: Door::Pulse, ..wish(key, "add-new-jobs") };
        let click = receive(wish("click-1", "add-new-jobs")).await;
        let message = receive(pulse("id:exchange/treeherder/v1/job-actions:click-1")).await;
        let nested = receive(pulse("id:exchange/treeherder/v1/job-actions:a:click-1")).await;
        let hash = receive(pulse("hash:6f3a/2026")).await;
        receive(wish("id:exchange/x:click-1", "add-new-jobs")).await;
        let keyed = async |key: &str, door| {
            found(&place, Filter { key: Some(key.to_owned()), door, ..Filter::default() }).await
        };
        assert_eq!(keyed("click-1", None).await, [click.clone(), message.clone()]);
        assert_eq!(keyed("click-1", Some(Door::Http)).await, [click]);
        assert_eq!(keyed("click-1", Some(Door::Pulse)).await, std::slice::from_ref(&message));
        assert_eq!(keyed("a:click-1", None).await, [nested]);
        assert_eq!(keyed("id:exchange/treeherder/v1/job-actions:click-1", None).await, [message]);
        assert_eq!(keyed("hash:6f3a/2026", None).await, [hash]);
        assert_eq!(keyed("lick-1", None).await, []);
    }

    #[tokio::test]
    async fn no_table_is_read_through_for_a_push_or_a_key() {
        let place = Place::new().await;
        let (push, key) = (OnPush::of(&"lander@abcdef".parse().unwrap()), "k".to_owned());
        let also = Also::of(Some(&push), Some(&key));
        let file = rusqlite::Connection::open(place.dir.path().join("journal")).unwrap();
        let sql = format!("EXPLAIN QUERY PLAN SELECT n FROM requests WHERE n < 9 {} ORDER BY n DESC LIMIT 5", also.sql);
        let mut statement = file.prepare(&sql).unwrap();
        let steps = statement.query_map(&*also.told, |row| row.get::<_, String>(3)).unwrap();
        let steps: Vec<String> = steps.map(Result::unwrap).collect();
        assert!(!steps.iter().any(|step| step.starts_with("SCAN requests")), "{steps:#?}");
    }
}
