//! What the index does in a transaction.

use jiff::{SignedDuration, Timestamp};
use rusqlite::{OptionalExtension as _, Row, Transaction, params};
use serde_json::Value;
use taskgraft_core::api::index::{IndexedTask, InsertTaskRequest, Namespace};
use taskgraft_core::api::queue::TaskDefinition;
use taskgraft_core::ids::TaskId;
use taskgraft_core::time::{self, Millis};

use crate::http::Page;
use taskgraft_store::StoreError;

/// The longest index path, in bytes: what can be answered with.
pub(super) const MAX_PATH: usize = 255;

/// `a.b.c` is `c` in the namespace `a.b`; `c` is `c` in the namespace without a name.
fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('.').unwrap_or(("", path))
}

fn joined(namespace: &str, name: &str) -> String {
    if namespace.is_empty() { name.to_owned() } else { format!("{namespace}.{name}") }
}

/// The entry at a path, unless it has expired.
pub(super) fn find(tx: &Transaction<'_>, path: &str, now: Timestamp) -> Result<Option<IndexedTask>, StoreError> {
    let (namespace, name) = split(path);
    let mut statement = tx.prepare_cached(
        "SELECT namespace, name, task_id, rank, data, expires FROM indexed_tasks \
         WHERE namespace = ?1 AND name = ?2 AND expires > ?3",
    )?;
    Ok(statement.query_row(params![namespace, name, now.as_millisecond()], entry).optional()?)
}

/// The entries directly in a namespace, by name, that have not expired: one more than the page takes.
pub(super) fn list(
    tx: &Transaction<'_>,
    within: &str,
    page: &Page,
    now: Timestamp,
) -> Result<Vec<IndexedTask>, StoreError> {
    let mut statement = tx.prepare_cached(
        "SELECT namespace, name, task_id, rank, data, expires FROM indexed_tasks \
         WHERE namespace = ?1 AND name > ?2 AND expires > ?3 ORDER BY name LIMIT ?4",
    )?;
    let after = page.after.as_deref().unwrap_or_default();
    let rows = statement.query_map(params![within, after, now.as_millisecond(), most(page)], entry)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The namespaces directly in a namespace, by name, that have not expired: one more than the page takes.
pub(super) fn list_namespaces(
    tx: &Transaction<'_>,
    within: &str,
    page: &Page,
    now: Timestamp,
) -> Result<Vec<Namespace>, StoreError> {
    let mut statement = tx.prepare_cached(
        "SELECT name, expires FROM namespaces WHERE parent = ?1 AND name > ?2 AND expires > ?3 ORDER BY name LIMIT ?4",
    )?;
    let after = page.after.as_deref().unwrap_or_default();
    let rows = statement.query_map(params![within, after, now.as_millisecond(), most(page)], |row| {
        let name: String = row.get(0)?;
        Ok(Namespace { namespace: joined(within, &name), name, expires: moment(row.get(1)?) })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn most(page: &Page) -> i64 {
    i64::try_from(page.limit + 1).unwrap_or(i64::MAX)
}

/// Puts a task at a path unless one of a higher rank is there; returns what is there then.
///
/// An entry that has expired still has its rank, until it is purged.
pub(super) fn insert(tx: &Transaction<'_>, path: &str, task: &InsertTaskRequest) -> Result<IndexedTask, StoreError> {
    let (namespace, name) = split(path);
    let mut statement = tx.prepare_cached(
        "INSERT INTO indexed_tasks (namespace, name, task_id, rank, data, expires) VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
         ON CONFLICT DO UPDATE SET task_id = ?3, rank = ?4, data = ?5, expires = ?6 WHERE rank <= ?4",
    )?;
    let InsertTaskRequest { task_id, rank, data, expires } = task;
    let changed = params![namespace, name, task_id.as_str(), rank, data.to_string(), expires.epoch()];
    if statement.execute(changed)? > 0 {
        extend_namespaces(tx, namespace, expires.0)?;
    }
    let mut statement = tx.prepare_cached(
        "SELECT namespace, name, task_id, rank, data, expires FROM indexed_tasks WHERE namespace = ?1 AND name = ?2",
    )?;
    Ok(statement.query_row([namespace, name], entry)?)
}

/// Makes a namespace and all above it, and lets none of them end before the entry: they end at a midnight, so that they
/// need not be touched with each entry.
fn extend_namespaces(tx: &Transaction<'_>, namespace: &str, entry_expires: Timestamp) -> Result<(), StoreError> {
    let mut statement = tx.prepare_cached(
        "INSERT INTO namespaces (parent, name, expires) VALUES (?1, ?2, ?3) \
         ON CONFLICT DO UPDATE SET expires = ?3 WHERE expires < ?3",
    )?;
    let expires = next_midnight(entry_expires).as_millisecond();
    let mut rest = namespace;
    while !rest.is_empty() {
        let (parent, name) = split(rest);
        // What ends late enough has parents that do.
        if statement.execute(params![parent, name, expires])? == 0 {
            break;
        }
        rest = parent;
    }
    Ok(())
}

fn next_midnight(moment: Timestamp) -> Timestamp {
    const DAY: i64 = 24 * 60 * 60;
    Timestamp::from_second((moment.as_second().div_euclid(DAY) + 1) * DAY).unwrap_or(Timestamp::MAX)
}

/// Removes an entry; the namespaces above stay.
pub(super) fn delete(tx: &Transaction<'_>, path: &str) -> Result<(), StoreError> {
    let (namespace, name) = split(path);
    tx.prepare_cached("DELETE FROM indexed_tasks WHERE namespace = ?1 AND name = ?2")?.execute([namespace, name])?;
    Ok(())
}

/// Puts a task that has completed at each path that its routes `index.<path>` name, with `extra.index.{rank, data,
/// expires}` where the definition has them. Mistakes in there leave the task out of the index, as a real one does.
pub(crate) fn insert_on_completion(
    tx: &Transaction<'_>,
    task_id: TaskId,
    definition: &TaskDefinition,
    now: Timestamp,
) -> Result<(), StoreError> {
    let paths = definition.routes.iter().filter_map(|route| route.strip_prefix("index."));
    let mut paths = paths.filter(|path| is_path(path)).peekable();
    if paths.peek().is_none() {
        return Ok(());
    }
    let Some(task) = from_definition(task_id, definition, now) else {
        tracing::warn!(%task_id, "a completed task is left out of the index: its extra.index makes no sense");
        return Ok(());
    };
    for path in paths {
        insert(tx, path, &task)?;
    }
    Ok(())
}

fn from_definition(task_id: TaskId, definition: &TaskDefinition, now: Timestamp) -> Option<InsertTaskRequest> {
    let given = |name| definition.extra.get("index").and_then(|index| index.get(name));
    let year = SignedDuration::from_hours(365 * 24);
    let expires = match given("expires") {
        None => definition.expires.unwrap_or_else(|| now.saturating_add(year).unwrap_or(now).into()),
        Some(given) => Millis::from(time::parse(given.as_str()?).ok()?),
    };
    let rank = given("rank").map_or(Some(0), Value::as_i64).filter(|rank| i32::try_from(*rank).is_ok())?;
    let data = match given("data") {
        None => Value::Object(serde_json::Map::new()),
        Some(given) => given.is_object().then(|| given.clone())?,
    };
    Some(InsertTaskRequest { task_id, rank, data, expires })
}

/// Whether a text is an index path, see [`PATH`](super::PATH).
fn is_path(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"_!~*'()%-".contains(&b);
    text.len() <= MAX_PATH && text.split('.').all(|part| !part.is_empty() && part.bytes().all(fits))
}

/// Removes what has expired.
pub(crate) fn purge(tx: &Transaction<'_>, now: Timestamp) -> Result<usize, StoreError> {
    let now = now.as_millisecond();
    let entries = tx.prepare_cached("DELETE FROM indexed_tasks WHERE expires <= ?1")?.execute([now])?;
    let namespaces = tx.prepare_cached("DELETE FROM namespaces WHERE expires <= ?1")?.execute([now])?;
    Ok(entries + namespaces)
}

fn entry(row: &Row<'_>) -> rusqlite::Result<IndexedTask> {
    let conversion = |column, error: Box<dyn std::error::Error + Send + Sync>| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, error)
    };
    let (namespace, name): (String, String) = (row.get(0)?, row.get(1)?);
    let (task_id, data): (String, String) = (row.get(2)?, row.get(4)?);
    Ok(IndexedTask {
        namespace: joined(&namespace, &name),
        task_id: task_id.parse().map_err(|error: taskgraft_core::ids::InvalidTaskId| conversion(2, error.into()))?,
        rank: row.get(3)?,
        data: serde_json::from_str(&data).map_err(|error| conversion(4, error.into()))?,
        expires: moment(row.get(5)?),
    })
}

fn moment(ms: i64) -> Millis {
    Millis(Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::MIGRATIONS;
    use serde_json::json;
    use taskgraft_store::Store;

    const A: &str = "AAAAAAAAQAGAAAAAAAAAAA";
    const B: &str = "BBBBBBBBQAGAAAAAAAAAAA";

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn task(id: &str, rank: i64, expires: i64) -> InsertTaskRequest {
        InsertTaskRequest { task_id: id.parse().unwrap(), rank, data: json!({}), expires: at(expires).into() }
    }

    async fn run<T: Send + 'static>(work: impl FnOnce(&Transaction<'_>) -> T + Send + 'static) -> T {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("db"), &MIGRATIONS, 1024).unwrap();
        store.write(|tx| Ok::<_, StoreError>(work(tx))).await.unwrap()
    }

    #[tokio::test]
    async fn a_lower_rank_changes_nothing() {
        run(|tx| {
            insert(tx, "p.a", &task(A, 2, 100)).unwrap();
            assert_eq!(insert(tx, "p.a", &task(B, 1, 200)).unwrap().task_id.as_str(), A);
            assert_eq!(find(tx, "p.a", at(0)).unwrap().unwrap().expires, at(100).into());
            assert_eq!(insert(tx, "p.a", &task(B, 2, 200)).unwrap().task_id.as_str(), B);
        })
        .await;
    }

    #[tokio::test]
    async fn lists_hold_what_is_directly_below_and_has_not_expired() {
        run(|tx| {
            for (path, expires) in [("top", 100), ("p.a", 100), ("p.b", 10), ("p.c.d", 100), ("p.e.f.g", 200_000)] {
                insert(tx, path, &task(A, 0, expires)).unwrap();
            }
            let page = |limit, after: &str| Page { limit, after: Some(after.to_owned()) };
            let names = |within, page| {
                let found = list(tx, within, &page, at(50)).unwrap();
                found.into_iter().map(|task| task.namespace).collect::<Vec<_>>()
            };
            assert_eq!(names("p", page(10, "")), ["p.a"]);
            assert_eq!(names("", page(10, "")), ["top"]);
            assert_eq!(names("p.c", page(10, "")), ["p.c.d"]);
            assert_eq!(names("p.e", page(10, "")), [] as [&str; 0]);
            let below = |within, now| {
                let found = list_namespaces(tx, within, &page(10, ""), now).unwrap();
                found.into_iter().map(|ns| (ns.namespace, ns.name, ns.expires.0.as_second())).collect::<Vec<_>>()
            };
            let of = |path: &str, name: &str, expires| (path.to_owned(), name.to_owned(), expires);
            assert_eq!(below("", at(50)), [of("p", "p", 259_200)]);
            assert_eq!(below("p", at(50)), [of("p.c", "c", 86_400), of("p.e", "e", 259_200)]);
            assert_eq!(below("p", at(100_000)), [of("p.e", "e", 259_200)]);
            assert_eq!(list_namespaces(tx, "p", &page(1, "c"), at(50)).unwrap().len(), 1);
        })
        .await;
    }

    #[tokio::test]
    async fn what_has_expired_is_not_found_and_then_purged() {
        run(|tx| {
            insert(tx, "p.a", &task(A, 5, 100)).unwrap();
            assert!(find(tx, "p.a", at(99)).unwrap().is_some());
            assert!(find(tx, "p.a", at(100)).unwrap().is_none());
            assert_eq!(insert(tx, "p.a", &task(B, 1, 300)).unwrap().task_id.as_str(), A);
            assert_eq!(purge(tx, at(100)).unwrap(), 1);
            assert_eq!(insert(tx, "p.a", &task(B, 1, 300)).unwrap().task_id.as_str(), B);
            delete(tx, "p.a").unwrap();
            delete(tx, "p.a").unwrap();
            assert!(find(tx, "p.a", at(0)).unwrap().is_none());
        })
        .await;
    }

    fn definition(routes: &[&str], extra: Value) -> TaskDefinition {
        let body = json!({
            "provisionerId": "p", "workerType": "w", "taskQueueId": "p/w", "taskGroupId": A, "routes": routes,
            "created": "2026-01-01T00:00:00Z", "deadline": "2026-01-02T00:00:00Z", "expires": "2026-02-01T00:00:00Z",
            "payload": {}, "extra": extra,
            "metadata": {"name": "", "description": "", "owner": "", "source": "https://example.com"},
        });
        serde_json::from_value(body).unwrap()
    }

    #[tokio::test]
    async fn completion_inserts_by_routes() {
        run(|tx| {
            let complete = |routes: &[&str], extra| {
                insert_on_completion(tx, A.parse().unwrap(), &definition(routes, extra), at(0)).unwrap();
            };
            complete(&["index.p.a", "other.p.b", "index.p..c", "index."], json!({}));
            let found = find(tx, "p.a", at(0)).unwrap().unwrap();
            assert_eq!(
                (found.rank, found.data, found.expires.to_string().as_str()),
                (0, json!({}), "2026-02-01T00:00:00.000Z")
            );
            assert!(find(tx, "p.b", at(0)).unwrap().is_none());
            let index = json!({"rank": 7, "data": {"k": 1}, "expires": "2027-01-01T00:00:00Z"});
            complete(&["index.p.a"], json!({"index": index}));
            let found = find(tx, "p.a", at(0)).unwrap().unwrap();
            assert_eq!(
                (found.rank, found.data, found.expires.to_string().as_str()),
                (7, json!({"k": 1}), "2027-01-01T00:00:00.000Z")
            );
            for wrong in [
                json!({"rank": "8"}),
                json!({"rank": 1_i64 << 31}),
                json!({"rank": 8, "data": 1}),
                json!({"rank": 8, "expires": "soon"}),
            ] {
                complete(&["index.p.a"], json!({"index": wrong}));
                assert_eq!(find(tx, "p.a", at(0)).unwrap().unwrap().rank, 7);
            }
        })
        .await;
    }
}
