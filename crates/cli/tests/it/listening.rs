//! `listen --replay --dry-run`: recorded messages are understood, whatever else there is.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::Stdio;

use serde_json::{Value, json};
use taskgraft_testkit::python::python;
use taskgraft_testkit::recorded::shared;

use crate::run::{Ran, command, taskgraft};

fn replayed(text: &str, args: &[&str]) -> Ran {
    let mut child = command(["listen", "--replay", "-", "--dry-run"].iter().chain(args))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let text = text.to_owned();
    // Output is read while the input is written: neither waits for the other.
    let writing = std::thread::spawn(move || stdin.write_all(text.as_bytes()));
    let ran = child.wait_with_output().unwrap().into();
    writing.join().unwrap().unwrap();
    ran
}

fn lines(ran: &Ran) -> Vec<Value> {
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Counts messages by their fields alone, knowing nothing of ours.
const ORACLE: &str = "
import collections, json, sys
ours = {'cancel_all': 'cancel-all', 'trigger_missing_jobs': 'run-missing-jobs', 'trigger_all_talos_jobs': 'add-matching-jobs'}
out = []
for line in open(sys.argv[1]):
    m = json.loads(line)
    asked = {'requester': m['requester'], 'project': m['project']}
    if 'buildernames' in m:
        kind, asked['action'], asked['input'] = 'add-new-jobs', 'add-new-jobs', {'tasks': m['buildernames']}
    elif 'job_id' in m:
        kind, asked['action'], asked['input'] = 'job-action', m['action'], None
        asked['subject'] = {'job': {'project': m['project'], 'id': m['job_id']}}
    else:
        kind, asked['action'], asked['input'] = 'push-action', ours[m['action']], None
        if m['action'] == 'trigger_all_talos_jobs':
            asked['input'] = {'label': ['*talos*'], 'times': m['times']}
    if 'job_id' in m:
        asked['push'] = {'of_job': {'project': m['project'], 'id': m['job_id']}}
    else:
        asked['push'] = {'resultset': {'project': m['project'], 'id': int(m['resultset_id'])}}
    out.append([kind, asked])
json.dump(out, sys.stdout)
";

#[test]
fn every_recorded_message_is_understood_without_anything_else() {
    let Some(shared) = shared() else { return };
    let file = shared.join("data/pulse-2016.jsonl");
    let told = lines(&taskgraft(["listen", "--dry-run", "--json", "--replay", file.to_str().unwrap()]));
    let output = python().args(["-c", ORACLE]).arg(&file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let expected: Vec<(String, Value)> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told.len(), 400);
    let mut counts = BTreeMap::new();
    for (number, (told, (kind, asked))) in (1..).zip(told.iter().zip(&expected)) {
        assert_eq!((&told["line"], &told["kind"], &told["asked"]), (&json!(number), &json!(kind), asked));
        // All of that time: their pushes have numbers that only a Treeherder knows.
        assert_eq!((&told["outcome"], &told["policy"]), (&json!("unresolved"), &Value::Null));
        assert!(told["reason"].as_str().unwrap().ends_with("no Treeherder is configured for the project"), "{told}");
        *counts.entry((kind.as_str(), asked["action"].as_str().unwrap())).or_insert(0) += 1;
    }
    let golden = [
        (("add-new-jobs", "add-new-jobs"), 120),
        (("job-action", "backfill"), 18),
        (("push-action", "add-matching-jobs"), 11),
        (("push-action", "cancel-all"), 250),
        (("push-action", "run-missing-jobs"), 1),
    ];
    assert_eq!(counts, BTreeMap::from(golden));
}

#[test]
fn people_are_told_a_line_for_each_message_and_a_count() {
    let Some(shared) = shared() else { return };
    let ran = taskgraft(["listen", "--dry-run", "--replay", shared.join("data/pulse-2016.jsonl").to_str().unwrap()]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let first = ran.stdout.lines().next().unwrap();
    assert_eq!(
        first,
        "    1 cancel-all on push 87376 of try, for user-f37a8961@staff.example: unresolved; failed to find push 87376 of \
         try: no Treeherder is configured for the project"
    );
    let end = "add-new-jobs  unresolved  120\njob-action    unresolved  18\npush-action   unresolved  262\n\
               400 messages; nothing was created\n";
    assert!(ran.stdout.ends_with(end), "{}", &ran.stdout[ran.stdout.len() - 200..]);
}

#[test]
fn garbage_has_its_line_too_and_nothing_is_hidden_by_a_refusal() {
    let good = r#"{"version": "1", "project": "try", "requester": "ann", "resultset_id": 7, "decisionTaskID": "AWMGHageTsSoYmoMR1_cRw", "requested_jobs": ["a"]}"#;
    let long = "x".repeat(3 << 20);
    let to = |address: &str| format!("{{\"payload\": {good}, {address}}}");
    let (autoland, elsewhere) = (to("\"routingKey\": \"autoland\""), to("\"exchange\": \"exchange/other/clicks\""));
    let text = format!("{good}\ngarbage\n\n{long}\n{autoland}\n\u{1b}[2J\n{elsewhere}\n");
    let told = lines(&replayed(&text, &["--json"]));
    let kinds: Vec<_> =
        told.iter().map(|line| (line["line"].as_u64().unwrap(), line["kind"].as_str().unwrap())).collect();
    let (jobs, unreadable) = ("add-new-jobs", "unreadable");
    assert_eq!(kinds, [(1, jobs), (2, unreadable), (4, unreadable), (5, jobs), (6, unreadable), (7, jobs)]);
    assert_eq!((&told[0]["outcome"], &told[1]["asked"]), (&json!("understood"), &Value::Null));
    assert!(told[2]["reason"].as_str().unwrap().contains("are the most that is read"), "{}", told[2]);
    for (at, reason) in [(3, "the routing key is `autoland`"), (5, "the exchange `exchange/other/clicks` is none of")] {
        assert_eq!((&told[at]["outcome"], &told[at]["asked"]), (&json!("refused"), &told[0]["asked"]));
        assert!(told[at]["reason"].as_str().unwrap().contains(reason), "{}", told[at]);
    }

    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("service.toml");
    std::fs::write(&config, "[project.try]\nlevel = \"1\"\n").unwrap();
    let refused = &lines(&replayed(good, &["--json", "--config", config.to_str().unwrap()]))[0];
    assert_eq!((&refused["outcome"], &refused["asked"]), (&json!("refused"), &told[0]["asked"]));
    assert_eq!(refused["policy"]["verdict"], "refused");
    assert_eq!(refused["reason"], "the project has no rule that lets pulse messages through");
}

#[test]
fn without_a_dry_run_messages_go_into_the_journal_once() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("service.toml");
    std::fs::write(&config, "journal = \"journal.sqlite\"\n[project.try]\nlevel = \"1\"\n").unwrap();
    let messages = dir.path().join("messages.jsonl");
    let message = |id: u8| {
        let message =
            json!({"version": 1, "project": "try", "requester": "ann", "resultset_id": id, "action": "cancel_all"});
        message.to_string()
    };
    std::fs::write(&messages, [message(1), message(2), message(1), "garbage".to_owned()].join("\n")).unwrap();
    let (config, messages) = (config.to_str().unwrap(), messages.to_str().unwrap());
    let replay = || lines(&taskgraft(["listen", "--replay", messages, "--config", config, "--json"]));
    let outcomes =
        |lines: &[Value]| lines.iter().map(|line| line["outcome"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    let first = replay();
    assert_eq!(outcomes(&first), ["received", "received", "known", "unreadable"]);
    assert_eq!(outcomes(&replay()), ["known", "known", "known", "unreadable"]);
    let id = first[0]["reason"].as_str().unwrap().strip_prefix("request ").unwrap();
    assert!(first[2]["reason"].as_str().unwrap().contains(id));
    assert_eq!(first[0]["policy"]["verdict"], "refused", "which whoever carries it out will say, too");
    let ran = taskgraft(["listen", "--replay", messages]);
    assert!(ran.code == Some(2) && ran.stderr.contains("--config"), "{}", ran.stderr);
}

#[test]
fn only_a_file_that_cant_be_read_is_a_failure() {
    let ran = taskgraft(["listen", "--dry-run", "--replay", "/nonexistent/messages.jsonl"]);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    assert!(ran.stderr.contains("failed to read /nonexistent/messages.jsonl"), "{}", ran.stderr);
    let ran = taskgraft(["listen", "--dry-run", "--replay", "/"]);
    assert!(ran.code == Some(3) && ran.stderr.contains("it is a directory"), "{}", ran.stderr);
    let ran = replayed("", &["--config", "/nonexistent/service.toml"]);
    assert!(ran.code == Some(3) && ran.stderr.contains("service.toml"), "{}", ran.stderr);
    assert_eq!(lines(&replayed("", &["--json"])), [] as [Value; 0]);
}
