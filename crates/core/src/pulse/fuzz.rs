//! Laws of reading, over messages that nobody would write by hand.

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use taskgraft_testkit::fuzz::fuzz;
use taskgraft_testkit::rng::Rng;

use super::{Message, Push, Wants};

/// A number as Treeherder wrote it in one message or another.
fn spelt(number: u64, as_text: bool) -> Value {
    if as_text { json!(number.to_string()) } else { json!(number) }
}

/// A request for jobs in the spelling of one time.
fn new_jobs(facts: &(Vec<String>, u64, Option<String>), old_jobs: bool, old_decision: bool, text: bool) -> Value {
    let (jobs, resultset, decision) = facts;
    let mut fields = Map::new();
    fields.insert("version".into(), spelt(1, text));
    fields.insert("project".into(), json!("try"));
    fields.insert("requester".into(), json!("ann@lander.example"));
    fields.insert("resultset_id".into(), spelt(*resultset, !text));
    fields.insert(if old_jobs { "buildernames" } else { "requested_jobs" }.into(), json!(jobs));
    let decision = json!(decision.as_deref().unwrap_or_default());
    fields.insert(if old_decision { "decisionTaskID" } else { "decision_task_id" }.into(), decision);
    if text {
        fields.insert("timestamp".into(), json!("1470000000.0"));
    }
    fields.into()
}

proptest! {
    #[test]
    fn in_every_spelling_a_message_asks_for_the_same(
        jobs in prop::collection::vec("[A-Za-z0-9 _.()/-]{1,40}", 1..20),
        resultset in 0..u64::MAX,
        decision in prop::option::of("[A-Za-z0-9_-]{22}"),
    ) {
        let facts = (jobs, resultset, decision);
        let read = |at: usize| {
            let body = new_jobs(&facts, at & 1 > 0, at & 2 > 0, at & 4 > 0).to_string();
            let (message, addressed) = Message::delivered(None, Some("try"), body.as_bytes()).unwrap();
            assert_eq!(addressed, Ok(()));
            message
        };
        let first = read(0);
        for at in 1..8 {
            prop_assert_eq!(&read(at), &first);
        }
        let Wants::NewJobs { push, jobs } = first.wants else { panic!("it asks for jobs") };
        prop_assert_eq!(push, match &facts.2 {
            Some(decision) => Push::Decision(decision.parse().unwrap(), Some(facts.1)),
            None => Push::Number(facts.1),
        });
        prop_assert!(jobs.iter().all(|job| facts.0.contains(job)));
        prop_assert!(facts.0.iter().all(|job| jobs.contains(job)));
    }
}

/// A value of any shape, as likely as not one that means something somewhere.
fn any_value(rng: &mut Rng) -> Value {
    match rng.below(10) {
        0 => Value::Null,
        1 => json!(rng.draw()),
        2 => json!(1),
        3 => json!(rng.chance(50)),
        4 => json!(["a", any_text(rng)]),
        5 => json!({"a": [1]}),
        6 => json!(format!("{}", rng.below(1000))),
        7 => json!("AWMGHageTsSoYmoMR1_cRw"),
        8 => json!("bfcfef92-9000-4121-ac73-d634028e5705/0"),
        _ => json!(any_text(rng)),
    }
}

fn any_text(rng: &mut Rng) -> String {
    (*rng.pick(&["", "try", "cancel_all", "retrigger", "backfill", "a\u{0}b", "\u{1b}[2J", "ä", "x/y", "\u{202e}"]))
        .to_owned()
}

fn any_body(rng: &mut Rng) -> Vec<u8> {
    const NAMES: [&str; 13] = [
        "version",
        "project",
        "requester",
        "resultset_id",
        "requested_jobs",
        "buildernames",
        "decision_task_id",
        "decisionTaskID",
        "action",
        "times",
        "job_id",
        "job_guid",
        "build_system_type",
    ];
    let mut fields = Map::new();
    for name in rng.some_of(&NAMES, 60) {
        let right = match name {
            "version" => json!(1),
            "project" => json!("try"),
            "requester" => json!("ann"),
            _ => any_value(rng),
        };
        let value = if rng.chance(90) { right } else { any_value(rng) };
        fields.insert(name.to_owned(), value);
    }
    let mut bytes = Value::Object(fields).to_string().into_bytes();
    for _ in 0..rng.below(3) {
        let at = rng.below(bytes.len());
        bytes[at] = u8::try_from(rng.below(256)).unwrap_or_default();
    }
    bytes
}

#[test]
fn fuzz_reading_messages() {
    fuzz("reading messages", |rng| {
        let body = any_body(rng);
        let exchange = rng
            .chance(50)
            .then(|| format!("exchange/treeherder/v1/{}", rng.pick(&["job-actions", "resultset-actions", "x"])));
        let key = rng.chance(30).then(|| any_text(rng));
        match Message::delivered(exchange.as_deref().map(str::parse), key.as_deref(), &body) {
            Ok((message, addressed)) => {
                let wrong = addressed.err().map(|wrong| wrong.to_string()).unwrap_or_default();
                let text = format!("{} {} {wrong}", message.project, message.requester);
                assert!(!text.chars().any(char::is_control), "{text:?}");
                if let Wants::NewJobs { jobs, .. } = &message.wants {
                    assert!(!jobs.is_empty() && !jobs.iter().any(|job| job.chars().any(char::is_control)));
                }
                // What is inferred is what it would have been told.
                assert_eq!(Message::read(Some(message.exchange.clone()), &body), Ok(message));
            }
            Err(error) => {
                let text = error.to_string();
                assert!(text.len() < 1000 && !text.chars().any(char::is_control), "{text:?}");
            }
        }
    });
}
