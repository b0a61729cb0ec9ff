//! What a worker that was killed had: its directories name the runs.
//!
//! Their claims would hold for up to twenty minutes more. Claiming a run again is open to the worker that has it, so
//! the next worker of the same name takes them over only to hand them back, and the queue tries again at once.

use std::path::Path;

use taskgraft_client::run::{Resolution, Session};
use taskgraft_client::{Client, Error};
use taskgraft_core::api::queue::ClaimTaskRequest;
use taskgraft_core::ids::TaskId;
use taskgraft_core::state::ExceptionReason;

/// A run of a task.
pub(crate) type Run = (TaskId, u16);

/// The name of a run's directory.
pub(crate) fn directory_name((task, run): Run) -> String {
    format!("{task}-{run}")
}

/// The runs that have directories in `tasks_dir`, if that is there.
pub(crate) fn runs_in(tasks_dir: &Path) -> Vec<Run> {
    let Ok(entries) = std::fs::read_dir(tasks_dir) else { return Vec::new() };
    entries.filter_map(|entry| run_of(entry.ok()?.file_name().to_str()?)).collect()
}

fn run_of(name: &str) -> Option<Run> {
    let (task, run) = name.split_at_checked(22)?;
    Some((task.parse().ok()?, run.strip_prefix('-')?.parse().ok()?))
}

/// Hands runs back as `exception/worker-shutdown`, those that are still claimed.
pub(crate) async fn hand_back(client: Client, who: ClaimTaskRequest, runs: Vec<Run>) {
    for run in runs {
        match hand_back_one(&client, &who, run).await {
            Ok(()) => tracing::info!(task = %run.0, run = run.1, "handed back what an earlier worker had"),
            // Resolved meanwhile, or forgotten.
            Err(Error::Conflict { .. }) => {}
            Err(error) if error.is_not_found() => {}
            Err(error) => tracing::warn!(task = %run.0, run = run.1, %error, "could not hand a run back"),
        }
    }
}

async fn hand_back_one(client: &Client, who: &ClaimTaskRequest, (task, run): Run) -> Result<(), Error> {
    let claimed = client.queue().claim_task(task, run, who).await?;
    let why = "the worker was killed".to_owned();
    Session::new(client, &claimed).resolve(&Resolution::Exception(ExceptionReason::WorkerShutdown, why)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_tell_their_runs_and_others_tell_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let run: Run = ("AWMGHageTNSYfeRM0ntW-g".parse().unwrap(), 12);
        for name in
            [&*directory_name(run), "AWMGHageTNSYfeRM0ntW-g", "AWMGHageTNSYfeRM0ntW-g-", "x-1", "ääääääääääääääää-1"]
        {
            std::fs::create_dir(directory.path().join(name)).unwrap();
        }
        assert_eq!(runs_in(directory.path()), [run]);
        assert!(runs_in(&directory.path().join("none")).is_empty());
    }
}
