//! Following one request through everything that is logged.

use serde_json::{Value, json};

use crate::door::Serve;
use crate::hooked::{hooked, ours};
use crate::pushes::DECISION;
use crate::server::Up;

/// The lines of a log that are JSON objects.
fn objects(log: &[String]) -> Vec<Value> {
    log.iter().filter_map(|line| serde_json::from_str(line).ok()).filter(Value::is_object).collect()
}

#[test]
fn every_line_of_a_request_says_whose_it_is_and_none_says_a_secret() {
    let up = Up::with(&["--no-worker", "--action-worker", "proj-lander/action"]);
    hooked(&up, &ours().0);
    let serve = Serve::start(
        &up,
        "[project.lander]\nlevel = \"3\"\n",
        &[("TASKGRAFT_LOG", "taskgraft=trace,hyper=debug,reqwest=debug,info")],
    );
    let asking = json!({"push": DECISION, "action": "add-new-jobs", "input": {"tasks": ["lint-c"]}});
    let (_, request) = serve.ask("followed", &asking);
    assert_eq!(request["state"], "done", "{request}");
    let id = request["id"].as_str().unwrap().to_owned();
    let (asker, secret) = (up.variables[1].1.clone(), up.variables[2].1.clone());
    let log = up.taskgraft(["requests", "--journal", "journal.sqlite", "log", &id, "--follow", "--json"]);
    assert_eq!(log.code, Some(0), "{}", log.stderr);
    let lines = objects(&log.stdout.lines().map(str::to_owned).collect::<Vec<_>>());
    let messages: Vec<&str> = lines.iter().map(|line| line["message"].as_str().unwrap()).collect();
    assert_eq!(messages, ["received over HTTP", "allowed", "sent: the push's action does it", "done"]);
    for (n, line) in lines.iter().enumerate() {
        assert_eq!((&line["request"], &line["asker"]), (&json!(id), &json!(asker)), "{line}");
        let known = |at: usize, value: &Value| if n < at { &Value::Null } else { value }.clone();
        assert_eq!(line["decision"], known(1, &json!(DECISION)), "{line}");
        assert_eq!(line["task"], known(2, &request["actionTask"]), "{line}");
    }
    let readable = up.taskgraft(["requests", "--journal", "journal.sqlite", "log", &id]).stdout;
    assert_eq!(readable.lines().count(), 4);
    assert!(readable.lines().last().unwrap().ends_with("INFO  done  jobs=3"), "{readable}");
    // The log has the same lines with the same fields, and no secret even where all is told.
    let log = serve.kill();
    assert!(log.len() > 20, "{log:?}");
    let told = objects(&log);
    let told: Vec<&Value> = told.iter().filter(|line| line["span"]["request"] == id.as_str()).collect();
    for message in messages {
        let line = told.iter().find(|line| line["message"] == message).unwrap();
        assert_eq!(line["span"]["asker"], asker.as_str());
    }
    for line in &log {
        for secret in [secret.as_str(), "bewit=", "mac=\""] {
            assert!(!line.contains(secret) || line.contains(&format!("{secret}…")), "{line}");
        }
    }
}
