//! `listen --replay --dry-run` against a Taskcluster: messages meet the policy and a push, and nothing is created.

use serde_json::{Value, json};
use taskgraft_testkit::treeherder::{Age, Treeherder};

use crate::pushes::{DECISION, members, push};
use crate::run::Ran;
use crate::server::Up;

const REVISION: &str = "a1b2c3d4e5f60718293a4b5c6d7e8f9011223344";

/// Two projects with one Treeherder, one of which has a push; both let Ann do anything, three jobs at once.
fn config(treeherder: &Treeherder) -> String {
    let project = |name: &str, level: &str| {
        let url = treeherder.url();
        format!(
            "[project.{name}]\nlevel = \"{level}\"\n[project.{name}.treeherder]\nurl = \"{url}\"\n\
             [project.{name}.pulse]\ntalos = [\"test-*\"]\n[[project.{name}.pulse.allow]]\n\
             exchanges = [\"exchange/treeherder/v1/*\"]\nrequesters = [\"ann@lander.example\"]\nactions = [\"*\"]\n\
             max_jobs = 3\nrole = \"project:{name}:pulse\"\n"
        )
    };
    project("lander", "3") + &project("try", "1")
}

fn message(fields: Value) -> String {
    let mut message = json!({"version": 1, "project": "lander", "requester": "ann@lander.example"});
    message.as_object_mut().unwrap().extend(fields.as_object().cloned().unwrap());
    message.to_string()
}

/// What came of these messages: outcome and reason of each.
fn replayed(up: &Up, messages: &[String]) -> Vec<(String, String)> {
    let file = up.dir().join("messages.jsonl");
    std::fs::write(&file, messages.join("\n")).unwrap();
    let args = ["listen", "--dry-run", "--json", "--config", "service.toml", "--replay", file.to_str().unwrap()];
    let ran: Ran = up.taskgraft(args);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let told = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        assert!(line["asked"].is_object(), "{line}");
        (line["outcome"].as_str().unwrap().to_owned(), line["reason"].as_str().unwrap().to_owned())
    };
    ran.stdout.lines().map(told).collect()
}

#[test]
fn messages_meet_the_policy_and_their_push_and_nothing_is_created() {
    let up = Up::start();
    push(&up);
    let treeherder = Treeherder::start(Age::Now);
    treeherder.push("lander", 7, REVISION);
    treeherder.push("lander", 8, "5f0c3b9a7e124d6688a1c2f4d9e0b37a56c81f02");
    treeherder.push("try", 7, REVISION);
    treeherder.job("lander", 9, 7, "buildbot", "c6ae49505944c574e9247bcce81e8d2cb99b0721");
    std::fs::write(up.dir().join("service.toml"), config(&treeherder)).unwrap();
    let jobs = |jobs: &[&str]| json!({"requested_jobs": jobs, "resultset_id": "7", "decision_task_id": DECISION});
    let with = |mut fields: Value, name: &str, value: Value| {
        fields[name] = value;
        fields
    };
    let lint = || jobs(&["lint-c"]);
    let task = format!("{DECISION}/0");
    let cases = [
        (lint(), "planned", "would be: "),
        (with(lint(), "decision_task_id", json!("")), "planned", "would be: "),
        (json!({"resultset_id": 7, "action": "cancel_all"}), "planned", "nothing would be done"),
        (json!({"job_id": 1, "job_guid": task, "action": "retrigger"}), "planned", "1 created"),
        (jobs(&["lint-see"]), "impossible", "lint-c"),
        (jobs(&["a", "b", "c", "d"]), "refused", "`max_jobs` is 3, and 4 are asked for"),
        (
            json!({"resultset_id": 7, "action": "trigger_all_talos_jobs", "times": 1}),
            "refused",
            "`max_jobs` is 3, and 11 are asked for",
        ),
        (with(lint(), "requester", json!("bob@lander.example")), "refused", "does not name bob@lander.example"),
        // The push of another project, and another push of this one.
        (with(lint(), "project", json!("try")), "refused", "it is of the project lander, not of try"),
        (with(lint(), "resultset_id", json!(8)), "refused", "it is of revision a1b2c3d4"),
        (with(lint(), "resultset_id", json!(99)), "unresolved", "find push 99 of lander: Treeherder has none"),
        (json!({"resultset_id": 8, "action": "cancel_all"}), "unresolved", "the index knows no decision task"),
        (json!({"job_id": 9, "action": "backfill"}), "unresolved", "it is not of Taskcluster, but of buildbot"),
        (with(lint(), "decision_task_id", json!("AWMGHageTsSoYmoMR1_cRw")), "unresolved", "404"),
    ];
    let before = members(&up);
    let messages: Vec<String> = cases.iter().map(|(fields, ..)| message(fields.clone())).collect();
    for ((outcome, reason), (fields, wanted, part)) in replayed(&up, &messages).iter().zip(&cases) {
        assert!(outcome == wanted && reason.contains(part), "{fields}: {outcome}: {reason}");
    }
    assert_eq!(members(&up), before, "nothing was created");
}
