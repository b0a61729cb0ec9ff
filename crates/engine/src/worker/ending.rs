//! How an action's end resolves its run.

use taskgraft_client::Error;
use taskgraft_client::run::Resolution;
use taskgraft_core::frontier::Outcome;
use taskgraft_core::report::Terminal;
use taskgraft_core::state::ExceptionReason;

use crate::action::{ActionError, ActionReport, closing};

/// The longest reason that a log is told, in characters.
const MAX_WHY: usize = 16 << 10;

/// Why an action was asked to stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Why {
    /// The run is not this worker's any more: cancelled, superseded, or the claim is lost.
    Gone(String),
    /// It ran longer than it may, in seconds.
    Late(u64),
    /// The worker goes.
    Shutdown,
}

/// What became of performing an action.
pub(crate) struct Ended {
    /// What it came to; nothing where it did not stop in time.
    pub(crate) result: Option<Result<ActionReport, ActionError>>,
    /// Why it was asked to stop, if it was.
    pub(crate) why: Option<Why>,
}

impl Ended {
    /// How the run is resolved; not at all where it is somebody else's by now.
    pub(crate) fn resolution(&self) -> Option<Resolution> {
        if let Some(Why::Gone(_)) = self.why {
            return None;
        }
        match (&self.result, &self.why) {
            (Some(Ok(report)), why) => of_report(report, why.as_ref()),
            // What it failed of may be that it was to stop.
            (Some(Err(error)), None) => Some(of_error(error)),
            (Some(Err(_)) | None, Some(why)) => stopped(why),
            (None, None) => Some(Resolution::Exception(ExceptionReason::InternalError, "it ended in nothing".into())),
        }
    }

    /// How many tasks it created.
    pub(crate) fn created(&self) -> usize {
        let reports = self.result.iter().flatten().flat_map(|report| &report.requests);
        let tasks = reports.flat_map(|report| &report.tasks);
        tasks.filter(|task| matches!(task.outcome, Outcome::Created { .. })).count()
    }
}

fn of_report(report: &ActionReport, why: Option<&Why>) -> Option<Resolution> {
    let words = || report.requests.iter().map(closing).collect::<Vec<_>>().join("; ");
    Some(match report.result {
        Terminal::Done => Resolution::Completed,
        Terminal::Partial | Terminal::Forbidden | Terminal::Refused | Terminal::Stuck => Resolution::Failed(words()),
        // The queue makes another run, which finishes what this one began.
        Terminal::Unfinished => Resolution::Exception(ExceptionReason::IntermittentTask, words()),
        Terminal::Interrupted => return stopped(why?),
        Terminal::Superseded | Terminal::Cancelled | Terminal::Expired => return None,
    })
}

fn stopped(why: &Why) -> Option<Resolution> {
    match why {
        Why::Gone(_) => None,
        Why::Late(seconds) => {
            Some(Resolution::Failed(format!("stopped: it ran longer than payload.maxRunTime, {seconds} s")))
        }
        Why::Shutdown => {
            let why = "the worker shuts down; the next run finishes what this one began".to_owned();
            Some(Resolution::Exception(ExceptionReason::WorkerShutdown, why))
        }
    }
}

/// How a run ends whose last calls did not succeed.
pub(crate) fn of_call(what: &str, error: &Error) -> Resolution {
    let why = format!("failed to {what}: {error}");
    if error.is_transient() {
        Resolution::Exception(ExceptionReason::IntermittentTask, why)
    } else {
        Resolution::Failed(why)
    }
}

fn of_error(error: &ActionError) -> Resolution {
    let why = bounded(format!("failed to {error}"));
    if let ActionError::UnknownAction(_) = error {
        Resolution::malformed(why)
    } else if is_transient(error) {
        Resolution::Exception(ExceptionReason::IntermittentTask, why)
    } else if let ActionError::Write { .. } = error {
        Resolution::Exception(ExceptionReason::InternalError, why)
    } else {
        Resolution::Failed(why)
    }
}

/// Its beginning, where it is long: it may quote an input, which may have megabytes.
fn bounded(mut why: String) -> String {
    if let Some((end, _)) = why.char_indices().nth(MAX_WHY) {
        why.truncate(end);
        why.push('…');
    }
    why
}

/// Whether what it failed of is a service that did not answer: another run may do better.
fn is_transient(error: &ActionError) -> bool {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    causes.filter_map(|cause| cause.downcast_ref::<Error>()).any(Error::is_transient)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::fetch::FetchError;
    use crate::planner::PlannerError;
    use crate::push::PushError;
    use taskgraft_client::Cause;
    use taskgraft_core::ids::TaskId;

    fn ended(result: Option<Result<Terminal, ActionError>>, why: Option<Why>) -> String {
        let report = |result| ActionReport { result, requests: Vec::new() };
        let resolution = Ended { result: result.map(|result| result.map(report)), why }.resolution();
        resolution.map_or("none".to_owned(), |resolution| resolution.word().to_owned())
    }

    #[test]
    fn the_run_tells_whether_the_asker_got_what_was_asked_for() {
        for (result, word) in [
            (Terminal::Done, "completed"),
            (Terminal::Partial, "failed"),
            (Terminal::Forbidden, "failed"),
            (Terminal::Refused, "failed"),
            (Terminal::Stuck, "failed"),
            (Terminal::Unfinished, "intermittent-task"),
            (Terminal::Superseded, "none"),
            (Terminal::Cancelled, "none"),
            (Terminal::Expired, "none"),
        ] {
            assert_eq!(ended(Some(Ok(result)), None), word, "{result:?}");
        }
    }

    #[test]
    fn who_was_stopped_ends_by_why_and_who_was_done_anyway_is_done() {
        let late = || Some(Why::Late(5));
        assert_eq!(ended(Some(Ok(Terminal::Interrupted)), late()), "failed");
        assert_eq!(ended(Some(Ok(Terminal::Interrupted)), Some(Why::Shutdown)), "worker-shutdown");
        assert_eq!(ended(None, Some(Why::Shutdown)), "worker-shutdown");
        assert_eq!(ended(Some(Ok(Terminal::Done)), late()), "completed");
        assert_eq!(ended(Some(Ok(Terminal::Done)), Some(Why::Gone(String::new()))), "none");
    }

    #[test]
    fn errors_that_may_pass_are_tried_again_and_others_are_not() {
        let task = TaskId::from_bytes([1; 16]);
        let silent =
            || Error::Transient { call: "task", last: Cause::Timeout, tries: 6, elapsed: Duration::from_secs(41) };
        let refused = || Error::Rejected { call: "task", status: 401, code: "x".into(), message: "expired".into() };
        let fetch = |error| {
            let error = FetchError::Client { name: "public/parameters.yml".into(), task, error };
            ActionError::Planner(PlannerError::Push(PushError::Fetch(error)))
        };
        let of = |error| ended(Some(Err(error)), None);
        assert_eq!(of(ActionError::Client(silent())), "intermittent-task");
        assert_eq!(of(ActionError::Client(refused())), "failed");
        assert_eq!(of(fetch(silent())), "intermittent-task");
        assert_eq!(of(fetch(refused())), "failed");
        assert_eq!(of(ActionError::UnknownAction("x".into())), "malformed-payload");
    }

    #[test]
    fn a_reason_that_quotes_megabytes_is_cut() {
        let end = of_error(&ActionError::UnknownAction("ä".repeat(1 << 20)));
        let Resolution::Exception(_, why) = end else { panic!("{}", end.word()) };
        assert!(why.chars().count() == MAX_WHY + 1 && why.ends_with("ä…"), "{} bytes", why.len());
    }
}
