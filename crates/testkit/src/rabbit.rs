//! A real RabbitMQ for tests: a node of its own on free ports of this machine, which ends with the test's process.
//!
//! Each process that is started belongs to a small shell that waits for the end of its standard input and then kills
//! it: however the test's process ends, that pipe is closed.

use std::collections::hash_map::RandomState;
use std::fs;
use std::hash::{BuildHasher as _, Hasher as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use tempfile::TempDir;

use crate::LATE;

/// Where Debian and RabbitMQ's own packages have it. The one on the path is a wrapper that wants to be root.
const SERVER: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";

/// How often is looked whether it has.
const GLANCE: Duration = Duration::from_millis(50);

/// The user that may do what a user of Mozilla's Pulse may: change and read only what bears its name, read exchanges.
/// Its password is its name.
pub const PULSE_USER: &str = "ann";

/// A broker that a test has for itself.
pub struct Rabbit {
    port: u16,
    node: Mutex<Option<Guard>>,
    settings: Vec<(&'static str, String)>,
    directory: TempDir,
    _names: Guard,
}

/// The URL of a broker for tests that leave it alone: `TASKGRAFT_AMQP_URL`, else one for all tests of this process.
///
/// # Panics
///
/// There is none and it can't be started.
#[must_use]
pub fn shared() -> String {
    static SHARED: OnceLock<Rabbit> = OnceLock::new();
    std::env::var("TASKGRAFT_AMQP_URL").unwrap_or_else(|_| SHARED.get_or_init(Rabbit::start).url())
}

impl Rabbit {
    /// Starts a node and waits until it takes connections.
    ///
    /// # Panics
    ///
    /// RabbitMQ is not there or doesn't start.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with("")
    }

    /// The same, with more lines in its configuration file.
    ///
    /// # Panics
    ///
    /// RabbitMQ is not there or doesn't start.
    #[must_use]
    pub fn start_with(configuration: &str) -> Self {
        assert!(Path::new(SERVER).is_file(), "RabbitMQ is not there ({SERVER}): run `make venv`");
        let directory = TempDir::with_prefix("rabbit-").unwrap_or_else(|error| panic!("a directory: {error}"));
        write_files(directory.path(), configuration);
        let (port, distribution, names) = (free_port(), free_port(), free_port());
        let settings = settings(directory.path(), port, distribution, names);
        let epmd = ["epmd", "-address", "127.0.0.1", "-port", &names.to_string()].join(" ");
        let leave = format!("; while ! rm -rf '{}'; do :; done", directory.path().display());
        let names = Guard::start(&epmd, &leave, &settings);
        let rabbit = Self { port, node: Mutex::new(None), settings, directory, _names: names };
        rabbit.restart();
        rabbit
    }

    /// Where administrators connect.
    #[must_use]
    pub fn url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}/%2f", self.port)
    }

    /// Where [`PULSE_USER`] connects.
    #[must_use]
    pub fn pulse_url(&self) -> String {
        format!("amqp://{PULSE_USER}:{PULSE_USER}@127.0.0.1:{}/%2f", self.port)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// Its directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Ends the node with SIGKILL; what was durable stays.
    pub fn kill(&self) {
        drop(self.node().take());
    }

    /// Starts the node, after killing it if it runs, and waits until it takes connections.
    ///
    /// # Panics
    ///
    /// It doesn't start.
    pub fn restart(&self) {
        let mut node = self.node();
        drop(node.take());
        let guard = node.insert(Guard::start(SERVER, "", &self.settings));
        until_listening(self.address(), || assert!(guard.runs(), "RabbitMQ doesn't start:\n{}", self.log()));
    }

    fn node(&self) -> MutexGuard<'_, Option<Guard>> {
        self.node.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("out")).unwrap_or_default()
    }
}

impl Drop for Rabbit {
    fn drop(&mut self) {
        // Before its directory goes.
        self.kill();
    }
}

fn write_files(directory: &Path, configuration: &str) {
    let user = |name: &str, tags: &str| json!({"name": name, "password": name, "tags": tags});
    let own = format!("^(queue/{PULSE_USER}/.*|exchange/{PULSE_USER}/.*)");
    let definitions = json!({
        "users": [user("guest", "administrator"), user(PULSE_USER, "")],
        "vhosts": [{"name": "/"}],
        "permissions": [
            {"user": "guest", "vhost": "/", "configure": ".*", "write": ".*", "read": ".*"},
            {
                "user": PULSE_USER, "vhost": "/", "configure": own, "write": own,
                "read": format!("^(queue/{PULSE_USER}/.*|exchange/.*)"),
            },
        ],
    });
    let configuration = format!("load_definitions = {}/definitions.json\n{configuration}\n", directory.display());
    for (name, text) in
        [("rabbitmq.conf", configuration), ("definitions.json", definitions.to_string()), ("plugins", "[].".to_owned())]
    {
        fs::write(directory.join(name), text).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

fn settings(directory: &Path, port: u16, distribution: u16, names: u16) -> Vec<(&'static str, String)> {
    let below = |name: &str| directory.join(name).display().to_string();
    vec![
        // For the secret that Erlang's nodes share, and for crash dumps.
        ("HOME", below("")),
        ("ERL_CRASH_DUMP", "/dev/null".to_owned()),
        ("ERL_EPMD_ADDRESS", "127.0.0.1".to_owned()),
        ("ERL_EPMD_PORT", names.to_string()),
        ("RABBITMQ_NODENAME", format!("taskgraft-{port}@localhost")),
        ("RABBITMQ_MNESIA_BASE", below("mnesia")),
        ("RABBITMQ_LOG_BASE", below("log")),
        ("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1".to_owned()),
        ("RABBITMQ_NODE_PORT", port.to_string()),
        ("RABBITMQ_DIST_PORT", distribution.to_string()),
        ("RABBITMQ_PID_FILE", below("pid")),
        ("RABBITMQ_CONFIG_FILE", below("rabbitmq.conf")),
        ("RABBITMQ_CONF_ENV_FILE", below("none")),
        ("RABBITMQ_ENABLED_PLUGINS_FILE", below("plugins")),
        // It then replaces its start script instead of standing beside it: one process to kill.
        ("RUNNING_UNDER_SYSTEMD", "1".to_owned()),
        ("OUT", below("out")),
    ]
}

/// A process that is killed when this is dropped, or when this process ends.
struct Guard {
    shell: Child,
    leash: Option<ChildStdin>,
}

impl Guard {
    /// Runs a command line; `afterwards` is run by the shell when it is dead.
    fn start(command: &str, afterwards: &str, settings: &[(&'static str, String)]) -> Self {
        // The shell waits in the background, so that it notices both ends: the command's and the pipe's.
        let script = format!(
            "{command} </dev/null >>\"$OUT\" 2>&1 & child=$!\n\
             {{ cat >/dev/null; kill -9 $child 2>/dev/null; }} <&3 &\n\
             exec 3<&-; wait $child{afterwards}"
        );
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("exec 3<&0 </dev/null\n{script}")]).envs(settings.iter().cloned());
        shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut shell = shell.spawn().unwrap_or_else(|error| panic!("sh: {error}"));
        let leash = shell.stdin.take();
        Self { shell, leash }
    }

    fn runs(&mut self) -> bool {
        self.shell.try_wait().is_ok_and(|status| status.is_none())
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.leash.take());
        // It ends when what it runs has ended.
        let _ = self.shell.wait();
    }
}

/// Waits until somebody listens there; `check` is called meanwhile.
///
/// # Panics
///
/// Nobody does for [`LATE`].
pub fn until_listening(address: SocketAddr, mut check: impl FnMut()) {
    let began = Instant::now();
    while TcpStream::connect(address).is_err() {
        assert!(began.elapsed() < LATE, "nobody listens at {address}");
        check();
        thread::sleep(GLANCE);
    }
}

/// A port that nobody listens on, below those that the kernel gives to clients: there it could be taken again before
/// the broker, which needs to be told a number, listens.
///
/// # Panics
///
/// There is none.
#[must_use]
pub fn free_port() -> u16 {
    let ports = 15_000..32_000_u64;
    (0..1000)
        .map(|_| ports.start + RandomState::new().build_hasher().finish() % (ports.end - ports.start))
        .filter_map(|port| u16::try_from(port).ok())
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .unwrap_or_else(|| panic!("no port is free"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_can_be_killed_and_started_again_and_leaves_nothing() {
        let rabbit = Rabbit::start();
        assert!(TcpStream::connect(rabbit.address()).is_ok());
        rabbit.kill();
        assert!(TcpStream::connect(rabbit.address()).is_err());
        rabbit.restart();
        assert!(TcpStream::connect(rabbit.address()).is_ok());
        let (address, directory) = (rabbit.address(), rabbit.directory().to_owned());
        drop(rabbit);
        assert!(TcpStream::connect(address).is_err());
        assert!(!directory.exists());
    }
}
