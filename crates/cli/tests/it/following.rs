//! Following one request through everything that is logged.

use serde_json::{Value, json};
use taskgraft_testkit::buildbot::Buildbot;
use taskgraft_testkit::clicks::EXCHANGE;
use taskgraft_testkit::rabbit;

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
    let buildbot = Buildbot::start(&[("old", &["true"])], &[]);
    let config = format!(
        "[project.lander]\nlevel = \"3\"\n[[project.lander.buildbot]]\nname = \"old\"\nurl = \"{}\"\n\
         scheduler = \"force\"\nbuilders = [\"old\"]\nuser = \"forcer\"\n",
        buildbot.url()
    );
    let pulse = format!(
        "[pulse]\nurl = \"amqp://{}\"\nuser = \"guest\"\n[[pulse.handler]]\nexchange = \"{EXCHANGE}\"\n",
        rabbit::shared().rsplit('@').next().unwrap()
    );
    // Neither lets anybody in with it; what is logged about that is as much at stake.
    let secrets = [("TASKGRAFT_PULSE_PASSWORD", "s3cret-pulse"), ("TASKGRAFT_BUILDBOT_PASSWORD_OLD", "s3cret-old")];
    let variables = [&secrets[..], &[("TASKGRAFT_LOG", "trace")]].concat();
    let serve = Serve::start(&up, &config, &variables);
    let asking = json!({"push": DECISION, "action": "add-new-jobs", "input": {"tasks": ["lint-c", "old"]}});
    let (_, request) = serve.ask("followed", &asking);
    assert_eq!(request["state"], "failed", "{request}");
    assert!(request["error"].as_str().unwrap().contains("failed to log in as `forcer`: 401"), "{request}");
    let id = request["id"].as_str().unwrap().to_owned();
    let (asker, secret) = (up.variables[1].1.clone(), up.variables[2].1.clone());
    let log = up.taskgraft(["requests", "--journal", "journal.sqlite", "log", &id, "--follow", "--json"]);
    assert_eq!(log.code, Some(0), "{}", log.stderr);
    let lines = objects(&log.stdout.lines().map(str::to_owned).collect::<Vec<_>>());
    let messages: Vec<&str> = lines.iter().map(|line| line["message"].as_str().unwrap()).collect();
    let (silent, sent) =
        ("failed to list the builders: failed to log in as `forcer`: 401", "sent: the push's action does it");
    let once = ["received over HTTP", silent, "allowed", sent, "build", "failed"];
    // A login that failed lately is not tried again; on a busy machine it may be.
    let again = ["received over HTTP", silent, "allowed", sent, silent, "build", "failed"];
    assert!(messages == once || messages == again, "{messages:?}");
    for (n, line) in lines.iter().enumerate() {
        assert_eq!((&line["request"], &line["asker"]), (&json!(id), &json!(asker)), "{line}");
        let known = |at: usize, value: &Value| if n < at { &Value::Null } else { value }.clone();
        assert_eq!(line["decision"], known(2, &json!(DECISION)), "{line}");
        assert_eq!(line["task"], known(3, &request["actionTask"]), "{line}");
    }
    let readable = up.taskgraft(["requests", "--journal", "journal.sqlite", "log", &id]).stdout;
    assert_eq!(readable.lines().count(), messages.len());
    assert!(readable.lines().nth(messages.len() - 2).unwrap().contains("INFO  build  "), "{readable}");
    // The log has the same lines with the same fields, and no secret even where all is told.
    let log = serve.kill();
    assert!(log.len() > 20, "{log:?}");
    let told = objects(&log);
    let told: Vec<&Value> = told.iter().filter(|line| line["span"]["request"] == id.as_str()).collect();
    for message in messages {
        let line = told.iter().find(|line| line["message"] == message).unwrap();
        assert_eq!(line["span"]["asker"], asker.as_str());
    }
    // Nor does the log of one that the broker refuses.
    let (code, refused) = Serve::start(&up, &format!("{pulse}{config}"), &variables).ended();
    assert_eq!(code, Some(1), "{refused:?}");
    assert!(refused.iter().any(|line| line.contains("ACCESS_REFUSED")), "{refused:?}");
    for line in log.iter().chain([&readable]).chain(&refused) {
        for secret in [secret.as_str(), secrets[0].1, secrets[1].1] {
            assert!(!line.contains(secret), "{line}");
        }
        for before in ["bewit=", "mac=\""] {
            assert!(line.split(before).skip(1).all(|rest| rest.starts_with('…')), "{line}");
        }
    }
}
