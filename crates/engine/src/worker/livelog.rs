//! A run's log, readable while the run goes on.

use std::sync::Arc;
use std::time::Duration;

use taskgraft_client::Error;
use taskgraft_client::run::{CONTENT_TYPE, LogServer, Published, Session, TaskLog};
use tokio::task::JoinSet;

use super::payload::LogNames;

/// How much longer than `maxRunTime` a log's address is kept: artifacts take time, too.
const SLACK_SECONDS: u64 = 15 * 60;
/// Most actions are over before the first part of their log is uploaded.
const FIRST_PART: Duration = Duration::from_secs(2);
/// How often parts are uploaded then.
const EACH_PART: Duration = Duration::from_secs(10);

/// A log that can be read until [`Live::close`] publishes all of it.
pub(crate) struct Live {
    session: Arc<Session>,
    log: TaskLog,
    names: LogNames,
    /// The log's address, where this worker serves it: as long as this is kept.
    _published: Option<Published>,
    /// What makes it readable; ends with the log, or when this is dropped.
    working: JoinSet<()>,
}

impl Live {
    /// Makes `log` readable: through `server`, or else by uploading it part by part. Nobody waits for either.
    pub(crate) fn start(
        session: &Arc<Session>,
        log: &TaskLog,
        names: LogNames,
        server: Option<&LogServer>,
        max_run_time: u64,
    ) -> Self {
        let published = server.map(|server| server.publish(log));
        let mut working = JoinSet::new();
        let (own, live) = (Arc::clone(session), names.live.clone());
        match &published {
            Some(published) => {
                let (url, seconds) = (published.url.clone(), max_run_time.saturating_add(SLACK_SECONDS));
                working.spawn(async move { note(&own, own.refer(&live, &url, seconds).await) });
            }
            None => {
                let (log, names) = (log.clone(), names.clone());
                working.spawn(async move { upload_parts(&own, &log, &names).await });
            }
        }
        Self { session: Arc::clone(session), log: log.clone(), names, _published: published, working }
    }

    /// Ends the log and publishes all of it.
    pub(crate) async fn close(mut self) {
        self.log.finish();
        // An address or a part that is on its way must not arrive after what replaces it.
        while self.working.join_next().await.is_some() {}
        let upload = self.session.upload(&self.names.backing, self.log.path(), CONTENT_TYPE, None).await;
        let published = match upload {
            Ok(()) => self.session.link(&self.names.live, &self.names.backing).await,
            Err(error) => Err(error),
        };
        note(&self.session, published);
    }
}

async fn upload_parts(session: &Session, log: &TaskLog, names: &LogNames) {
    let mut progress = log.progress();
    let mut uploaded = 0;
    let mut pause = FIRST_PART;
    loop {
        tokio::select! {
            () = tokio::time::sleep(pause) => pause = EACH_PART,
            _ = progress.wait_for(|now| now.finished) => return,
        }
        if progress.borrow().bytes == uploaded {
            continue;
        }
        let Ok(part) = tokio::fs::read(log.path()).await else { return };
        let first = uploaded == 0;
        uploaded = part.len() as u64;
        let mut done = session.upload_part(&names.backing, part).await;
        if first && done.is_ok() {
            done = session.link(&names.live, &names.backing).await;
        }
        note(session, done);
    }
}

/// That a log can't be read stops no action.
fn note(session: &Session, published: Result<(), Error>) {
    if let Err(error) = published {
        tracing::warn!(task = %session.task_id, run = session.run_id, %error, "could not publish a task's log");
    }
}
