//! Whether a task that exists is the one that would be created.
//!
//! Not compared: created, deadline, expires, priority, extra.parent, dependencies, and the ids of dependencies wherever
//! they stand in texts; two requests that need the same thing differ in those. Nor whether a private artifact is had
//! from the deployment or through a proxy, which follows from where a request is carried out. Compared after the queue's
//! defaults are filled in, since that is how it answers.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::definition::ArtifactUrls;
use crate::time;

const ID: usize = 22;
/// Where workers have their proxy by convention. A requester without one has not been told.
const PROXY: &str = "http://taskcluster";
/// What the URL of an artifact goes on with.
const TASK: &str = "/api/queue/v1/task/";

/// Whether `theirs`, as getTask answers it, is `ours`: a definition with its ids in and its relative datestamps not yet
/// resolved, which stand for any moment.
pub(crate) fn same_task(ours: &Value, theirs: &Value, urls: &ArtifactUrls) -> bool {
    // A group stands in no doubt, whatever is blotted out.
    if ours.get("taskGroupId") != theirs.get("taskGroupId") {
        return false;
    }
    // One of the two may wait for the decision task and the other only name it in a text: what is blotted out in one
    // is blotted out in both.
    let mut ids = dependencies(ours);
    ids.append(&mut dependencies(theirs));
    let hosts = [Some(urls.root.as_str()), urls.proxy.as_deref(), Some(PROXY)];
    let queues = hosts.into_iter().flatten().map(|host| format!("{}{TASK}", host.trim_end_matches('/')));
    let blots = Blots { ids, queues: queues.collect() };
    let (Some(ours), Some(theirs)) = (comparable(ours, &blots), comparable(theirs, &blots)) else { return false };
    equal(&ours, &theirs)
}

/// What is not compared in texts.
struct Blots {
    /// The ids of dependencies.
    ids: BTreeSet<String>,
    /// What the URLs of artifacts begin with.
    queues: Vec<String>,
}

fn comparable(definition: &Value, blots: &Blots) -> Option<Value> {
    let mut fields = definition.as_object()?.clone();
    for ignored in ["created", "deadline", "expires", "priority", "dependencies"] {
        fields.remove(ignored);
    }
    fill_defaults(&mut fields);
    if let Some(extra) = fields.get_mut("extra").and_then(Value::as_object_mut) {
        extra.remove("parent");
    }
    let mut value = Value::Object(fields);
    mask(&mut value, blots);
    Some(value)
}

/// The ids in a definition's `dependencies`.
pub(crate) fn dependencies(definition: &Value) -> BTreeSet<String> {
    let list = definition.get("dependencies").and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// What the queue fills in where a definition given to createTask leaves it out.
fn fill_defaults(fields: &mut Map<String, Value>) {
    let defaults = [
        ("schedulerId", json!("-")),
        ("projectId", json!("none")),
        ("requires", json!("all-completed")),
        ("retries", json!(5)),
        ("routes", json!([])),
        ("scopes", json!([])),
        ("tags", json!({})),
        ("extra", json!({})),
    ];
    for (name, default) in defaults {
        fields.entry(name).or_insert(default);
    }
    let text = |fields: &Map<String, Value>, name: &str| fields.get(name).and_then(Value::as_str).map(str::to_owned);
    match (text(fields, "taskQueueId"), text(fields, "provisionerId"), text(fields, "workerType")) {
        (None, Some(provisioner), Some(worker)) => {
            fields.insert("taskQueueId".to_owned(), json!(format!("{provisioner}/{worker}")));
        }
        (Some(queue), _, _) => {
            if let Some((provisioner, worker)) = queue.split_once('/') {
                fields.insert("provisionerId".to_owned(), json!(provisioner));
                fields.insert("workerType".to_owned(), json!(worker));
            }
        }
        (None, _, _) => {}
    }
}

/// Blots out in all texts and keys what is not compared.
fn mask(value: &mut Value, blots: &Blots) {
    match value {
        Value::String(text) => blots.blot(text),
        Value::Array(items) => items.iter_mut().for_each(|item| mask(item, blots)),
        Value::Object(fields) => {
            let masked = std::mem::take(fields).into_iter().map(|(mut key, mut field)| {
                blots.blot(&mut key);
                mask(&mut field, blots);
                (key, field)
            });
            *fields = masked.collect();
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

impl Blots {
    fn blot(&self, text: &mut String) {
        if text.len() < ID {
            return;
        }
        for id in self.ids.iter().filter(|id| id.len() == ID) {
            if text.contains(id.as_str()) {
                *text = text.replace(id.as_str(), &"*".repeat(ID));
            }
        }
        if text.contains(TASK) {
            for queue in &self.queues {
                *text = text.replace(queue, TASK);
            }
        }
    }
}

fn equal(ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Object(datestamp), Value::String(moment)) => {
            datestamp.len() == 1 && datestamp.contains_key("relative-datestamp") && time::parse(moment).is_ok()
        }
        (Value::Object(ours), Value::Object(theirs)) => {
            ours.len() == theirs.len()
                && ours.iter().all(|(key, field)| theirs.get(key).is_some_and(|other| equal(field, other)))
        }
        (Value::Array(ours), Value::Array(theirs)) => {
            ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(ours, theirs)| equal(ours, theirs))
        }
        // A JavaScript queue knows no difference between 2.0 and 2.
        (Value::Number(ours), Value::Number(theirs)) => ours == theirs || ours.as_f64() == theirs.as_f64(),
        (ours, theirs) => ours == theirs,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(ours: &Value, theirs: &Value) -> bool {
        same_task(ours, theirs, &ArtifactUrls { root: "https://tc".into(), proxy: None })
    }

    fn ours() -> Value {
        json!({
            "provisionerId": "p", "workerType": "w", "taskGroupId": "G", "schedulerId": "s",
            "created": {"relative-datestamp": "0 seconds"}, "deadline": {"relative-datestamp": "1 day"},
            "dependencies": ["AAAAAAAAAAAAAAAAAAAAAA"], "extra": {"parent": "x", "n": 2.0},
            "payload": {
                "fetch": "https://tc/AAAAAAAAAAAAAAAAAAAAAA/a",
                "artifacts": {"expires": {"relative-datestamp": "1 year"}},
            },
        })
    }

    fn theirs() -> Value {
        json!({
            "provisionerId": "p", "workerType": "w", "taskQueueId": "p/w", "taskGroupId": "G", "schedulerId": "s",
            "projectId": "none", "requires": "all-completed", "retries": 5, "routes": [], "scopes": [], "tags": {},
            "priority": "low", "created": "2026-01-01T00:00:00.000Z", "deadline": "2026-01-02T00:00:00.000Z",
            "expires": "2027-01-02T00:00:00.000Z",
            "dependencies": ["BBBBBBBBBBBBBBBBBBBBBB", "CCCCCCCCCCCCCCCCCCCCCC"], "extra": {"parent": "y", "n": 2},
            "payload": {
                "fetch": "https://tc/BBBBBBBBBBBBBBBBBBBBBB/a",
                "artifacts": {"expires": "2027-01-01T00:00:00.000Z"},
            },
        })
    }

    #[test]
    fn what_two_requesters_differ_in_is_not_compared() {
        assert!(same(&ours(), &theirs()));
    }

    #[test]
    fn depending_on_the_decision_task_or_not_makes_no_difference() {
        let group = "GGGGGGGGGGGGGGGGGGGGGG";
        let (mut ours, mut theirs) = (ours(), theirs());
        for definition in [&mut ours, &mut theirs] {
            definition["taskGroupId"] = json!(group);
        }
        ours["dependencies"] = json!(["AAAAAAAAAAAAAAAAAAAAAA", group]);
        assert!(same(&ours, &theirs));
        theirs["taskGroupId"] = json!("BBBBBBBBBBBBBBBBBBBBBB");
        assert!(!same(&ours, &theirs), "a group is never blotted out");
    }

    #[test]
    fn everything_else_is() {
        let changes: [(&str, Value); 7] = [
            ("/payload/fetch", json!("https://tc/DDDDDDDDDDDDDDDDDDDDDD/a")),
            ("/payload/artifacts/expires", json!("never")),
            ("/taskGroupId", json!("H")),
            ("/schedulerId", json!("t")),
            ("/extra/n", json!(3)),
            ("/retries", json!(0)),
            ("/scopes", json!(["x"])),
        ];
        for (pointer, changed) in changes {
            let mut theirs = theirs();
            *theirs.pointer_mut(pointer).unwrap() = changed;
            assert!(!same(&ours(), &theirs), "{pointer}");
        }
        assert!(!same(&ours(), &json!("a text")));
    }

    #[test]
    fn an_artifact_may_be_had_through_a_proxy_but_not_from_elsewhere() {
        let at = |host: &str| {
            let mut definition = ours();
            definition["payload"]["fetch"] = json!(format!("get {host}/api/queue/v1/task/X/artifacts/private/a now"));
            definition
        };
        assert!(same(&at("https://tc"), &at("http://taskcluster")));
        assert!(!same(&at("https://tc"), &at("https://evil.example")));
        assert!(!same(&at("https://tc"), &at("https://evil.example/https://tc")));
    }
}
