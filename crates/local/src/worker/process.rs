//! One command as a process group of its own, whose end is the end of all of it.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use taskgraft_client::run::TaskLog;
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};

/// How long output is still read once the whole group was killed. It ends at once, unless a process left the group: then
/// what was written before is there already.
const DRAIN: Duration = Duration::from_millis(250);

/// What to run.
#[derive(Debug)]
pub(crate) struct Spawn<'a> {
    /// The program and its arguments.
    pub(crate) command: &'a [String],
    /// Its environment.
    pub(crate) env: Environment<'a>,
    /// Where it runs.
    pub(crate) directory: &'a Path,
}

/// Where a command's environment comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Environment<'a> {
    /// These variables and nothing else: what tasks get.
    Only(&'a BTreeMap<String, String>),
    /// The worker's own: for what works for the worker.
    Inherited,
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended<T> {
    /// By itself, with this exit code.
    Exited(i32),
    /// By a signal that wasn't ours.
    Signalled(i32),
    /// By us, because of this.
    Stopped(T),
}

/// A command that could not be started or watched.
#[derive(Debug, thiserror::Error)]
#[error("could not run {program:?}: {source}")]
pub(crate) struct SpawnError {
    program: String,
    source: io::Error,
}

/// Runs a command with its output in the log, until it ends or `stop` resolves. Whatever is left of its process group
/// is killed before this returns, and also if the future is dropped.
pub(crate) async fn run<T>(
    spawn: &Spawn<'_>,
    log: &TaskLog,
    stop: impl Future<Output = T>,
) -> Result<Ended<T>, SpawnError> {
    let program = spawn.command.first().cloned().unwrap_or_default();
    let failed = |source| SpawnError { program: program.clone(), source };
    let (mut group, output) = start(spawn).map_err(failed)?;
    let copy = copy_output(output, log);
    tokio::pin!(copy);
    let (ended, copied) = {
        let end = async {
            tokio::select! {
                status = group.child.wait() => status.map(exit),
                reason = stop => Ok(Ended::Stopped(reason)),
            }
        };
        tokio::pin!(end);
        tokio::select! {
            ended = &mut end => (ended, false),
            // All writers are gone; the process may yet live.
            () = &mut copy => (end.await, true),
        }
    };
    group.kill();
    if !copied && tokio::time::timeout(DRAIN, copy).await.is_err() {
        log.say("A process left its process group and kept the output open; it is no longer read");
    }
    ended.map_err(failed)
}

fn exit<T>(status: ExitStatus) -> Ended<T> {
    match (status.code(), status.signal()) {
        (Some(code), _) => Ended::Exited(code),
        (None, signal) => Ended::Signalled(signal.unwrap_or_default()),
    }
}

/// Kills its process group when dropped.
struct Group {
    child: Child,
    id: Option<Pid>,
}

impl Group {
    /// Kills what is left of the group. While a member lives, the kernel gives its number to nobody else.
    fn kill(&mut self) {
        if let Some(id) = self.id.take() {
            // It is the rule that nobody is left.
            let _ = kill_process_group(id, Signal::KILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Shared while a child stands between fork and exec: there it holds a copy of every file that was being written when it
/// was forked, and a program among those can't be executed yet ("text file busy"). Forking concerns the whole process,
/// and so does this.
static BEING_BORN: RwLock<()> = RwLock::new(());

/// Spawns once no other child stands between fork and exec. What was unpacked for this one is closed by now, so that
/// nobody holds it open any more.
fn spawn_when_settled(command: &mut Command) -> io::Result<Child> {
    drop(BEING_BORN.write().unwrap_or_else(PoisonError::into_inner));
    let _shared = BEING_BORN.read().unwrap_or_else(PoisonError::into_inner);
    // Returns after the exec.
    command.spawn()
}

fn start(spawn: &Spawn<'_>) -> io::Result<(Group, pipe::Receiver)> {
    let (program, arguments) = spawn.command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    // One pipe for both keeps their order.
    let (reader, writer) = io::pipe()?;
    let mut command = Command::new(program);
    command.args(arguments).current_dir(spawn.directory);
    if let Environment::Only(env) = spawn.env {
        command.env_clear().envs(env);
    }
    command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
    command.process_group(0).kill_on_drop(true);
    let child = spawn_when_settled(&mut command)?;
    let id = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    Ok((Group { child, id }, pipe::Receiver::from_owned_fd(OwnedFd::from(reader))?))
}

async fn copy_output(mut output: pipe::Receiver, log: &TaskLog) {
    let mut buffer = vec![0; 32 * 1024];
    loop {
        match output.read(&mut buffer).await {
            Ok(0) => return,
            Ok(count) => log.output(&buffer[..count]),
            Err(error) => {
                log.complain(&format!("The command's output can't be read: {error}"));
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Place {
        directory: tempfile::TempDir,
        log: TaskLog,
        env: BTreeMap<String, String>,
    }

    fn place() -> Place {
        let directory = tempfile::tempdir().unwrap();
        let log = TaskLog::create(&directory.path().join("log"), 10_000).unwrap();
        let env = BTreeMap::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned())]);
        Place { directory, log, env }
    }

    impl Place {
        async fn shell<T>(&self, script: &str, stop: impl Future<Output = T>) -> Ended<T> {
            let command = ["sh".to_owned(), "-c".to_owned(), script.to_owned()];
            let spawn =
                Spawn { command: &command, env: Environment::Only(&self.env), directory: self.directory.path() };
            run(&spawn, &self.log, stop).await.unwrap()
        }

        fn text(&self) -> String {
            std::fs::read_to_string(self.log.path()).unwrap()
        }
    }

    /// Waits until a killed process is gone, or a zombie.
    async fn assert_gone(pid: &str) {
        let gone = async {
            let stat = format!("/proc/{}/stat", pid.trim());
            while std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z ")) {
                tokio::task::yield_now().await;
            }
        };
        assert!(tokio::time::timeout(Duration::from_secs(10), gone).await.is_ok(), "process {pid} lives");
    }

    #[tokio::test]
    async fn output_exit_code_and_a_clean_environment() {
        let place = place();
        let ended = place.shell("echo out; echo err >&2; env; exit 3", std::future::pending::<()>()).await;
        assert_eq!(ended, Ended::Exited(3));
        let text = place.text();
        assert!(text.starts_with("out\nerr\n"), "{text}");
        assert!(!text.contains("CARGO"), "the worker's own environment leaks: {text}");
    }

    #[tokio::test]
    async fn death_by_a_signal_is_told_from_an_exit() {
        assert_eq!(place().shell("kill -9 $$", std::future::pending::<()>()).await, Ended::Signalled(9));
    }

    #[tokio::test]
    async fn what_a_command_leaves_behind_dies_with_it() {
        let place = place();
        let ended = place.shell("sleep 1000 & echo $!", std::future::pending::<()>()).await;
        assert_eq!(ended, Ended::Exited(0));
        let text = place.text();
        assert_eq!(text.lines().count(), 1, "the output ended with the group: {text}");
        assert_gone(&text).await;
    }

    #[tokio::test]
    async fn stopping_kills_the_whole_group() {
        let place = place();
        let mut progress = place.log.progress();
        let path = place.log.path().to_owned();
        // Two levels deep, and deaf to polite signals.
        let script = "trap '' TERM INT HUP; sh -c 'sleep 1000 & echo $!; wait'";
        let stop = async move {
            progress.wait_for(|now| now.bytes > 0).await.unwrap();
            "cancelled"
        };
        assert_eq!(place.shell(script, stop).await, Ended::Stopped("cancelled"));
        assert_gone(&std::fs::read_to_string(path).unwrap()).await;
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_named() {
        let place = place();
        let command = ["no-such-program".to_owned()];
        let spawn = Spawn { command: &command, env: Environment::Only(&place.env), directory: place.directory.path() };
        let error = run(&spawn, &place.log, std::future::pending::<()>()).await.unwrap_err();
        assert!(error.to_string().starts_with("could not run \"no-such-program\": "), "{error}");
    }
}
