//! `taskgraft serve` for a test that goes through its HTTP door.

use std::io::{BufRead as _, BufReader, Lines};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;
use taskgraft_testkit::LATE;
use taskgraft_testkit::python::python;
use taskgraft_testkit::recorded::workspace;

use crate::server::Up;

/// A running service, killed when the test ends.
pub(crate) struct Serve {
    child: Child,
    url: String,
    /// What it has written on standard error.
    log: Arc<Mutex<Vec<String>>>,
    reading: Option<JoinHandle<()>>,
    /// Its Taskcluster, and who asks.
    variables: Vec<(String, String)>,
}

impl Serve {
    /// With this configuration, of which all that a test need not say is added; its files are in `up`'s directory.
    pub(crate) fn start(up: &Up, config: &str, secrets: &[(&str, &str)]) -> Self {
        let file = up.dir().join("service.toml");
        let whole = format!(
            "root_url = \"{}\"\njournal = \"journal.sqlite\"\n[http]\nlisten = \"127.0.0.1:0\"\n[log]\nformat = \"json\"\n\
             {config}",
            up.root_url()
        );
        std::fs::write(&file, whole).unwrap();
        let mut command: Command = up.command(["serve", "--config"]);
        command.arg(&file).envs(secrets.iter().copied()).stdin(Stdio::null());
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let log = Arc::new(Mutex::new(Vec::new()));
        let url = begun(&mut lines, &log);
        let kept = Arc::clone(&log);
        let reading =
            std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| kept.lock().unwrap().push(line)));
        Self { child, url, log, reading: Some(reading), variables: up.variables.clone() }
    }

    /// Asks for an action and waits for its end: the status and the request.
    pub(crate) fn ask(&self, key: &str, body: &Value) -> (u64, Value) {
        self.call("POST", "requests?wait=60", Some(body), key)
    }

    /// One signed call.
    pub(crate) fn call(&self, method: &str, path: &str, body: Option<&Value>, key: &str) -> (u64, Value) {
        let output = self.calling(method, path, body, key).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        (answer["status"].as_u64().unwrap(), answer["body"].clone())
    }

    /// The process that makes it.
    pub(crate) fn calling(&self, method: &str, path: &str, body: Option<&Value>, key: &str) -> Command {
        let mut command = python();
        let url = format!("{}/api/taskgraft/v1/{path}", self.url);
        command.arg(workspace().join("tests/python/ask.py")).args([method, &url]);
        command.arg(body.map(Value::to_string).unwrap_or_default()).arg(key);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Acts as somebody else from now on.
    pub(crate) fn as_client(&mut self, id: &str, token: &str) {
        for (name, value) in [("TASKCLUSTER_CLIENT_ID", id), ("TASKCLUSTER_ACCESS_TOKEN", token)] {
            self.variables.iter_mut().filter(|(found, _)| found == name).for_each(|(_, own)| *own = value.to_owned());
        }
    }

    /// Kills it, and gives what it logged.
    pub(crate) fn kill(mut self) -> Vec<String> {
        self.end();
        std::mem::take(&mut *self.log.lock().unwrap())
    }

    /// Waits until it ends by itself: its exit code, and what it logged.
    pub(crate) fn ended(mut self) -> (Option<i32>, Vec<String>) {
        let deadline = Instant::now() + LATE;
        let code = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status.code();
            }
            assert!(Instant::now() < deadline, "it does not end: {:?}", self.log.lock().unwrap());
            std::thread::sleep(Duration::from_millis(20));
        };
        (code, self.kill())
    }

    fn end(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(reading) = self.reading.take() {
            reading.join().unwrap();
        }
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        self.end();
    }
}

/// Waits until it serves: where.
fn begun(lines: &mut Lines<BufReader<ChildStderr>>, log: &Mutex<Vec<String>>) -> String {
    for line in lines.map_while(Result::ok) {
        let url = line.split_once(" on http://").and_then(|(_, rest)| rest.split_once(';'));
        let url = url.map(|(address, _)| format!("http://{address}"));
        log.lock().unwrap().push(line);
        if let Some(url) = url {
            return url;
        }
    }
    panic!("it does not serve: {:?}", log.lock().unwrap());
}
