//! What a worker that was killed had: its directories name the runs.
//!
//! Their claims would hold for up to twenty minutes more. Claiming a run again is open to the worker that has it, so the
//! next worker of the same name can take them over at once.

use std::path::Path;

use taskgraft_core::ids::TaskId;

/// A run of a task.
pub type RunOf = (TaskId, u16);

/// The name of a run's directory.
#[must_use]
pub fn directory_name((task, run): RunOf) -> String {
    format!("{task}-{run}")
}

/// The runs that have directories in `tasks_dir`, if that is there, in order.
#[must_use]
pub fn runs_in(tasks_dir: &Path) -> Vec<RunOf> {
    let Ok(entries) = std::fs::read_dir(tasks_dir) else { return Vec::new() };
    let mut runs: Vec<_> = entries.filter_map(|entry| run_of(entry.ok()?.file_name().to_str()?)).collect();
    runs.sort_unstable();
    runs
}

fn run_of(name: &str) -> Option<RunOf> {
    let (task, run) = name.split_at_checked(22)?;
    Some((task.parse().ok()?, run.strip_prefix('-')?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_tell_their_runs_and_others_tell_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let run: RunOf = ("AWMGHageTNSYfeRM0ntW-g".parse().unwrap(), 12);
        for name in
            [&*directory_name(run), "AWMGHageTNSYfeRM0ntW-g", "AWMGHageTNSYfeRM0ntW-g-", "x-1", "ääääääääääääääää-1"]
        {
            std::fs::create_dir(directory.path().join(name)).unwrap();
        }
        assert_eq!(runs_in(directory.path()), [run]);
        assert!(runs_in(&directory.path().join("none")).is_empty());
    }
}
