//! Processes that left their process group, found by their environment.
//!
//! A task that starts a daemon with `setsid` would otherwise leave it behind. One that also clears its environment gets
//! away: tasks run with the worker's own rights. Where a process has its current directory says nothing: somebody's
//! shell may be there to have a look.

use std::path::Path;
#[cfg(target_os = "linux")]
use std::time::Duration;

/// The variable that names a task's directory in every process of it.
pub(crate) const DIRECTORY_VARIABLE: &str = "TASK_WORKDIR";

/// How often strays are looked for: each round may uncover some that were being born.
#[cfg(target_os = "linux")]
const ROUNDS: u32 = 50;

/// Kills every process of a task in or below `directory`, and waits until they are gone. Blocking.
#[cfg(target_os = "linux")]
pub(crate) fn kill_below(directory: &Path) {
    for _ in 0..ROUNDS {
        let found = find(directory);
        if found.is_empty() {
            return;
        }
        for pid in found {
            // It may have ended meanwhile.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    tracing::warn!(directory = %directory.display(), "some processes of a task can't be killed");
}

/// Where there is no `/proc`, process groups are all there is.
#[cfg(not(target_os = "linux"))]
pub(crate) fn kill_below(_directory: &Path) {}

#[cfg(target_os = "linux")]
fn find(directory: &Path) -> Vec<rustix::process::Pid> {
    let own = std::process::id();
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let pids = pids.filter(|pid| *pid != own && belongs(*pid, directory));
    pids.filter_map(|pid| rustix::process::Pid::from_raw(i32::try_from(pid).ok()?)).collect()
}

/// Whether a process's environment says that it is of a task in or below `directory`. A zombie's says nothing.
#[cfg(target_os = "linux")]
fn belongs(pid: u32, directory: &Path) -> bool {
    use std::os::unix::ffi::OsStrExt as _;
    let Ok(environment) = std::fs::read(format!("/proc/{pid}/environ")) else { return false };
    let prefix = format!("{DIRECTORY_VARIABLE}=");
    environment.split(|byte| *byte == 0).any(|entry| {
        let value = entry.strip_prefix(prefix.as_bytes()).map(std::ffi::OsStr::from_bytes);
        value.is_some_and(|value| Path::new(value).starts_with(directory))
    })
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn daemons_are_found_by_their_environment_and_nobody_else_is() {
        let root = tempfile::tempdir().unwrap();
        let mine = root.path().join("mine");
        std::fs::create_dir_all(&mine).unwrap();
        let start = |directory: &Path, variable: &Path| {
            let mut command = Command::new("sleep");
            command.arg("1000").current_dir(directory).env(DIRECTORY_VARIABLE, variable).stdin(Stdio::null());
            command.spawn().unwrap()
        };
        let mut daemon = start(Path::new("/"), &mine.join("below"));
        let mut bystanders = [start(&mine, Path::new("")), start(Path::new("/"), &root.path().join("mine-not"))];

        kill_below(&mine);
        assert!(!daemon.wait().unwrap().success());
        for process in &mut bystanders {
            assert!(process.try_wait().unwrap().is_none(), "somebody else's process was killed");
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }
}
