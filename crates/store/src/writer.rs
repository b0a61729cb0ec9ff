//! The one thread that writes.
//!
//! It takes the requests that wait, at most [`BATCH`], runs each in a savepoint of one common transaction, commits
//! once, and only then answers them: so one fsync serves many, and one request's error undoes that request alone.
//! Where SQLite itself gives the transaction up (a full disk, say), the request that met that is answered with its own
//! error, those before it in the batch learn that they were undone with it, and the next one begins a new transaction.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use super::StoreError;

/// How many requests share a commit at most.
const BATCH: usize = 256;

/// How many requests may wait before their senders have to.
const WAITING: usize = 1024;

/// Whether a request's batch reached the disk; the text says why not.
type Fate = Result<(), Failure>;

#[derive(Clone)]
enum Failure {
    Full,
    Other(String),
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Full => Self::Full,
            Failure::Other(text) => Self::Commit(text),
        }
    }
}

impl From<&rusqlite::Error> for Failure {
    fn from(error: &rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => Self::Full,
            Some(_) | None => Self::Other(error.to_string()),
        }
    }
}

/// Answers a request once its batch's fate is known.
type Answer = Box<dyn FnOnce(Fate) + Send>;

/// A request: does its work, if there is a transaction for it, says whether to keep that, and how to answer.
type Job = Box<dyn FnOnce(Result<&Transaction<'_>, Failure>) -> (bool, Answer) + Send>;

pub(super) struct Writer {
    jobs: mpsc::Sender<Job>,
}

impl Writer {
    pub(super) fn start(connection: Connection) -> Result<Self, StoreError> {
        let (jobs, queue) = mpsc::channel(WAITING);
        std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || run(connection, queue))
            .map_err(|error| StoreError::Open { path: "the store's thread".into(), error })?;
        Ok(Self { jobs })
    }

    pub(super) async fn write<T, A, E, F, G>(&self, work: F, then: G) -> Result<T, E>
    where
        T: Send + 'static,
        A: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: FnOnce(&Transaction<'_>) -> Result<(T, A), E> + Send + 'static,
        G: FnOnce(A) + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job: Job =
            Box::new(move |tx| match tx.map_err(|failure| StoreError::from(failure).into()).and_then(work) {
                Ok((value, after)) => (
                    true,
                    Box::new(move |fate: Fate| {
                        let result = fate.map(|()| {
                            then(after);
                            value
                        });
                        // Nobody may be waiting any more; what was written stays written.
                        let _ = answer.send(result.map_err(|failure| StoreError::from(failure).into()));
                    }),
                ),
                Err(error) => (
                    false,
                    Box::new(move |_: Fate| {
                        let _ = answer.send(Err(error));
                    }),
                ),
            });
        self.jobs.send(job).await.map_err(|_| StoreError::Gone)?;
        answered.await.map_err(|_| StoreError::Gone)?
    }
}

fn run(mut connection: Connection, mut queue: mpsc::Receiver<Job>) {
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        if queue.blocking_recv_many(&mut batch, BATCH) == 0 {
            return;
        }
        let mut jobs = batch.drain(..);
        while jobs.len() > 0 {
            commit(&mut connection, &mut jobs);
        }
    }
}

/// Takes jobs until none is left or SQLite gives the transaction up, commits what they did, and answers them.
fn commit(connection: &mut Connection, jobs: &mut dyn Iterator<Item = Job>) {
    let mut answers = Vec::new();
    let fate = match connection.transaction_with_behavior(TransactionBehavior::Immediate) {
        Ok(tx) => {
            let kept = work(&tx, jobs, &mut answers);
            kept.and_then(|()| tx.commit().map_err(|error| Failure::from(&error)))
        }
        Err(error) => {
            let failure = Failure::from(&error);
            // One of them: for the next it may have passed.
            answers.extend(jobs.next().map(|job| job(Err(failure.clone())).1));
            Err(failure)
        }
    };
    for answer in answers {
        answer(fate.clone());
    }
}

fn work(tx: &Transaction<'_>, jobs: &mut dyn Iterator<Item = Job>, answers: &mut Vec<Answer>) -> Fate {
    for job in jobs {
        sql(tx, "SAVEPOINT request")?;
        // A panic is a defect; it must not take the other requests with it. Its sender learns that nobody answers.
        let outcome = catch_unwind(AssertUnwindSafe(|| job(Ok(tx))));
        let keep = match outcome {
            Ok((keep, answer)) => {
                answers.push(answer);
                keep
            }
            Err(_) => false,
        };
        if tx.is_autocommit() {
            // SQLite has rolled everything back by itself, which it does when the disk is full or broken. Whose request
            // met that has the reason.
            return Err(Failure::Other(
                "another write in its transaction failed, which was undone as a whole".to_owned(),
            ));
        }
        if !keep {
            sql(tx, "ROLLBACK TO request")?;
        }
        sql(tx, "RELEASE request")?;
    }
    Ok(())
}

fn sql(tx: &Transaction<'_>, text: &str) -> Fate {
    let run = || tx.prepare_cached(text)?.execute([]);
    run().map(|_| ()).map_err(|error| Failure::from(&error))
}
