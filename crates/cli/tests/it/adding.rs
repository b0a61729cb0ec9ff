//! `taskgraft add` and `taskgraft resume`.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use taskgraft_core::api::index::InsertTaskRequest;
use taskgraft_core::time::Millis;

use crate::pushes::{DECISION, REVISION, members, push};
use crate::run::Ran;
use crate::server::{Up, wait_for};

#[test]
fn a_misspelt_label_costs_nothing_and_names_the_way_out() {
    let up = Up::start();
    push(&up);
    let ran = up.taskgraft(["add", "--direct", "test-unti-3", "--decision-id", REVISION, "--yes"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(3), ""));
    let expected = "\
error: no job `test-unti-3` in this push
  did you mean   test-unit-3
                 test-unit-1
                 test-unit-2
  list them      taskgraft labels 'test*' --decision-id TADoGLV5QUWAYivg1ReyTw
nothing was created
";
    assert_eq!(ran.stderr, expected);
    let both =
        up.taskgraft(["add", "--direct", "test-unti-3", "lint-c", "--decision-id", REVISION, "--yes", "--partial"]);
    assert!(members(&up).contains_key("lint-c"), "{}", both.stderr);
}

#[test]
fn nobody_to_ask_is_no_yes() {
    let up = Up::start();
    push(&up);
    let ran = up.taskgraft(["add", "--direct", "lint-c", "--decision-id", DECISION]);
    assert_eq!(ran.code, Some(3));
    assert!(ran.stderr.contains("say   --yes"), "{}", ran.stderr);
    assert!(members(&up).is_empty());
}

#[test]
fn without_credentials_it_says_how_to_get_them() {
    let up = Up::start();
    push(&up);
    let mut add = up.command(["add", "--direct", "lint-c", "--decision-id", DECISION, "--yes"]);
    let ran = Ran::from(add.env_remove("TASKCLUSTER_ACCESS_TOKEN").output().unwrap());
    assert_eq!(ran.code, Some(4));
    assert!(ran.stderr.contains("taskcluster signin"), "{}", ran.stderr);
    let ran = Ran::from(
        up.command(["labels", "--decision-id", DECISION]).env_remove("TASKCLUSTER_ROOT_URL").output().unwrap(),
    );
    assert_eq!(ran.code, Some(3));
    assert!(ran.stderr.contains("TASKCLUSTER_ROOT_URL is not set"), "{}", ran.stderr);
}

#[test]
fn missing_scopes_are_named_before_anything_is_created() {
    let up = Up::start();
    push(&up);
    let scopes = ["queue:create-task:project:none", "queue:route:*", "queue:scheduler-id:lander-level-3"];
    let ran = up.as_ann(&scopes, &["add", "--direct", "lint-c", "--decision-id", DECISION, "--yes"]);
    assert_eq!(ran.code, Some(4), "{}", ran.stderr);
    let expected = "\
error: these credentials (client `project/lander/ann`) can't create 3 of 3 tasks
  missing   queue:create-task:low:proj-lander/b-linux
            queue:create-task:low:proj-lander/t-linux
  instead   without --direct the push's action `add-new-jobs` adds them; it needs only \
                    hooks:trigger-hook:project-lander/in-tree-action-3-generic/*
nothing was created
";
    assert_eq!(ran.stderr, expected);
    assert!(members(&up).is_empty());
}

#[test]
fn a_plan_is_created_by_the_beginning_of_its_hash_and_never_twice() {
    let up = Up::start();
    push(&up);
    let shown = up.taskgraft(["plan", "test-unit-3", "--decision-id", DECISION, "--request-id", "mine"]);
    let hash = shown.stdout.trim().rsplit(' ').next().unwrap().to_owned();
    let ran = up.taskgraft(["add", "--direct", "--plan", &hash, "--yes", "--json"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let told: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((&told["report"]["request"], &told["report"]["result"]), (&json!("mine"), &json!("done")));
    assert!(told["plan"].as_str().unwrap().starts_with(&hash));
    let before = members(&up);
    assert_eq!(before["test-unit-3"].len(), 1);
    for again in [
        &["add", "--direct", "--plan", &hash, "--yes"][..],
        &["add", "--direct", "test-unit-3", "--decision-id", DECISION, "--request-id", "mine", "--yes"],
        &["resume", "mine"],
    ] {
        let ran = up.taskgraft(again);
        assert_eq!(ran.code, Some(0), "{again:?}: {}", ran.stderr);
        assert!(ran.stdout.contains("0 tasks created"), "{again:?}: {}", ran.stdout);
        assert_eq!(members(&up), before, "{again:?}");
    }
    let look = up.taskgraft(["plan", "test-unit-4", "--decision-id", DECISION, "--request-id", "mine"]);
    assert_eq!(look.code, Some(0), "a look is always free: {}", look.stderr);
    let other =
        up.taskgraft(["add", "--direct", "test-unit-4", "--decision-id", DECISION, "--request-id", "mine", "--yes"]);
    assert_eq!(other.code, Some(3));
    assert!(other.stderr.contains("asked for something else"), "{}", other.stderr);
    assert_eq!(members(&up), before);
}

#[test]
fn a_partial_request_of_which_nothing_can_be_had_says_so() {
    let up = Up::start();
    push(&up);
    let ran = up.taskgraft(["add", "--direct", "lint-d", "--partial", "--decision-id", DECISION, "--yes", "--json"]);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    let told: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((&told["report"]["result"], &told["report"]["tasks"]), (&json!("partial"), &json!([])), "{told}");
    assert!(ran.stderr.contains("refused   lint-d"), "{}", ran.stderr);
    assert!(members(&up).is_empty());
}

#[test]
fn a_cancelled_request_leaves_what_others_need_and_is_not_offered_again() {
    let up = Up::start();
    push(&up);
    for request in ["ann", "ben"] {
        let ran = up.taskgraft([
            "add",
            "--direct",
            "test-unit-3",
            "--decision-id",
            DECISION,
            "--request-id",
            request,
            "--yes",
        ]);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    }
    let state = |label: &str| {
        let ids = &members(&up)[label];
        wait_for(async {
            let mut states = Vec::new();
            for id in ids {
                states.push(up.client().queue().status(*id).await.unwrap().state.as_str());
            }
            states.sort_unstable();
            states
        })
    };
    let ran = up.taskgraft(["cancel", "ann", "--with-dependencies"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stdout.contains("cancelled: test-unit-3"), "{}", ran.stdout);
    assert!(ran.stdout.contains("kept, as others wait for it: "), "{}", ran.stdout);
    assert_eq!(state("test-unit-3"), ["exception", "unscheduled"]);
    assert_eq!(state("build-opt"), ["unscheduled"]);
    let again = up.taskgraft(["cancel", "ann", "--json"]);
    let told: Value = serde_json::from_str(&again.stdout).unwrap();
    assert_eq!((&told["request"], &told["cancelled"]), (&json!("ann"), &json!([])));
    for request in ["ben", "ann"] {
        let last = up.taskgraft(["cancel", request, "--with-dependencies"]);
        assert_eq!(last.code, Some(0), "{}", last.stderr);
    }
    assert_eq!(state("build-opt"), ["exception"]);
    let unknown = up.taskgraft(["cancel", "nobody"]);
    assert_eq!(unknown.code, Some(3));
    assert!(unknown.stderr.contains("no request `nobody` is known"), "{}", unknown.stderr);
}

#[test]
fn two_requests_get_two_copies_and_share_what_they_need() {
    let up = Up::start();
    push(&up);
    for times in ["2", "1"] {
        let ran =
            up.taskgraft(["add", "--direct", "test-unit-3", "--times", times, "--decision-id", DECISION, "--yes"]);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    }
    let members = members(&up);
    assert_eq!((members["test-unit-3"].len(), members["build-opt"].len()), (3, 1));
}

#[test]
fn facts_that_have_moved_stop_a_plan() {
    let up = Up::start();
    push(&up);
    let shown = up.taskgraft(["plan", "lint-c", "--decision-id", DECISION]);
    let hash = shown.stdout.trim().rsplit(' ').next().unwrap().to_owned();
    // Somebody indexes a toolchain: the decision task will do, being completed.
    let graph = crate::pushes::recorded().join("full-task-graph.json");
    let graph: Value = serde_json::from_slice(&std::fs::read(graph).unwrap()).unwrap();
    let path = graph["toolchain-lint"]["optimization"]["index-search"][0].as_str().unwrap();
    let expires = Millis(Timestamp::now() + SignedDuration::from_hours(240));
    let request = InsertTaskRequest { task_id: DECISION.parse().unwrap(), rank: 0, data: json!({}), expires };
    wait_for(up.client().index().insert_task(path, &request)).unwrap();
    let ran = up.taskgraft(["add", "--direct", "--plan", &hash, "--yes"]);
    assert_eq!(ran.code, Some(7), "{}", ran.stderr);
    assert!(ran.stderr.contains("toolchain-lint: was new, is reused now"), "{}", ran.stderr);
    assert!(members(&up).is_empty());
}

#[test]
fn what_is_not_known_here_can_not_be_resumed() {
    let up = Up::start();
    for request in ["nightly-42", "../../etc/passwd"] {
        let ran = up.taskgraft(["resume", request]);
        assert_eq!(ran.code, Some(3), "{request}");
        assert!(ran.stderr.contains("is known on this machine"), "{}", ran.stderr);
    }
    let ran = up.taskgraft(["add", "--direct", "--plan", "abc123", "--yes"]);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
}
