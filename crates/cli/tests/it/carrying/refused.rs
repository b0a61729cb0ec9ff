//! Requests that may not be done: refused with the reason, in the audit log, and nothing else.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use taskgraft_core::ids::TaskId;
use taskgraft_core::time::Millis;
use taskgraft_service::{Authority, NewRequest, PushName, State, Subject};

use super::{Book, ROLE, Serving, TRIGGER, ann, message, wish};
use crate::hooked::{grant, hooked, ours};
use crate::pushes::{another, members};
use crate::server::Up;

const ELSEWHERE: &str = "ZZZZZZZZQZqZZZZZZZZZZA";

/// A request, changed.
fn but(key: &str, authority: Authority, change: impl FnOnce(&mut NewRequest)) -> NewRequest {
    let mut new = wish(key, authority, &["lint-c"]);
    change(&mut new);
    new
}

fn cases() -> Vec<(NewRequest, &'static str)> {
    let Authority::Scopes { scopes, .. } = ann(&[TRIGGER]) else { panic!("scopes") };
    let past = Authority::Scopes { scopes, expires: Millis(Timestamp::now() - SignedDuration::from_secs(1)) };
    let able = || ann(&[TRIGGER]);
    let revision = |revision: &str| PushName::Revision { project: "lander".to_owned(), revision: revision.to_owned() };
    vec![
        (but("few", ann(&["hooks:trigger-hook:project-other/*"]), |_| {}), "hooks:trigger-hook:project-lander/"),
        (but("none", ann(&[]), |_| {}), "the client ann@lander.example lacks hooks:trigger-hook:project-lander/"),
        (but("past", past, |_| {}), "have expired"),
        (but("nobody", Authority::Nobody("nobody said so".to_owned()), |_| {}), "nobody said so"),
        (but("role", message(), |_| {}), "the role project:lander:pulse lacks hooks:trigger-hook:project-lander/"),
        (
            but("asker", message(), |new| new.asker.name = "eve@evil.example".to_owned()),
            "`requesters` does not name eve",
        ),
        (
            but("action", message(), |new| {
                new.asked.action = "cancel-all".to_owned();
                new.asked.input = Value::Null;
            }),
            "`actions` does not name cancel-all",
        ),
        (
            but("many", message(), |new| new.asked.input = json!({"tasks": ["lint-c", "lint-c"], "times": 2})),
            "`max_jobs` is 3, and 4 are asked for",
        ),
        (
            but("project", able(), |new| new.asked.project = Some("other".to_owned())),
            "it is of the project lander, not of other",
        ),
        (but("unserved", able(), |new| new.asked.project = Some("third".to_owned())), "`third` is not served"),
        (but("unknown", able(), |new| new.asked.push = revision("ffffffffffff")), "the index knows no decision task"),
        (but("gone", able(), |new| new.asked.push = PushName::Decision(ELSEWHERE.parse().unwrap())), "404"),
        (but("misspelt", able(), |new| new.asked.action = "add-new-job".to_owned()), "no such action"),
        (but("input", able(), |new| new.asked.input = json!({"tasks": "lint-c"})), "tasks"),
        (but("reserved", able(), |new| new.asked.input = json!({"taskgraft": {"key": "k"}})), "is reserved"),
        (
            but("subject", able(), |new| {
                new.asked.action = "rerun".to_owned();
                new.asked.input = json!({});
                new.asked.subject = Some(Subject::Task(TaskId::from_bytes([9; 16])));
            }),
            "it is of the group",
        ),
    ]
}

#[test]
fn what_may_not_be_done_is_refused_with_the_reason_and_leaves_nothing() {
    let up = Up::start();
    hooked(&up, &ours().0);
    grant(&up, ROLE, &["queue:create-task:*"]);
    another(&up, &TaskId::from_bytes([9; 16]).to_string());
    let before = members(&up);
    let _serving = Serving::start(&up);
    let book = Book::open(&up);
    for (new, part) in cases() {
        let key = new.key.clone();
        let id = book.receive(new);
        let request = book.ended(&id);
        let why = request.error.clone().unwrap_or_default();
        assert_eq!(request.state, State::Refused, "{key}: {request:?}");
        assert!(why.contains(part), "{key}: {why}");
        let (last, reason) = book.audited(&id).pop().unwrap();
        assert_eq!((last.as_str(), reason), ("refused", why), "{key}");
        // Whoever looks for what became of the clicks on a push finds it, however the push was named.
        let of_rights = ["few", "none", "past", "nobody", "role", "asker", "action", "many"].contains(&key.as_str());
        assert_eq!(request.decision.is_some(), of_rights, "{key}: {request:?}");
    }
    assert_eq!(members(&up), before);
    assert!(!before.contains_key("Action"));
}
