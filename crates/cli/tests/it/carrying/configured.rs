//! What `taskgraft serve` and `up` are told, and what they say to it.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use taskgraft_testkit::LATE;
use taskgraft_testkit::recorded::workspace;

use super::Serving;
use crate::run::{Ran, command};
use crate::server::Up;
use crate::waiting::until;

fn serve(dir: &Path, config: &str, more: &[&str]) -> Ran {
    let file = dir.join("service.toml");
    std::fs::write(&file, config).unwrap();
    let mut serve = command(["serve", "--config"]);
    serve.arg(file).args(more).env("TASKCLUSTER_ROOT_URL", "https://tc.example.com").output().unwrap().into()
}

#[test]
fn what_was_understood_is_printed_with_all_defaults() {
    let example = std::fs::read_to_string(workspace().join("docs/reference/service.toml")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (named, authorities) = ("/etc/taskgraft/pulse-ca.pem", dir.path().join("ca.pem"));
    let ran = serve(dir.path(), &example, &["--check"]);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    assert!(ran.stderr.contains(&format!("failed to read the authorities in {named}")), "{}", ran.stderr);
    let made = rcgen::generate_simple_self_signed(["pulse.example.com".to_owned()]).unwrap();
    std::fs::write(&authorities, made.cert.pem()).unwrap();
    let example = example.replace(named, authorities.to_str().unwrap());
    let ran = serve(dir.path(), &example, &["--check"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    for missing in ["TASKCLUSTER_CLIENT_ID", "TASKGRAFT_PULSE_PASSWORD", "TASKGRAFT_BUILDBOT_PASSWORD_OLD_BUILDS"] {
        assert!(ran.stderr.contains(missing), "{missing}: {}", ran.stderr);
    }
    let again = serve(dir.path(), &ran.stdout, &["--check"]);
    assert_eq!((again.code, again.stdout), (Some(0), ran.stdout));
}

#[test]
fn all_that_is_wrong_is_told_with_its_place_and_nothing_starts() {
    let dir = tempfile::tempdir().unwrap();
    let config = "jurnal = \"x\"\n[pulse]\nuser = \"ann\"\nurl = \"amqps://ann:s3cret@pulse.example.com\"\n";
    for more in [&["--check"][..], &[]] {
        let ran = serve(dir.path(), config, more);
        assert_eq!(ran.code, Some(3), "{}", ran.stderr);
        assert!(
            ran.stderr.contains("line 1, column 1: there is no key `jurnal`: did you mean `journal`?"),
            "{}",
            ran.stderr
        );
        assert!(ran.stderr.contains("line 4, column 7: ") && ran.stderr.contains("TASKGRAFT_PULSE_PASSWORD"));
        assert!(!ran.stderr.contains("s3cret"), "{}", ran.stderr);
    }
    let nothing = "[pulse]\nuser = \"ann\"\nurl = \"amqps://pulse.example.com\"\n";
    for more in [&["--check"][..], &[]] {
        let ran = serve(dir.path(), nothing, more);
        assert_eq!((ran.code, &*ran.stdout), (Some(3), ""), "{}", ran.stderr);
        assert!(ran.stderr.contains("`journal` is missing"), "{}", ran.stderr);
        assert!(ran.stderr.contains("the configuration names no [[pulse.handler]]"), "{}", ran.stderr);
    }
    let ran = serve(dir.path(), "journal = \"journal.sqlite\"", &[]);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    assert!(ran.stderr.contains("TASKCLUSTER_CLIENT_ID and TASKCLUSTER_ACCESS_TOKEN are not set"), "{}", ran.stderr);
    let hears = format!("journal = \"journal.sqlite\"\n{nothing}task_events = true\n");
    assert_eq!(serve(dir.path(), &hears, &["--check"]).code, Some(0));
    let ran = serve(dir.path(), &hears, &[]);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    assert!(ran.stderr.contains("TASKCLUSTER_CLIENT_ID and TASKCLUSTER_ACCESS_TOKEN are not set"), "{}", ran.stderr);
    assert!(ran.stderr.contains("and") && ran.stderr.contains("TASKGRAFT_PULSE_PASSWORD is not set"), "{}", ran.stderr);
    assert!(!dir.path().join("journal.sqlite").exists(), "nothing was begun");
}

#[test]
fn a_password_that_others_could_read_is_told_whenever_it_is_used() {
    let dir = tempfile::tempdir().unwrap();
    let config = "journal = \"journal.sqlite\"\n[pulse]\nurl = \"amqp://pulse.example.com\"\nuser = \"ann\"\n\
                  task_events = true\n[project.lander]\nlevel = \"3\"\n\
                  [[project.lander.buildbot]]\nname = \"main\"\nurl = \"http://buildbot.example.com\"\n\
                  scheduler = \"force\"\nbuilders = [\"*\"]\nuser = \"bob\"\n";
    let told = |stderr: &str| {
        let notes = stderr.lines().filter(|line| line.starts_with("note: `"));
        notes.filter(|line| line.contains("can read the password of")).count()
    };
    let check = serve(dir.path(), config, &["--check"]);
    assert_eq!((check.code, told(&check.stderr)), (Some(0), 2), "{}", check.stderr);
    // They end for want of passwords.
    let start = serve(dir.path(), config, &[]);
    assert_eq!((start.code, told(&start.stderr)), (Some(3), 2), "{}", start.stderr);
    let listen: Ran = command(["listen", "--config"]).arg(dir.path().join("service.toml")).output().unwrap().into();
    assert_eq!((listen.code, told(&listen.stderr)), (Some(3), 2), "{}", listen.stderr);
    let near = config.replace("pulse.example.com", "localhost").replace("buildbot.example.com", "[::1]:8010");
    let check = serve(dir.path(), &near, &["--check"]);
    assert_eq!((check.code, told(&check.stderr)), (Some(0), 0), "{}", check.stderr);
    // Ends at its worker's queue.
    let up: Ran = command(["up", "--worker", "a/b", "--action-worker", "a/b", "--data-dir"])
        .arg(dir.path())
        .args(["--pulse-url", "amqp://ann:s3cret@pulse.example.com"])
        .output()
        .unwrap()
        .into();
    assert_eq!(up.code, Some(3), "{}", up.stderr);
    assert!(up.stderr.contains("note: --pulse-url: ") && !up.stderr.contains("s3cret"), "{}", up.stderr);
}

#[test]
fn up_serves_requests_where_its_file_says() {
    let up = Up::start();
    let file = std::fs::read_to_string(up.dir().join("env")).unwrap();
    let url = file.lines().find_map(|line| line.strip_prefix("export TASKGRAFT_URL='http://")).unwrap();
    let mut stream = TcpStream::connect(url.trim_end_matches('\'')).unwrap();
    write!(stream, "GET /ready HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("\"ready\":true"), "{answer}");
    assert!(up.dir().join("tc/service/journal.sqlite").exists());
    let config = up.dir().join("up.toml");
    std::fs::write(&config, "root_url = \"https://tc.example.com\"").unwrap();
    let ran: Ran = command(["up", "--config"]).arg(config).output().unwrap().into();
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    assert!(ran.stderr.contains("leave out") && ran.stderr.contains("root_url"), "{}", ran.stderr);
}

#[test]
fn nobody_meets_a_broker_as_somebody_else_for_want_of_a_password() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("service.toml");
    let pulse = "journal = \"journal.sqlite\"\n[pulse]\nuser = \"ann\"\nurl = \"amqp://127.0.0.1:9\"\n";
    let handler = "[[pulse.handler]]\nexchange = \"exchange/treeherder/v1/job-actions\"\n";
    let ran = |args: &[&str], text: String| -> Ran {
        std::fs::write(&config, text).unwrap();
        let mut child = command(args).arg("--config").arg(&config).stderr(Stdio::piped()).spawn().unwrap();
        let deadline = Instant::now() + LATE;
        while child.try_wait().unwrap().is_none() {
            if Instant::now() > deadline {
                child.kill().unwrap();
                panic!("{args:?} goes on");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        child.wait_with_output().unwrap().into()
    };
    let data_dir = dir.path().join("tc");
    let up = ["up", "--no-worker", "--data-dir", data_dir.to_str().unwrap()];
    for args in [&["listen"][..], &["listen", "--dry-run"], &up] {
        let ran = ran(args, format!("{pulse}{handler}"));
        assert_eq!(ran.code, Some(3), "{args:?}: {}", ran.stderr);
        assert!(ran.stderr.contains("TASKGRAFT_PULSE_PASSWORD is not set"), "{args:?}: {}", ran.stderr);
    }
    let ran = ran(&up, format!("{handler}{pulse}").replace(handler, ""));
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    assert!(!data_dir.exists() && !dir.path().join("journal.sqlite").exists(), "nothing was begun");
}

#[test]
fn one_service_at_a_time_carries_what_a_journal_holds() {
    let up = Up::with(&["--no-worker"]);
    let first = Serving::start(&up);
    let lock = up.dir().join("journal.sqlite.lock");
    until("the first serves", || std::fs::read_to_string(&lock).ok()?.contains("127.0.0.1:").then_some(()));
    let ran: Ran = up.command(["serve", "--config", "service.toml"]).output().unwrap().into();
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    let holder = format!("it is in use by process {}, listening on 127.0.0.1:", first.child.id());
    assert!(ran.stderr.contains(&holder), "{}", ran.stderr);
    // Killed, it holds nothing any more.
    drop(first);
    let next = Serving::start(&up);
    let pid = next.child.id().to_string();
    until("the next serves", || std::fs::read_to_string(&lock).ok()?.contains(&pid).then_some(()));
    assert_eq!(next.stopped(), Some(0));
}
