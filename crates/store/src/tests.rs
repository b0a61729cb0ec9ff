use super::*;

const TABLES: &[&str] = &["CREATE TABLE names (name TEXT PRIMARY KEY)"];

fn open() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("db"), TABLES, 1024).unwrap();
    (dir, store)
}

async fn count(store: &Store) -> i64 {
    store
        .read(|tx| Ok::<_, StoreError>(tx.query_row("SELECT count(*) FROM names", [], |row| row.get(0))?))
        .await
        .unwrap()
}

fn insert(tx: &Transaction<'_>, id: &str) -> Result<(), StoreError> {
    tx.execute("INSERT INTO names VALUES (?)", [id])?;
    Ok(())
}

#[tokio::test]
async fn one_requests_error_undoes_that_request_alone() {
    let (_dir, store) = open();
    let writes = (0..100).map(|n| {
        let store = store.clone();
        tokio::spawn(async move {
            store
                .write(move |tx| {
                    insert(tx, &format!("group {n}"))?;
                    if n % 10 == 0 { Err(StoreError::Gone) } else { Ok(()) }
                })
                .await
                .is_ok()
        })
    });
    let mut kept = 0;
    for write in writes.collect::<Vec<_>>() {
        kept += i64::from(write.await.unwrap());
    }
    assert_eq!(kept, 90);
    assert_eq!(count(&store).await, 90);
}

#[tokio::test]
async fn a_panic_undoes_its_request_and_the_store_lives_on() {
    let (_dir, store) = open();
    let died: Result<(), StoreError> = store
        .write(|tx| {
            insert(tx, "half")?;
            panic!("a defect")
        })
        .await;
    assert!(matches!(died, Err(StoreError::Gone)));
    store.write(|tx| insert(tx, "whole")).await.unwrap();
    assert_eq!(count(&store).await, 1);
}

#[tokio::test]
async fn a_full_disk_refuses_and_keeps_what_was_there() {
    let (_dir, store) = open();
    store.write(|tx| insert(tx, "before")).await.unwrap();
    store
        .write(|tx| {
            let pages: i64 = tx.pragma_query_value(None, "page_count", |row| row.get(0))?;
            tx.pragma_query_value(None, "max_page_count", |_| Ok(()))?;
            tx.execute_batch(&format!("PRAGMA max_page_count = {pages}"))?;
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap();
    let big = "x".repeat(100_000);
    let refused = store.write(move |tx| insert(tx, &big)).await;
    assert!(matches!(refused, Err(StoreError::Full)), "{refused:?}");
    assert_eq!(count(&store).await, 1);
    store.write(|tx| Ok::<_, StoreError>(tx.execute_batch("PRAGMA max_page_count = 1000000")?)).await.unwrap();
    store.write(|tx| insert(tx, "after")).await.unwrap();
    assert_eq!(count(&store).await, 2);
}

#[tokio::test]
async fn those_undone_with_another_are_not_told_of_a_full_disk() {
    let (_dir, store) = open();
    let (hold, held) = std::sync::mpsc::channel::<()>();
    let limit = |tx: &Transaction<'_>| {
        let pages: i64 = tx.pragma_query_value(None, "page_count", |row| row.get(0))?;
        Ok::<_, StoreError>(tx.execute_batch(&format!("PRAGMA max_page_count = {pages}"))?)
    };
    store.write(limit).await.unwrap();
    let first = store.write(move |_| {
        // Until the next two wait together.
        let _ = held.recv();
        Ok::<_, StoreError>(())
    });
    let big = "x".repeat(100_000);
    let (small, full) = (store.write(|tx| insert(tx, "small")), store.write(move |tx| insert(tx, &big)));
    let (mut first, mut small, mut full) = (Box::pin(first), Box::pin(small), Box::pin(full));
    for sent in [futures_util::poll!(&mut first), futures_util::poll!(&mut small), futures_util::poll!(&mut full)] {
        assert!(sent.is_pending());
    }
    hold.send(()).unwrap();
    // It may have been in the same transaction.
    let _ = first.await;
    let (small, full) = (small.await, full.await);
    assert!(matches!(full, Err(StoreError::Full)), "{full:?}");
    let Err(StoreError::Commit(why)) = &small else { panic!("{small:?}") };
    assert!(why.contains("another write"), "{why}");
    assert_eq!(count(&store).await, 0);
}

#[tokio::test]
async fn a_transaction_that_can_not_begin_says_why() {
    let (dir, store) = open();
    store.write(|tx| Ok::<_, StoreError>(tx.execute_batch("PRAGMA busy_timeout = 0")?)).await.unwrap();
    let other = Connection::open(dir.path().join("db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let refused = store.write(|tx| insert(tx, "late")).await.unwrap_err();
    assert!(refused.to_string().contains("database is locked"), "{refused}");
    other.execute_batch("ROLLBACK").unwrap();
    store.write(|tx| insert(tx, "in time")).await.unwrap();
    assert_eq!(count(&store).await, 1);
}

#[tokio::test]
async fn an_error_says_its_cause() {
    let (_dir, store) = open();
    let refused =
        store.read(|tx| Ok::<_, StoreError>(tx.execute_batch("SELECT absent FROM names")?)).await.unwrap_err();
    assert!(refused.to_string().contains("no such column: absent"), "{refused}");
    let unopened = Store::open(Path::new("/nonexistent/db"), TABLES, 1024).map(drop).unwrap_err();
    assert!(unopened.to_string().contains("No such file"), "{unopened}");
}

#[tokio::test]
async fn what_comes_after_the_commit_runs_though_nobody_waits() {
    let (_dir, store) = open();
    let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
    {
        let write = store.write_then(
            |tx| insert(tx, "kept").map(|()| ((), "kept")),
            move |what| {
                let _ = told.send(what);
            },
        );
        // Polled once, so that the request is sent, and dropped.
        let mut write = Box::pin(write);
        let _ = futures_util::poll!(&mut write);
    }
    assert_eq!(heard.recv().await, Some("kept"));
    assert_eq!(count(&store).await, 1);
}

#[test]
fn migrations_lead_from_any_version_to_the_newest() {
    let all = ["CREATE TABLE a (x)", "ALTER TABLE a ADD COLUMN y", "INSERT INTO a VALUES (1, 2)"];
    for have in 0..=all.len() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate::up(&mut connection, &all[..have]).unwrap();
        migrate::up(&mut connection, &all).unwrap();
        let y: i64 = connection.query_row("SELECT sum(y) FROM a", [], |row| row.get(0)).unwrap();
        assert_eq!(y, 2);
    }
}

#[test]
fn a_failed_migration_leaves_the_version_before() {
    let mut connection = Connection::open_in_memory().unwrap();
    assert!(migrate::up(&mut connection, &["CREATE TABLE a (x)", "CREATE TABLE b (x); NONSENSE"]).is_err());
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    assert_eq!(version, 1);
    migrate::up(&mut connection, &["", "CREATE TABLE b (x)"]).unwrap();
}

#[test]
fn data_of_a_newer_version_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    drop(Store::open(&path, TABLES, 1024).unwrap());
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    assert!(matches!(Store::open(&path, TABLES, 1024), Err(StoreError::Newer { found: 99, .. })));
}

#[test]
fn the_file_is_its_owners_only_and_one_that_exists_is_left_as_it_is() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let mode = || std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    drop(Store::open(&path, TABLES, 1024).unwrap());
    assert_eq!(mode(), 0o600);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    drop(Store::open(&path, TABLES, 1024).unwrap());
    assert_eq!(mode(), 0o640);
}

#[test]
fn those_who_open_a_new_file_at_once_make_its_tables_once() {
    let all = ["CREATE TABLE a (x)", "INSERT INTO a VALUES (1)", "INSERT INTO a VALUES (2)"];
    for _ in 0..10 {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("db");
        std::thread::scope(|scope| {
            for opener in [0; 4].map(|_| scope.spawn(|| Store::open(&path, &all, 1024).map(drop))) {
                opener.join().unwrap().unwrap();
            }
        });
        let rows: i64 =
            Connection::open(&path).unwrap().query_row("SELECT count(*) FROM a", [], |row| row.get(0)).unwrap();
        assert_eq!(rows, 2);
    }
}
