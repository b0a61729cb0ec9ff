//! `taskgraft up` for a test.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{LazyLock, OnceLock};

use jiff::{SignedDuration, Timestamp};
use taskgraft_client::{Client, Config, Credentials};
use taskgraft_core::api::auth::CreateClientRequest;
use taskgraft_core::time::Millis;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::run::{Ran, command};

/// A running `taskgraft up`, killed when the test ends.
pub(crate) struct Up {
    child: Child,
    dir: TempDir,
    /// What its environment file exports.
    pub(crate) variables: Vec<(String, String)>,
    // Making a client reads the system's certificates, which takes longer than most calls.
    client: OnceLock<Client>,
    reader: OnceLock<Client>,
}

impl Up {
    /// Without a worker.
    pub(crate) fn start() -> Self {
        Self::with(&["--no-worker"])
    }

    /// With these arguments, in a directory of its own.
    pub(crate) fn with(args: &[&str]) -> Self {
        Self::in_dir(tempfile::tempdir().unwrap(), args)
    }

    /// With these arguments; its data are in `DIR/tc`.
    pub(crate) fn in_dir(dir: TempDir, args: &[&str]) -> Self {
        Self::with_secrets(dir, args, &[])
    }

    /// The same with what the environment holds besides.
    pub(crate) fn with_secrets(dir: TempDir, args: &[&str], secrets: &[(&str, &str)]) -> Self {
        let mut up = command(["up", "--data-dir"]);
        up.envs(secrets.iter().copied());
        up.arg(dir.path().join("tc")).arg("--env-file").arg(dir.path().join("env")).args(args);
        let mut child = up.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(|line| line.unwrap());
        let exports = lines.filter_map(|line| Some(line.strip_prefix("export ")?.to_owned()));
        let variable = |line: String| {
            let (name, value) = line.split_once('=').unwrap();
            (name.to_owned(), value.trim_matches('\'').to_owned())
        };
        let variables = exports.take(4).map(variable).collect();
        Self { child, dir, variables, client: OnceLock::new(), reader: OnceLock::new() }
    }

    /// A directory for the test's files.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for it to end by itself.
    pub(crate) fn wait(mut self) -> (Option<i32>, TempDir) {
        let code = self.child.wait().unwrap().code();
        let dir = std::mem::replace(&mut self.dir, tempfile::tempdir().unwrap());
        (code, dir)
    }

    fn variable(&self, name: &str) -> &str {
        self.variables.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str()).unwrap()
    }

    /// Where clients find it.
    pub(crate) fn root_url(&self) -> &str {
        self.variable("TASKCLUSTER_ROOT_URL")
    }

    /// Where it listens, which its root URL need not say.
    pub(crate) fn address(&self) -> SocketAddr {
        let lock = std::fs::read(self.dir().join("tc/lock")).unwrap();
        serde_json::from_slice::<serde_json::Value>(&lock).unwrap()["address"].as_str().unwrap().parse().unwrap()
    }

    /// The binary with its credentials, and a home of the test's own.
    pub(crate) fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = command(args);
        let variables = self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        command.envs(variables).env("HOME", self.dir().join("home")).current_dir(self.dir());
        command
    }

    /// Runs it to its end.
    pub(crate) fn taskgraft<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Ran {
        self.command(args).stdin(Stdio::null()).output().unwrap().into()
    }

    /// Runs it to its end as somebody who may do no more than this.
    pub(crate) fn as_ann(&self, scopes: &[&str], args: &[&str]) -> Ran {
        let request = CreateClientRequest {
            description: String::new(),
            expires: Millis(Timestamp::now() + SignedDuration::from_hours(1)),
            scopes: Some(scopes.iter().map(|scope| (*scope).to_owned()).collect()),
            delete_on_expiration: false,
        };
        let ann = wait_for(self.client().auth().create_client("project/lander/ann", &request)).unwrap();
        let mut command = self.command(args);
        command.env("TASKCLUSTER_CLIENT_ID", "project/lander/ann").env("TASKCLUSTER_ACCESS_TOKEN", ann.access_token);
        command.stdin(Stdio::null()).output().unwrap().into()
    }

    /// A client that may do everything.
    pub(crate) fn client(&self) -> Client {
        let made = self.client.get_or_init(|| {
            let (id, token) = (self.variable("TASKCLUSTER_CLIENT_ID"), self.variable("TASKCLUSTER_ACCESS_TOKEN"));
            Client::new(Config::new(self.root_url()).with_credentials(Credentials::new(id, token))).unwrap()
        });
        made.clone()
    }

    /// A client that reads what everybody may, past what stands before the server.
    pub(crate) fn reader(&self) -> Client {
        let made = self.reader.get_or_init(|| Client::new(Config::new(format!("http://{}", self.address()))).unwrap());
        made.clone()
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for something that a client does.
pub(crate) fn wait_for<T>(future: impl Future<Output = T>) -> T {
    // A client's connections end with the runtime that they were made on.
    static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());
    RUNTIME.block_on(future)
}
