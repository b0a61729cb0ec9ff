//! Input that is wrong: a clear error, and nothing changes.

use std::path::Path;

use serde_json::{Value, json};

use crate::pushes::{DECISION, altered, changed, members, push, recorded};
use crate::run::{Ran, command};
use crate::server::{Up, wait_for};

/// Plans `label` on the recorded push with one file replaced.
fn plan_with(file: &str, contents: &[u8], label: &str) -> Ran {
    plan_where(file, |path| std::fs::write(path, contents).unwrap(), label)
}

fn plan_where(file: &str, make: impl FnOnce(&Path), label: &str) -> Ran {
    let dir = tempfile::tempdir().unwrap();
    for name in ["parameters.yml", "full-task-graph.json", "label-to-taskid.json"] {
        std::fs::copy(recorded().join(name), dir.path().join(name)).unwrap();
    }
    make(&dir.path().join(file));
    plan_in(dir.path(), label)
}

fn plan_in(dir: &Path, label: &str) -> Ran {
    let mut plan = command(["plan", label, "--offline", "--artifacts"]);
    plan.arg(dir).env("HOME", dir).output().unwrap().into()
}

fn graph() -> Value {
    serde_json::from_slice(&std::fs::read(recorded().join("full-task-graph.json")).unwrap()).unwrap()
}

fn assert_mistake(ran: &Ran, says: &str) {
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(3), ""), "{}", ran.stderr);
    assert!(ran.stderr.starts_with("error: ") && ran.stderr.contains(says), "{}", ran.stderr);
}

#[test]
fn files_that_are_none() {
    let whole = std::fs::read(recorded().join("full-task-graph.json")).unwrap();
    let graph = "full-task-graph.json";
    assert_mistake(&plan_with(graph, &whole[..whole.len() / 2], "lint-c"), "full-task-graph.json");
    assert_mistake(&plan_with(graph, b"", "lint-c"), "full-task-graph.json");
    assert_mistake(&plan_with(graph, b"[1, 2]", "lint-c"), "full-task-graph.json");
    assert_mistake(&plan_with(graph, "[".repeat(200_000).as_bytes(), "lint-c"), "full-task-graph.json");
    assert_mistake(&plan_with(graph, b"{\"lint-c\": {\"label\": \"lint-c\"}}", "lint-c"), "lint-c");
    assert_mistake(&plan_with("parameters.yml", b"a: [", "lint-c"), "parameters");
    assert_mistake(&plan_with("parameters.yml", b"\xff", "lint-c"), "parameters");
    assert_mistake(&plan_with("label-to-taskid.json", b"{\"lint-c\": \"not a slugid\"}", "lint-c"), "not a slugid");
    assert_mistake(&plan_in(Path::new("/nonexistent"), "lint-c"), "there is no such file in /nonexistent");
}

#[test]
fn labels_move_no_cursor_and_look_like_no_line_of_ours() {
    // Clears the screen, begins lines anew, hides what follows, and says that all is well.
    let evil = "evil\u{1b}[2J\r\u{9b}8m\u{1b}[8m\u{7}\nNothing is wrong";
    let up = Up::start();
    changed(&up, |graph| {
        let mut task = graph["lint-c"].take();
        graph.as_object_mut().unwrap().remove("lint-c");
        (task["label"], task["task"]["metadata"]["name"]) = (json!(evil), json!("evil"));
        graph[evil] = task;
    });
    let is_clean = |ran: &Ran| {
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert!(said.chars().all(|c| !c.is_control() || c == '\n'), "{said:?}");
        assert!(said.lines().all(|line| !line.starts_with("Nothing is wrong")), "{said}");
        assert!(said.contains("evil\\u{1b}[2J\\u{d}\\u{9b}8m\\u{1b}[8m\\u{7}\\u{a}Nothing is wrong"), "{said}");
    };
    for (code, args) in [
        (0, &["plan", "evil*", "--decision-id", DECISION][..]),
        (3, &["plan", &evil.replace("wrong", "wrung"), "--decision-id", DECISION]),
        (0, &["labels", "evil*", "--decision-id", DECISION]),
        (0, &["add", "evil*", "--decision-id", DECISION, "--direct", "--yes"]),
    ] {
        let ran = up.taskgraft(args);
        assert_eq!(ran.code, Some(code), "{args:?}: {}", ran.stderr);
        is_clean(&ran);
    }
}

#[test]
fn files_beyond_all_bounds() {
    // They have a size and take no room.
    let sparse = |gib: u64| move |path: &Path| std::fs::File::create(path).unwrap().set_len(gib << 30).unwrap();
    for (file, gib) in [("full-task-graph.json", 5), ("parameters.yml", 1), ("label-to-taskid.json", 1)] {
        assert_mistake(&plan_where(file, sparse(gib), "lint-c"), "larger than");
    }
}

#[test]
fn graphs_that_are_none() {
    let mut cycle = graph();
    cycle["source-lander"]["dependencies"] = json!({"lint": "lint-c"});
    assert_mistake(&plan_with("full-task-graph.json", cycle.to_string().as_bytes(), "lint-c"), "circle");
    let twice = format!("{{\"a\": {0}, \"a\": {0}}}", graph()["lint-c"]);
    assert_mistake(&plan_with("full-task-graph.json", twice.as_bytes(), "a"), "`a` twice");
}

#[test]
fn a_dependency_that_the_graph_lacks_is_named() {
    let mut unknown = graph();
    unknown["lint-c"]["dependencies"]["source"] = json!("source-nowhere");
    let ran = plan_with("full-task-graph.json", unknown.to_string().as_bytes(), "lint-c");
    assert_mistake(&ran, "lint-c depends on source-nowhere (as `source`)");
}

#[test]
fn pushes_that_are_none() {
    let up = Up::start();
    push(&up);
    for (id, says) in [
        ("hello", "neither a task id"),
        ("TADoGLV5QUWAYivg1ReyT", "neither a task id"),
        ("lander@ffffffffff", "the index knows no decision task"),
        ("AAAAAAAAQAaAAAAAAAAAAA", "404"),
        ("AAAAAAAAAAAAAAAAAAAAAA", "not a v4 slugid"),
        ("https://example.com/nothing", "neither a task id"),
    ] {
        let ran = up.taskgraft(["add", "--direct", "lint-c", "--yes", "--decision-id", id]);
        assert_eq!(ran.code, Some(3), "{id}: {}", ran.stderr);
        assert!(ran.stderr.contains(says), "{id}: {}", ran.stderr);
    }
    assert_eq!(up.taskgraft(["add", "--direct", "nothing-like-*", "--yes", "--decision-id", DECISION]).code, Some(3));
    assert_eq!(
        up.taskgraft(["add", "--direct", "lint-c", "--times", "101", "--yes", "--decision-id", DECISION]).code,
        Some(2)
    );
    let odd = up.taskgraft(["add", "--direct", "lint-c", "--request-id", "../x", "--yes", "--decision-id", DECISION]);
    assert_eq!(odd.code, Some(3), "{}", odd.stderr);
    assert!(members(&up).is_empty());
}

#[test]
fn artifacts_of_another_push() {
    for (own, other) in [("github.com/example/lander", "github.com/example/other"), ("level: '3'", "level: '1'")] {
        let up = Up::start();
        altered(&up, |_| {}, |text| text.replace(own, other));
        let ran = up.taskgraft(["add", "--direct", "lint-c", "--yes", "--decision-id", DECISION]);
        assert_eq!(ran.code, Some(3), "{}", ran.stderr);
        assert!(ran.stderr.contains(&format!("trust {DECISION}")), "{}", ran.stderr);
        assert!(members(&up).is_empty());
    }
}

#[test]
fn another_task_of_a_push_names_its_push() {
    let up = Up::start();
    push(&up);
    assert_eq!(up.taskgraft(["add", "--direct", "lint-c", "--yes", "--decision-id", DECISION]).code, Some(0));
    let task = &members(&up)["lint-c"][0];
    let ran = up.taskgraft(["plan", "lint-c", "--decision-id", task.as_str()]);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    assert!(ran.stderr.contains(&format!("its push is   {DECISION}")), "{}", ran.stderr);
    // In a URL it stands for its push, and to `task` for itself.
    let url = format!("{}/tasks/{task}", up.root_url());
    assert_eq!(up.taskgraft(["plan", "lint-c", "--decision-id", &url]).code, Some(0));
    let shown = up.taskgraft(["task", &url]);
    assert!(shown.stdout.starts_with("lint-c ") && shown.stdout.contains(task.as_str()), "{}", shown.stdout);
}

#[test]
fn what_a_plan_says_already_is_not_said_again() {
    for more in [&["--times", "2"][..], &["--partial"], &["--rerun-failed"], &["--policy", "graft"], &["lint-c"]] {
        let ran =
            Ran::from(command(["add", "--direct", "--plan", "3f9c81aa27d0", "--yes"]).args(more).output().unwrap());
        assert_eq!(ran.code, Some(2), "{more:?}: {}", ran.stderr);
    }
}

#[test]
fn a_group_that_takes_no_more() {
    let up = Up::start();
    push(&up);
    wait_for(up.client().queue().seal_task_group(DECISION.parse().unwrap())).unwrap();
    let ran = up.taskgraft(["add", "--direct", "lint-c", "--yes", "--decision-id", DECISION]);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    assert!(ran.stderr.contains("sealed"), "{}", ran.stderr);
    assert!(members(&up).is_empty());
}

#[test]
fn what_is_wrong_with_a_connection_says_what_to_check() {
    let up = Up::start();
    let wrong = |name: &str, value: &str| up.command(["task", DECISION]).env(name, value).output().unwrap();
    let ran = Ran::from(wrong("TASKCLUSTER_ACCESS_TOKEN", "a-secret-of-mine"));
    assert_eq!(ran.code, Some(4), "{}", ran.stderr);
    assert!(ran.stderr.contains("TASKCLUSTER_CLIENT_ID"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("a-secret-of-mine"), "{}", ran.stderr);
    // Nobody listens on the discard port.
    let ran = Ran::from(wrong("TASKCLUSTER_ROOT_URL", "http://127.0.0.1:9"));
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(ran.stderr.contains("no connection to http://127.0.0.1:9 "), "{}", ran.stderr);
}

#[test]
fn a_definition_that_the_queue_can_not_keep_is_refused_before_it_is_sent() {
    let up = Up::start();
    changed(&up, |graph| graph["lint-c"]["task"]["metadata"]["description"] = json!("NUL \u{0} here"));
    let ran = up.taskgraft(["add", "--direct", "lint-c", "--yes", "--decision-id", DECISION]);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    assert!(ran.stderr.contains("lint-c") && ran.stderr.contains("description"), "{}", ran.stderr);
    assert!(members(&up).is_empty());
}
