//! Running the binary.

use std::ffi::OsStr;
use std::process::{Command, Output};

/// What a run came to.
pub(crate) struct Ran {
    /// The exit code; none if a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("output in UTF-8");
        Self { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

/// The binary with an environment that holds nothing of whoever runs the tests.
pub(crate) fn command<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_taskgraft"));
    command.args(args).env_clear().env("LANG", "C.UTF-8").env("HOME", "/nonexistent");
    command
}

/// Runs it to its end.
pub(crate) fn taskgraft<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Ran {
    command(args).output().expect("the binary starts").into()
}
