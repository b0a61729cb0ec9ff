//! The example of how a page adds jobs, with Taskcluster's official client for Python.

use std::process::Stdio;

use serde_json::Value;
use taskgraft_client::pulse::{Broker, Outgoing, Topology};
use taskgraft_testkit::clicks::{EXCHANGE, QUEUE};
use taskgraft_testkit::python::python;
use taskgraft_testkit::rabbit::Rabbit;
use taskgraft_testkit::recorded::workspace;

use crate::door::Serve;
use crate::hooked::{grant, hooked, ours};
use crate::pushes::{DECISION, members};
use crate::run::Ran;
use crate::server::{Up, wait_for};

const WORKERS: [&str; 6] =
    ["--worker", "proj-lander/b-linux", "--worker", "proj-lander/t-linux", "--action-worker", "proj-lander/action"];

/// A broker with Treeherder's exchange, and the queue that the service will take messages from.
pub(crate) fn broker() -> Rabbit {
    let rabbit = Rabbit::start();
    let broker = Broker::new(rabbit.url().parse().unwrap(), b"").unwrap();
    let mut publisher = broker.publisher(Topology::of_all(EXCHANGE, QUEUE));
    // Declaring comes with publishing: this is nobody's message.
    let nothing = Outgoing { exchange: EXCHANGE.to_owned(), body: b"{}".to_vec(), ..Outgoing::default() };
    wait_for(publisher.publish(&[nothing])).unwrap();
    rabbit
}

/// What lets anybody of lander.example add jobs by pulse, with the role `project:lander:pulse`.
pub(crate) fn configuration(rabbit: &Rabbit) -> String {
    format!(
        "[pulse]\nurl = \"amqp://{}\"\nuser = \"guest\"\n[[pulse.handler]]\nexchange = \"{EXCHANGE}\"\n\
         [project.lander]\nlevel = \"3\"\n[[project.lander.pulse.allow]]\nexchanges = [\"{EXCHANGE}\"]\n\
         requesters = [\"*@lander.example\"]\nactions = [\"add-new-jobs\"]\nmax_jobs = 5\n\
         role = \"project:lander:pulse\"\n",
        rabbit.address()
    )
}

/// The configuration that the page shows under a heading.
fn of_page(heading: &str) -> String {
    let page = std::fs::read_to_string(workspace().join("docs/how-to/pulse.md")).unwrap();
    let section = page.split_once(heading).unwrap().1;
    let block = section.split_once("```toml\n").unwrap().1;
    block.split_once("```").unwrap().0.to_owned()
}

/// Runs the example to its end.
fn treeherder(up: &Up, args: &[&str]) -> Ran {
    treeherder_with(up, args, "")
}

/// The same with a broker.
fn treeherder_with(up: &Up, args: &[&str], pulse_url: &str) -> Ran {
    let mut command = python();
    command.env("PULSE_URL", pulse_url);
    command.arg(workspace().join("docs/how-to/treeherder.py")).args(args);
    command.envs(up.variables.iter().map(|(name, value)| (name, value)));
    command.stdin(Stdio::null()).output().unwrap().into()
}

#[test]
fn a_click_that_triggers_the_hook_ends_with_green_jobs() {
    let up = Up::with(&WORKERS);
    hooked(&up, &ours().0);
    let ran = treeherder(&up, &["hook", DECISION, "lint-c", "--wait"]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    let id = members(&up)["lint-c"][0];
    assert!(ran.stdout.ends_with(&format!("lint-c {id} completed\n")), "{}", ran.stdout);
    let ran = treeherder(&up, &["hook", DECISION, "lint-cc"]);
    assert_eq!(ran.code, Some(1), "{}", ran.stdout);
    assert!(ran.stderr.contains("the action task failed"), "{}", ran.stderr);
}

#[test]
fn what_the_page_configures_is_a_configuration() {
    taskgraft_service::config::Config::read(&of_page("## On Mozilla's Pulse")).unwrap();
}

#[test]
fn what_the_page_has_one_try_on_one_machine_works() {
    let (rabbit, dir) = (broker(), tempfile::tempdir().unwrap());
    let config = of_page("## Try it on one machine").replace("//localhost", &format!("//{}", rabbit.address()));
    // The embedded queue says itself what becomes of tasks: nobody has made its exchanges on this broker.
    let config = config.replace("user = \"guest\"\n", "user = \"guest\"\ntask_events = true\n");
    std::fs::write(dir.path().join("service.toml"), config + "[http]\nlisten = \"127.0.0.1:0\"\n").unwrap();
    let path = dir.path().join("service.toml");
    let args = [WORKERS.as_slice(), &["--config", path.to_str().unwrap()]].concat();
    let up = Up::with_secrets(dir, &args, &[("TASKGRAFT_PULSE_PASSWORD", "guest")]);
    hooked(&up, &ours().0);
    grant(&up, "project:lander:pulse", &["hooks:trigger-hook:project-lander/in-tree-action-3-generic/*"]);
    let click = ["pulse", DECISION, "lint-c", "--wait", "--project", "lander", "--requester", "ann@lander.example"];
    let ran = treeherder_with(&up, &click, &rabbit.url());
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    let stranger = [&click[..6], &["--requester", "bob@elsewhere.example"]].concat();
    let ran = treeherder_with(&up, &stranger, &rabbit.url());
    assert_eq!(ran.code, Some(1), "{}", ran.stdout);
    let rule = "of rule 1, which comes nearest, `requesters` does not name bob@elsewhere.example";
    assert!(ran.stderr.contains(" refused: ") && ran.stderr.contains(rule), "{}", ran.stderr);
    let elsewhere = [&click[..], &["--exchange", "exchange/nobody/v1/clicks"]].concat();
    let ran = treeherder_with(&up, &elsewhere, &rabbit.url());
    assert_eq!(ran.code, Some(1), "{}", ran.stdout);
    assert!(ran.stderr.contains("the broker refuses: NOT_FOUND - no exchange"), "{}", ran.stderr);
}

#[test]
fn a_click_that_is_published_ends_with_green_jobs() {
    let (rabbit, up) = (broker(), Up::with(&WORKERS));
    hooked(&up, &ours().0);
    grant(&up, "project:lander:pulse", &["hooks:trigger-hook:project-lander/in-tree-action-3-generic/*"]);
    let config = configuration(&rabbit);
    let _serve = Serve::start(&up, &config, &[("TASKGRAFT_PULSE_PASSWORD", "guest")]);
    let click = ["pulse", DECISION, "lint-c", "--wait", "--project", "lander", "--requester", "ann@lander.example"];
    let ran = treeherder_with(&up, &click, &rabbit.url());
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    let id = members(&up)["lint-c"][0];
    assert!(ran.stdout.ends_with(&format!("lint-c {id} completed\n")), "{}", ran.stdout);
    // From the message to the end, all that was logged says what it is about.
    let list = up.taskgraft(["requests", "--journal", "journal.sqlite", "list", "--json"]);
    let list: Value = serde_json::from_str(&list.stdout).unwrap();
    let request = list.as_array().unwrap_or_else(|| list["requests"].as_array().unwrap())[0]["id"].as_str().unwrap();
    let log = up.taskgraft(["requests", "--journal", "journal.sqlite", "log", request, "--follow", "--json"]);
    let lines: Vec<Value> = log.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let messages: Vec<&str> = lines.iter().map(|line| line["message"].as_str().unwrap()).collect();
    assert_eq!(messages, ["received by pulse", "allowed", "sent: the push's action does it", "done"]);
    assert!(lines.iter().all(|line| line["request"] == request && line["asker"] == "ann@lander.example"));
    assert!(lines[1..].iter().all(|line| line["decision"] == DECISION) && lines[3]["task"].is_string());
}
