//! A task's log: one file that grows while the task runs, and that readers can follow.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use taskgraft_core::time::format_ms;
use tokio::sync::watch;

/// What logs are served as.
pub const CONTENT_TYPE: &str = "text/plain; charset=utf-8";

/// A log that is being written. Clones write to the same file.
#[derive(Clone, Debug)]
pub struct TaskLog(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    limit: u64,
    state: Mutex<State>,
    progress: watch::Sender<Progress>,
}

#[derive(Debug)]
struct State {
    file: File,
    /// Bytes of the task's own output so far.
    output: u64,
    truncated: bool,
    /// Whether the file could not be written; said once.
    broken: bool,
    at_line_start: bool,
}

/// How far a log has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// How many bytes can be read.
    pub bytes: u64,
    /// Whether there will be no more.
    pub finished: bool,
}

impl TaskLog {
    /// Starts an empty log in the file `path`; `limit` bounds the task's own output, in bytes.
    ///
    /// # Errors
    /// If the file can't be made.
    pub fn create(path: &Path, limit: u64) -> io::Result<Self> {
        let state =
            State { file: File::create(path)?, output: 0, truncated: false, broken: false, at_line_start: true };
        let progress = watch::Sender::new(Progress::default());
        Ok(Self(Arc::new(Shared { path: path.to_owned(), limit, state: Mutex::new(state), progress })))
    }

    /// Where the file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// For following the log.
    #[must_use]
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.0.progress.subscribe()
    }

    /// Adds output of the task, as far as the limit allows.
    pub fn output(&self, bytes: &[u8]) {
        let mut state = self.lock();
        let room = usize::try_from(self.0.limit.saturating_sub(state.output)).unwrap_or(usize::MAX);
        let kept = &bytes[..bytes.len().min(room)];
        state.output += kept.len() as u64;
        self.write(&mut state, kept);
        if kept.len() < bytes.len() && !state.truncated {
            state.truncated = true;
            let line = worker_line(&format!("Log truncated: more than {} bytes; the task goes on", self.0.limit));
            self.write_line(&mut state, &line);
        }
    }

    /// Adds a line of the worker's own: `[taskcluster <time>] <message>`.
    pub fn say(&self, message: &str) {
        self.write_line(&mut self.lock(), &worker_line(message));
    }

    /// Adds a line that says what went wrong: `[taskcluster:error] <message>`.
    pub fn complain(&self, message: &str) {
        let text: String = message.lines().map(|line| format!("[taskcluster:error] {line}\n")).collect();
        self.write_line(&mut self.lock(), &text);
    }

    /// Ends the log: followers see its end. What is written later is kept, but no follower waits for it.
    pub fn finish(&self) {
        self.0.progress.send_modify(|progress| progress.finished = true);
    }

    fn write_line(&self, state: &mut State, line: &str) {
        if !state.at_line_start {
            self.write(state, b"\n");
        }
        self.write(state, line.as_bytes());
    }

    fn write(&self, state: &mut State, bytes: &[u8]) {
        let Some(last) = bytes.last() else { return };
        if let Err(error) = state.file.write_all(bytes) {
            // A full disk must not end the task by way of its log.
            if !std::mem::replace(&mut state.broken, true) {
                tracing::warn!(log = %self.0.path.display(), %error, "could not write a task's log");
            }
            return;
        }
        state.at_line_start = *last == b'\n';
        self.0.progress.send_modify(|progress| progress.bytes += bytes.len() as u64);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn worker_line(message: &str) -> String {
    format!("[taskcluster {}] {message}\n", format_ms(Timestamp::now()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_bounded_and_the_workers_lines_stand_on_their_own() {
        let directory = tempfile::tempdir().unwrap();
        let log = TaskLog::create(&directory.path().join("log"), 10).unwrap();
        log.output(b"12345");
        log.complain("two\nlines");
        log.output(b"67890ABC");
        log.output(b"DEF");
        log.say("after");
        let text = std::fs::read_to_string(log.path()).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[..4], ["12345", "[taskcluster:error] two", "[taskcluster:error] lines", "67890"]);
        assert!(lines[4].contains("Log truncated: more than 10 bytes") && lines[5].ends_with("] after"), "{text}");
        assert_eq!(lines.len(), 6);
        assert_eq!(log.progress().borrow().bytes, text.len() as u64);
    }
}
