//! `taskgraft up` and `taskgraft backup`.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};
use taskgraft_client::SystemClock;
use taskgraft_service::journal::{Journal, Settings};
use taskgraft_service::{Asked, Asker, Authority, Door, NewRequest, PushName};
use taskgraft_testkit::LATE;

use crate::pushes::{DECISION, action_task, members, push};
use crate::run::{command, taskgraft};
use crate::server::{Up, wait_for};

#[test]
fn it_is_ready_when_its_file_is_there_and_ends_cleanly() {
    let up = Up::start();
    let file = up.dir().join("env");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let script =
        format!(". '{}' && printf '%s %s' \"$TASKCLUSTER_ROOT_URL\" \"$TASKCLUSTER_CLIENT_ID\"", file.display());
    let read = Command::new("sh").args(["-c", &script]).output().unwrap();
    let text = String::from_utf8(read.stdout).unwrap();
    assert_eq!(text, format!("{} {}", up.variables[0].1, up.variables[1].1));
    assert!(Command::new("kill").args(["-TERM", &up.pid().to_string()]).status().unwrap().success());
    assert_eq!(up.wait().0, Some(0));
}

#[test]
fn the_second_on_a_directory_says_who_holds_it() {
    let up = Up::start();
    let dir = up.dir().join("tc");
    let file = up.dir().join("env");
    let before = std::fs::read(&file).unwrap();
    for more in [&[][..], &["--env-file".as_ref(), file.as_os_str()]] {
        let ran = crate::run::Ran::from(command(["up", "--data-dir"]).arg(&dir).args(more).output().unwrap());
        assert_eq!(ran.code, Some(1));
        assert!(ran.stderr.contains(&format!("in use by process {}", up.pid())), "{}", ran.stderr);
    }
    assert_eq!(std::fs::read(&file).unwrap(), before, "it is still right");
}

#[test]
fn who_follows_a_group_is_told_its_tasks_states_and_that_it_has_resolved() {
    let up = Up::start();
    let lock = std::fs::read(up.dir().join("tc/service/journal.sqlite.lock")).unwrap();
    let lock: Value = serde_json::from_slice(&lock).unwrap();
    let mut stream = TcpStream::connect(lock["address"].as_str().unwrap()).unwrap();
    stream.set_read_timeout(Some(LATE)).unwrap();
    write!(stream, "GET /api/taskgraft/v1/events?group={DECISION} HTTP/1.0\r\nhost: x\r\n\r\n").unwrap();
    let deadline = Instant::now() + LATE;
    // Heartbeats come all the time.
    let mut lines = BufReader::new(stream).lines().map(|line| line.unwrap());
    let mut lines = std::iter::from_fn(|| lines.next().filter(|_| Instant::now() < deadline));
    assert!(lines.any(|line| line.starts_with("retry: ")), "it follows from now on");
    let task = "AWMGHageQ0eZMgDRbQdoUw".parse().unwrap();
    let own = action_task(&up, task, DECISION);
    wait_for(own.queue().report_completed(task, 0)).unwrap();
    let mut states = Vec::new();
    while let Some(line) = lines.next() {
        let Some(kind) = line.strip_prefix("event: ") else { continue };
        let data: Value = serde_json::from_str(lines.next().unwrap().strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(data["taskGroupId"], DECISION, "{data}");
        states.push((kind.to_owned(), data["taskId"].clone(), data["state"].as_str().unwrap().to_owned()));
        if kind == "group" {
            break;
        }
    }
    let of_task = |state: &str| ("task".to_owned(), json!(task), state.to_owned());
    // The queue says of a task that it is defined when it is pending already.
    let mut expected = ["pending", "pending", "running", "completed"].map(of_task).to_vec();
    expected.push(("group".to_owned(), Value::Null, "resolved".to_owned()));
    assert_eq!(states, expected);
}

/// Writes a request that nobody may make into a journal; its id.
fn receive(journal: &Path) -> String {
    let new = NewRequest {
        key: "click-1".to_owned(),
        door: Door::Http,
        asker: Asker { name: "ann".to_owned(), authority: Authority::Nobody("a test".to_owned()) },
        asked: Asked {
            project: None,
            push: PushName::Decision(DECISION.parse().unwrap()),
            resultset: None,
            action: "cancel-all".to_owned(),
            subject: None,
            input: serde_json::Value::Null,
        },
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let received = runtime.block_on(async {
        let settings = Settings { look: None, ..Settings::default() };
        let journal = Journal::open(journal, settings, Arc::new(SystemClock)).await.unwrap();
        journal.receive(new).await.unwrap()
    });
    received.request().id.to_string()
}

#[test]
fn a_backup_of_a_running_one_is_a_data_directory() {
    let up = Up::start();
    push(&up);
    up.taskgraft(["add", "--direct", "lint-c", "--decision-id", DECISION, "--yes"]);
    let before = members(&up);
    let asked = receive(&up.dir().join("tc/service/journal.sqlite"));
    let backup = |file: &str| up.taskgraft(["backup", file, "--data-dir", "tc"]);
    let made = backup("b.tar");
    assert_eq!(made.code, Some(0));
    assert!(made.stderr.contains("the service's journal tc/service/journal.sqlite is in it"), "{}", made.stderr);
    assert_eq!(backup("b.tar").code, Some(3), "it replaces nothing");
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("tc")).unwrap();
    let mut tar = Command::new("tar");
    tar.arg("-xf").arg(up.dir().join("b.tar")).arg("-C").arg(dir.path().join("tc"));
    assert!(tar.status().unwrap().success());
    drop(up);
    let journal = dir.path().join("tc/service/journal.sqlite");
    assert_eq!(std::fs::metadata(&journal).unwrap().permissions().mode() & 0o777, 0o600);
    let again = Up::in_dir(dir, &["--no-worker"]);
    assert_eq!(members(&again), before);
    let list = again.taskgraft(["requests", "list", "--journal", "tc/service/journal.sqlite"]);
    assert!(list.stdout.contains(&asked), "{}{}", list.stdout, list.stderr);
    let ran = again.taskgraft(["plan", "lint-c", "--decision-id", DECISION]);
    assert_eq!(ran.code, Some(0), "its artifacts are there too: {}", ran.stderr);
}

#[test]
fn a_backup_takes_the_journal_that_is_really_used() {
    let up = Up::start();
    let asked = receive(&up.dir().join("elsewhere.sqlite"));
    std::fs::write(up.dir().join("up.toml"), "journal = \"elsewhere.sqlite\"").unwrap();
    let ran = up.taskgraft(["backup", "b.tar", "--data-dir", "tc", "--config", "up.toml"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stderr.contains("journal elsewhere.sqlite is in it"), "{}", ran.stderr);
    std::fs::rename(up.dir().join("tc/service"), up.dir().join("tc/moved")).unwrap();
    let without = up.taskgraft(["backup", "a.tar", "--data-dir", "tc"]);
    assert_eq!(without.code, Some(0), "{}", without.stderr);
    assert!(
        without.stderr.contains("no journal is in it") && without.stderr.contains("--config"),
        "{}",
        without.stderr
    );
    std::fs::rename(up.dir().join("tc/moved"), up.dir().join("tc/service")).unwrap();
    std::fs::create_dir(up.dir().join("restored")).unwrap();
    assert!(
        Command::new("tar").args(["-xf", "b.tar", "-C", "restored"]).current_dir(up.dir()).status().unwrap().success()
    );
    let list = up.taskgraft(["requests", "list", "--journal", "restored/service/journal.sqlite"]);
    assert!(list.stdout.contains(&asked), "{}{}", list.stdout, list.stderr);
    std::fs::write(up.dir().join("up.toml"), "journal = \"nowhere.sqlite\"").unwrap();
    let ran = up.taskgraft(["backup", "c.tar", "--data-dir", "tc", "--config", "up.toml"]);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    assert!(ran.stderr.contains("there is no journal at nowhere.sqlite"), "{}", ran.stderr);
}

#[test]
fn what_it_can_not_do_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| {
        let mut up = command(["up", "--data-dir"]);
        crate::run::Ran::from(up.arg(dir.path()).args(args).output().unwrap())
    };
    for url in ["nowhere", "https://tc.example.com/path"] {
        let ran = run(&["--root-url", url]);
        assert!(matches!(ran.code, Some(1 | 3)) && ran.stderr.contains("URL"), "{url}: {}", ran.stderr);
    }
    let ran = run(&["--pulse-url", "amqp://ann:s3cret@localhost/?heartbeat=1"]);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    assert!(ran.stderr.contains("--pulse-url: that is no broker's URL: it has a query"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("s3cret"), "{}", ran.stderr);
    let ran = run(&["--pulse-url", "amqps://localhost", "--pulse-authorities", "/nonexistent/ca.pem"]);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    assert!(ran.stderr.contains("failed to read the authorities in /nonexistent/ca.pem"), "{}", ran.stderr);
    let ran = taskgraft(["backup", "b.tar", "--data-dir", "/nonexistent"]);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
}
