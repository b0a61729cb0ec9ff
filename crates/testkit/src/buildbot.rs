//! A real Buildbot for tests: a master and its worker on free ports of this machine, which end with the test's process.

use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::python::python;
use crate::recorded::workspace;

/// The only user that may force anything.
pub const USER: &str = "forcer";
/// Their password.
pub const PASSWORD: &str = "s3cret";
/// The force scheduler.
pub const SCHEDULER: &str = "force";

/// A master and its worker that a test has for itself.
pub struct Buildbot {
    running: Mutex<Option<Running>>,
    wanted: Value,
    directory: TempDir,
}

struct Running {
    process: Child,
    address: SocketAddr,
}

impl Buildbot {
    /// Starts a master whose builders run these commands; its force scheduler serves all but those in `unserved`.
    ///
    /// # Panics
    ///
    /// It doesn't start.
    #[must_use]
    pub fn start(builders: &[(&str, &[&str])], unserved: &[&str]) -> Self {
        let served: Vec<&str> =
            builders.iter().map(|(name, _)| *name).filter(|name| !unserved.contains(name)).collect();
        let commands: serde_json::Map<String, Value> =
            builders.iter().map(|(name, command)| ((*name).to_owned(), json!(command))).collect();
        let wanted = json!({"builders": commands, "served": served, "user": USER, "password": PASSWORD});
        let directory = TempDir::with_prefix("buildbot-").unwrap_or_else(|error| panic!("a directory: {error}"));
        let buildbot = Self { running: Mutex::default(), wanted, directory };
        buildbot.restart();
        buildbot
    }

    /// Where it listens now.
    ///
    /// # Panics
    ///
    /// It was killed.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.running().as_ref().unwrap_or_else(|| panic!("Buildbot was killed")).address
    }

    /// The URL of its web server now.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Ends master and worker with SIGKILL; what they stored stays.
    pub fn kill(&self) {
        drop(self.running().take());
    }

    /// Starts them, on another port, after killing them if they run.
    ///
    /// # Panics
    ///
    /// They don't start.
    pub fn restart(&self) {
        let mut running = self.running();
        drop(running.take());
        let log = std::fs::File::create(self.directory.path().join("log"));
        let log = log.unwrap_or_else(|error| panic!("Buildbot's log: {error}"));
        let mut python = python();
        python.arg(workspace().join("tests/python/buildbot_here.py")).arg(self.directory.path().join("master"));
        python.arg(self.wanted.to_string()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
        let mut process = python.spawn().unwrap_or_else(|error| panic!("python: {error}"));
        let mut line = String::new();
        if let Some(output) = process.stdout.take() {
            BufReader::new(output).read_line(&mut line).unwrap_or_else(|error| panic!("Buildbot: {error}"));
        }
        let port = serde_json::from_str::<Value>(&line).ok().and_then(|up| up["port"].as_u64()?.try_into().ok());
        let Some(port) = port else {
            let log = std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default();
            panic!("Buildbot doesn't start (`make venv` installs it):\n{log}");
        };
        *running = Some(Running { process, address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)) });
    }

    fn running(&self) -> MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
