//! The recorded messages of 2016, from RabbitMQ to what becomes of each: sent to its push, or refused with the reason.
//!
//! Every fifth push is unknown to its Treeherder, every fifth has no decision task, every fifth has another project's,
//! and every fifth another revision's. What then has to come of a message is told here from the message alone.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use taskgraft_client::pulse::{Binding, Broker, Outgoing, Topology};
use taskgraft_core::api::index::InsertTaskRequest;
use taskgraft_core::time::Millis;
use taskgraft_service::journal::{Filter, Page};
use taskgraft_service::{Request, State};
use taskgraft_testkit::rabbit::Rabbit;
use taskgraft_testkit::recorded::{shared, workspace};
use taskgraft_testkit::treeherder::{Age, Treeherder};

use super::{Book, ROLE, Serving, TRIGGER};
use crate::hooked::{grant, hooks_of};
use crate::pushes::{ACTION, DECISION, another_publishing, members_of, recorded};
use crate::run::{Ran, command};
use crate::server::{Up, wait_for};
use crate::waiting::until;

/// The decision task of the one push of mozilla-inbound; [`DECISION`] is that of try's.
const INBOUND: &str = "ZZZZZZZZQZqZZZZZZZZZZA";
/// What both are of.
const HEAD: &str = "a1b2c3d4e5f60718293a4b5c6d7e8f9011223344";
/// The revisions of pushes by the rest that their numbers leave, divided by five: see [`Expected::of_push`].
const UNINDEXED: &str = "5f0c3b9a7e124d6688a1c2f4d9e0b37a56c81f02";
const FOREIGN: &str = "0123456789abcdef0123456789abcdef01234567";
const OTHER: &str = "fedcba9876543210fedcba9876543210fedcba98";
/// Which jobs try's and mozilla-inbound's rules allow at most.
const MOST: [(&str, u64); 2] = [("try", 5), ("mozilla-inbound", 40)];

/// How many messages come to what.
const GOLDEN: [(&str, usize); 13] = [
    ("Buildbot's", 4),
    ("action", 7),
    ("add-new-jobs", 19),
    ("another group's", 5),
    ("another project's", 72),
    ("another revision's", 62),
    ("cancel-all", 28),
    ("no Treeherder", 15),
    ("no decision task", 73),
    ("not served", 15),
    ("requester", 11),
    ("too many", 9),
    ("unknown", 80),
];
/// How many of them are sent, to try and to mozilla-inbound.
const SENT: [usize; 2] = [38, 9];

const EXCHANGES: [&str; 3] = ["resultset-runnable-job-actions", "resultset-actions", "job-actions"];

/// What a message has to come to.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Expected {
    /// Asked for on the push of this decision task: the callback, and the jobs it names.
    Sent { decision: &'static str, callback: String, tasks: Value },
    /// Refused: a word for it, and the reason.
    Refused(&'static str, String),
}

/// A text field of a message.
fn text<'a>(message: &'a Value, name: &str) -> &'a str {
    message[name].as_str().unwrap()
}

fn decision_of(project: &str) -> &'static str {
    if project == "try" { DECISION } else { INBOUND }
}

impl Expected {
    /// `tests` is how many labels of the graph are performance jobs here.
    fn of(message: &Value, tests: u64) -> Self {
        let project = text(message, "project");
        let job = message["job_id"].as_u64();
        let what = job.map_or_else(|| format!("push {}", text(message, "resultset_id")), |id| format!("job {id}"));
        match project {
            "try" | "mozilla-inbound" => match job {
                Some(id) => Self::of_job(project, id),
                None => Self::of_push(message, project, tests),
            },
            "fx-team" => Self::Refused(
                "no Treeherder",
                format!("find {what} of fx-team: no Treeherder is configured for the project"),
            ),
            _ => Self::Refused("not served", format!("the project `{project}` is not served")),
        }
    }

    fn of_job(project: &str, id: u64) -> Self {
        match id % 3 {
            0 => Self::Refused("unknown", format!("find job {id} of {project}: Treeherder has none")),
            1 => Self::Refused(
                "Buildbot's",
                format!("find job {id} of {project}: it is not of Taskcluster, but of buildbot"),
            ),
            _ => Self::Refused(
                "another group's",
                format!("ask for an action on {DECISION}: it is of the group {DECISION}, not of {INBOUND}"),
            ),
        }
    }

    fn of_push(message: &Value, project: &str, tests: u64) -> Self {
        let id = text(message, "resultset_id");
        let (own, theirs) = (decision_of(project), if project == "try" { "mozilla-inbound" } else { "try" });
        match id.parse::<u64>().unwrap() % 5 {
            0 => Self::Refused("unknown", format!("find push {id} of {project}: Treeherder has none")),
            2 => Self::Refused(
                "no decision task",
                format!("find {project}@{UNINDEXED}: the index knows no decision task of that revision"),
            ),
            3 => Self::Refused(
                "another project's",
                format!("act on the push of {}: it is of the project {theirs}, not of {project}", decision_of(theirs)),
            ),
            4 => Self::Refused(
                "another revision's",
                format!("act on the push of {own}: it is of revision {HEAD}, and {OTHER} is meant"),
            ),
            _ => Self::by_policy(message, project, tests),
        }
    }

    /// As the rules of [`configuration`] have it.
    fn by_policy(message: &Value, project: &str, tests: u64) -> Self {
        let names = message["buildernames"].as_array().map_or(0, |names| names.len() as u64);
        let (callback, jobs) = match message["action"].as_str() {
            None => ("add-new-jobs", names),
            Some("cancel_all") => ("cancel-all", 0),
            Some("trigger_all_talos_jobs") => ("add-matching-jobs", tests * message["times"].as_u64().unwrap()),
            Some(other) => panic!("{other} on a push that is there"),
        };
        let (requester, most) = (text(message, "requester"), MOST.iter().find(|(name, _)| *name == project).unwrap().1);
        let mut lacks = Vec::new();
        let (requesters, actions) = match project {
            "try" => (requester.ends_with("@staff.example"), ["add-new-jobs", "cancel-all"]),
            _ => (true, ["add-new-jobs", "add-matching-jobs"]),
        };
        if !requesters {
            lacks.push(("requester", format!("`requesters` does not name {requester}")));
        }
        if !actions.contains(&callback) {
            lacks.push(("action", format!("`actions` does not name {callback}")));
        }
        if jobs > most {
            lacks.push(("too many", format!("`max_jobs` is {most}, and {jobs} are asked for")));
        }
        let Some((word, _)) = lacks.first() else {
            let tasks = message["buildernames"].clone();
            return Self::Sent { decision: decision_of(project), callback: callback.to_owned(), tasks };
        };
        let lacks: Vec<&str> = lacks.iter().map(|(_, lack)| lack.as_str()).collect();
        let why = format!("no rule lets it through; of rule 1, which comes nearest, {}", lacks.join(" and "));
        Self::Refused(word, why)
    }

    fn word(&self) -> &str {
        match self {
            Self::Sent { callback, .. } => callback,
            Self::Refused(word, _) => word,
        }
    }

    /// That this has become of it.
    fn check(&self, up: &Up, request: &Request) {
        match self {
            Self::Refused(_, why) => {
                assert_eq!(
                    (request.state, request.error.as_deref()),
                    (State::Refused, Some(why.as_str())),
                    "{request:?}"
                );
                assert_eq!(request.action_task, None, "{request:?}");
            }
            Self::Sent { decision, callback, tasks } => {
                assert_eq!((request.state, request.error.as_deref()), (State::Asked, None), "{request:?}");
                let task = wait_for(up.client().queue().task(request.action_task.unwrap())).unwrap();
                assert_eq!(task.task_group_id.as_str(), *decision);
                let env = &task.payload["env"];
                let input: Value = serde_json::from_str(env["ACTION_INPUT"].as_str().unwrap()).unwrap();
                assert_eq!((&env["ACTION_CALLBACK"], &input["tasks"]), (&json!(callback), tasks), "{request:?}");
                assert_eq!(env["ACTION_TASK_GROUP_ID"], json!(decision));
            }
        }
    }
}

/// Makes the one push of a project.
fn push(up: &Up, decision: &str, project: &str) -> Value {
    let parameters = std::fs::read_to_string(recorded().join("parameters.yml")).unwrap();
    let lines = parameters.lines().map(|line| match line.split_once(": ") {
        Some(("project", _)) => format!("project: {project}\n"),
        _ => format!("{line}\n"),
    });
    let parameters: String = lines.collect();
    let (file, out) = (up.dir().join(project), tempfile::tempdir().unwrap());
    std::fs::write(&file, &parameters).unwrap();
    let mut publish = command(["actions", "--decision-id", decision]);
    publish.arg("-p").arg(file).arg("--root").arg(workspace().join("examples/lander/taskcluster"));
    let ran = Ran::from(publish.arg("--out").arg(out.path()).output().unwrap());
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let actions = std::fs::read(out.path().join("actions.json")).unwrap();
    let told = serde_json::from_slice(&actions).unwrap();
    another_publishing(up, decision, |files| {
        files.insert("parameters.yml", parameters.into_bytes());
        files.insert("actions.json", actions);
    });
    told
}

/// Has the index name a decision task for a revision.
fn index(up: &Up, project: &str, revision: &str, decision: &str) {
    let expires = Millis(Timestamp::now() + SignedDuration::from_hours(24));
    let request = InsertTaskRequest { task_id: decision.parse().unwrap(), rank: 0, data: json!({}), expires };
    let path = format!("lander.v2.{project}.revision.{revision}.taskgraph.decision");
    wait_for(up.client().index().insert_task(&path, &request)).unwrap();
}

/// Two pushes, the hook of their actions, and what the index says of their projects.
fn site(up: &Up) {
    let actions = push(up, DECISION, "try");
    push(up, INBOUND, "mozilla-inbound");
    hooks_of(up, &actions);
    grant(up, ROLE, &[TRIGGER]);
    for (project, theirs) in [("try", INBOUND), ("mozilla-inbound", DECISION)] {
        index(up, project, HEAD, decision_of(project));
        index(up, project, OTHER, decision_of(project));
        index(up, project, FOREIGN, theirs);
    }
}

/// What a project's Treeherder knows of the messages' pushes and jobs.
fn treeherder(messages: &[Value], project: &str, age: Age) -> Treeherder {
    let treeherder = Treeherder::start(age);
    for message in messages.iter().filter(|message| message["project"] == project) {
        if let Some(id) = message["job_id"].as_u64() {
            treeherder.push(project, 1, HEAD);
            // Of another push: no guid of these messages is Taskcluster's.
            let guid = format!("{DECISION}/0");
            match id % 3 {
                0 => {}
                1 => treeherder.job(project, id, 1, "buildbot", text(message, "job_guid")),
                _ => treeherder.job(project, id, 1, "taskcluster", &guid),
            }
            continue;
        }
        let id: u64 = text(message, "resultset_id").parse().unwrap();
        match id % 5 {
            0 => {}
            1 => treeherder.push(project, id, HEAD),
            2 => treeherder.push(project, id, UNINDEXED),
            3 => treeherder.push(project, id, FOREIGN),
            _ => treeherder.push(project, id, OTHER),
        }
    }
    treeherder
}

fn configuration(rabbit: &Rabbit, then: &Treeherder, now: &Treeherder) -> String {
    let handlers = EXCHANGES.map(|name| format!("[[pulse.handler]]\nexchange = \"exchange/treeherder/v1/{name}\"\n"));
    let project = |name: &str, treeherder: &Treeherder, requesters: &str, action: &str| {
        let most = MOST.iter().find(|(project, _)| *project == name).unwrap().1;
        format!(
            "[project.{name}]\nlevel = \"3\"\ntrust_domain = \"lander\"\n[project.{name}.treeherder]\nurl = \"{}\"\n\
             [project.{name}.pulse]\ntalos = [\"test-*\"]\n[[project.{name}.pulse.allow]]\n\
             exchanges = [\"exchange/treeherder/v1/*\"]\nrequesters = [\"{requesters}\"]\n\
             actions = [\"add-new-jobs\", \"{action}\"]\nlevels = [\"3\"]\nmax_jobs = {most}\nrole = \"{ROLE}\"\n",
            treeherder.url(),
        )
    };
    format!(
        "journal = \"journal.sqlite\"\ncarry.longest_pause = \"200 ms\"\nhttp.listen = \"127.0.0.1:0\"\n\
         [pulse]\nurl = \"amqp://{}\"\nuser = \"guest\"\n{}{}{}[project.fx-team]\nlevel = \"3\"\n",
        rabbit.address(),
        handlers.concat(),
        project("try", then, "*@staff.example", "cancel-all"),
        project("mozilla-inbound", now, "*", "add-matching-jobs"),
    )
}

/// Publishes the messages as Treeherder did, each with its line as its id, into the queues that the listener will declare.
fn publish(rabbit: &Rabbit, messages: &[Value]) {
    let exchange = |name: &str| format!("exchange/treeherder/v1/{name}");
    let queue = |name: &str| format!("queue/guest/taskgraft-{name}");
    let binding = |name: &str| Binding { queue: queue(name), exchange: exchange(name), routing_key: "#".to_owned() };
    let broker = Broker::new(rabbit.url().parse().unwrap(), b"").unwrap();
    let mut publisher = broker.publisher(Topology {
        exchanges: EXCHANGES.map(exchange).to_vec(),
        queues: EXCHANGES.map(queue).to_vec(),
        bindings: EXCHANGES.map(binding).to_vec(),
        ..Topology::default()
    });
    let outgoing = messages.iter().zip(1..).map(|(message, line): (_, usize)| {
        let project = text(message, "project");
        let (name, routing_key) = match (message["job_id"].is_u64(), message["action"].as_str()) {
            (true, Some(action)) => {
                ("job-actions", format!("{}.{project}.{action}", text(message, "build_system_type")))
            }
            (false, Some(action)) => ("resultset-actions", format!("{project}.{action}")),
            (_, None) => ("resultset-runnable-job-actions", project.to_owned()),
        };
        let (exchange, message_id) = (exchange(name), Some(format!("line-{line}")));
        Outgoing { exchange, routing_key, message_id, body: message.to_string().into_bytes(), ..Outgoing::default() }
    });
    wait_for(publisher.publish(&outgoing.collect::<Vec<_>>())).unwrap();
}

/// The requests by the lines of their messages, as soon as all have come as far as they come without anybody to act.
fn carried(book: &Book, count: usize) -> BTreeMap<usize, Request> {
    until("all messages carried out", || {
        let listed = book.runtime.block_on(book.journal.list(Filter::default(), Page::first(1000))).unwrap().items;
        let settled = |request: &&Request| matches!(request.state, State::Asked | State::Refused | State::Failed);
        (listed.len() == count && listed.iter().filter(settled).count() == count).then_some(listed)
    })
    .into_iter()
    .map(|request| (request.key.rsplit_once("line-").unwrap().1.parse().unwrap(), request))
    .collect()
}

#[test]
fn each_recorded_message_is_sent_to_its_push_or_refused_with_the_right_reason() {
    let Some(shared) = shared() else { return };
    let recorded_messages = std::fs::read_to_string(shared.join("data/pulse-2016.jsonl")).unwrap();
    let messages: Vec<Value> = recorded_messages.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(messages.len(), 400);
    let graph = std::fs::read(recorded().join("full-task-graph.json")).unwrap();
    let graph: BTreeMap<String, Value> = serde_json::from_slice(&graph).unwrap();
    let tests = graph.keys().filter(|label| label.starts_with("test-")).count() as u64;
    // Nobody performs the action tasks: one that cancels all would take the others with it.
    let (rabbit, up) = (Rabbit::start(), Up::start());
    site(&up);
    let then = treeherder(&messages, "try", Age::Then);
    let now = treeherder(&messages, "mozilla-inbound", Age::Now);
    publish(&rabbit, &messages);
    let config = configuration(&rabbit, &then, &now);
    let serving = Serving::told(&up, &config, &[("TASKGRAFT_PULSE_PASSWORD", "guest")]);
    until("the journal", || up.dir().join("journal.sqlite").is_file().then_some(()));
    let requests = carried(&Book::open(&up), messages.len());
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for (line, message) in (1..).zip(&messages) {
        let expected = Expected::of(message, tests);
        expected.check(&up, requests.get(&line).unwrap_or_else(|| panic!("line {line} in {}", serving.log())));
        *counts.entry(expected.word().to_owned()).or_default() += 1;
    }
    let counts: Vec<(&str, usize)> = counts.iter().map(|(word, count)| (word.as_str(), *count)).collect();
    assert_eq!(counts, GOLDEN);
    // Nothing else was made.
    let made: Vec<usize> = [DECISION, INBOUND]
        .iter()
        .flat_map(|decision| members_of(&up, decision))
        .map(|(label, tasks)| if label == ACTION { tasks.len() } else { panic!("{label} was made") })
        .collect();
    assert_eq!(made, SENT);
}
