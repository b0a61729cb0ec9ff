//! Clicks in all their spellings, from RabbitMQ to green jobs.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use taskgraft_client::pulse::{Broker, Outgoing, Topology};
use taskgraft_core::ids::TaskId;
use taskgraft_core::state::TaskState;
use taskgraft_testkit::LATE;
use taskgraft_testkit::clicks::EXCHANGE;
use taskgraft_testkit::rabbit::Rabbit;

use crate::door::Serve;
use crate::hooked::{Worker, grant, hooked, ours, templated, templated_by};
use crate::pushes::{DECISION, members};
use crate::server::{Up, wait_for};
use crate::treeherder::{broker, configuration};

/// How the jobs and the decision task were called, in the order of the years.
const SPELLINGS: [[&str; 2]; 4] = [
    ["buildernames", "decisionTaskID"],
    ["buildernames", "decision_task_id"],
    ["requested_jobs", "decisionTaskID"],
    ["requested_jobs", "decision_task_id"],
];

/// Publishes a click for each spelling, twice: once more as a broker or a publisher that is not sure would.
fn click(rabbit: &Rabbit) {
    let clicks = SPELLINGS.map(|[jobs, decision]| {
        let body = json!({"version": 1, "project": "lander", "requester": "ann@lander.example", "resultset_id": "7",
                          jobs: ["lint-c"], decision: DECISION});
        Outgoing {
            exchange: EXCHANGE.to_owned(),
            routing_key: "lander".to_owned(),
            // The earliest had none.
            message_id: (jobs == "requested_jobs").then(|| format!("{jobs}-{decision}")),
            body: body.to_string().into_bytes(),
            ..Outgoing::default()
        }
    });
    let broker = Broker::new(rabbit.url().parse().unwrap(), b"").unwrap();
    let mut publisher = broker.publisher(Topology::default());
    wait_for(async {
        publisher.publish(&clicks).await.unwrap();
        publisher.publish(&clicks).await.unwrap();
    });
}

fn until<T>(what: &str, mut done: impl FnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + LATE;
    loop {
        match done() {
            Ok(done) => return done,
            Err(now) => assert!(Instant::now() < deadline, "never: {what}; now {now}"),
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Waits until all requests are done, and their jobs green: one of each.
fn all_green(up: &Up) {
    until("all requests done", || {
        let list = up.taskgraft(["requests", "--journal", "journal.sqlite", "list", "--json"]).stdout;
        let requests: Vec<Value> = serde_json::from_str(&list).map_err(|why| format!("{why}: {list}"))?;
        let done = requests.iter().filter(|request| request["state"] == "done").count();
        if (requests.len(), done) == (SPELLINGS.len(), SPELLINGS.len()) { Ok(()) } else { Err(list) }
    });
    let state = |id: &TaskId| wait_for(up.client().queue().status(*id)).unwrap().state;
    let jobs = members(up)["lint-c"].clone();
    assert_eq!(jobs.len(), SPELLINGS.len(), "one for each click");
    until("all green", || {
        let states: Vec<TaskState> = jobs.iter().map(state).collect();
        if states.iter().all(|state| *state == TaskState::Completed) { Ok(()) } else { Err(format!("{states:?}")) }
    });
}

#[test]
fn clicks_in_all_spellings_go_by_the_hook_to_green_jobs() {
    let workers =
        ["--worker", "proj-lander/b-linux", "--worker", "proj-lander/t-linux", "--action-worker", "proj-lander/action"];
    let (rabbit, up) = (broker(), Up::with(&workers));
    hooked(&up, &ours().0);
    grant(&up, "project:lander:pulse", &["hooks:trigger-hook:project-lander/in-tree-action-3-generic/*"]);
    let _serve = Serve::start(&up, &configuration(&rabbit), &[("TASKGRAFT_PULSE_PASSWORD", "guest")]);
    click(&rabbit);
    all_green(&up);
}

#[test]
fn clicks_in_all_spellings_go_by_action_yml_alone_to_green_jobs() {
    let (rabbit, up) = (broker(), Up::with(&["--worker", "proj-lander/b-linux", "--worker", "proj-lander/t-linux"]));
    templated(&up);
    let _worker = Worker::of(&up, "proj-lander/decision");
    grant(&up, "project:lander:pulse", &["assume:repo:github.com/example/lander:*"]);
    let _serve = Serve::start(&up, &configuration(&rabbit), &[("TASKGRAFT_PULSE_PASSWORD", "guest")]);
    click(&rabbit);
    all_green(&up);
}

/// An action.yml as pushes of 2016 had it, with this after the program's name, and this program.
fn of_2016(arguments: &str) -> Vec<u8> {
    let program = env!("CARGO_BIN_EXE_taskgraft");
    format!(
        "\
provisionerId: proj-lander
workerType: action
schedulerId: lander-level-3
taskGroupId: '{{{{decision_task_id}}}}'
created: '2016-10-01T10:00:00.000Z'
deadline: '2016-10-02T10:00:00.000Z'
expires: '2016-11-01T10:00:00.000Z'
scopes: ['assume:repo:github.com/example/lander:action:generic']
payload:
  maxRunTime: 600
  command: [[/bin/sh, -c, \"{program} {arguments}\"]]
  artifacts: [{{type: directory, name: public, path: artifacts}}]
  features: {{taskclusterProxy: true}}
metadata: {{name: Action, description: '', owner: ann@lander.example, source: 'https://example.com'}}
"
    )
    .into_bytes()
}

/// With a push that has only such an action.yml: its command line runs in its worker, as any job's.
fn by_mustache(arguments: &str) {
    let workers =
        ["--worker", "proj-lander/b-linux", "--worker", "proj-lander/t-linux", "--worker", "proj-lander/action"];
    let (rabbit, up) = (broker(), Up::with(&workers));
    templated_by(&up, of_2016(arguments));
    grant(&up, "project:lander:pulse", &["assume:repo:github.com/example/lander:*"]);
    let _serve = Serve::start(&up, &configuration(&rabbit), &[("TASKGRAFT_PULSE_PASSWORD", "guest")]);
    click(&rabbit);
    all_green(&up);
    assert_eq!(members(&up)["Action"].len(), SPELLINGS.len(), "nothing was asked for twice");
}

#[test]
fn clicks_in_all_spellings_go_by_an_action_yml_of_2016_to_green_jobs() {
    by_mustache("action-task --decision-id='{{decision_task_id}}' --task-labels='{{task_labels}}'");
}

#[test]
fn clicks_in_all_spellings_go_by_the_action_yml_after_it_to_green_jobs() {
    by_mustache("{{action}} {{action_args}}");
}
