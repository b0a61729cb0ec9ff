//! Run a task once more, where its kind allows that.

use serde_json::{Value, json};

use super::deed::{Deeds, Refusal, View, is_retriggerable, is_set, times};
use super::fields;
use super::table::{Action, GENERIC, Needs, Origin};
use crate::graph::{TaskGraph, TaskIx};
use crate::json::{GraphFile, ReadError};
use crate::plan::Round;

/// The action.
pub(super) const ACTION: Action = Action {
    name: "retrigger",
    cb_name: "retrigger",
    title: "Retrigger",
    symbol: "rt",
    description: "Create a clone of the task.",
    order: 19,
    context: &[&[("retrigger", "true")]],
    permission: GENERIC,
    schema: Some(schema),
    origin: Origin::Reference,
    needs: Needs::GRAPH_AND_SUBJECT,
    decide,
};

fn schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "downstream": fields::downstream(),
            "times": fields::times_or_once(fields::OF_TASKS)
        }
    })
}

/// Also what `retrigger-disabled` does: there `force` may be set.
pub(super) fn decide(view: &View<'_>, input: &Value) -> Result<Deeds, Refusal> {
    let graph = view.graph()?;
    let label = view.subject.ok_or(Refusal::NoSubject)?.label()?;
    if !input.get("force").is_some_and(is_set) && !is_retriggerable(graph, label)? {
        return Err(Refusal::NotRetriggerable(label.to_owned()));
    }
    let mut labels = vec![label.to_owned()];
    if input.get("downstream").is_some_and(is_set) {
        let known = |label: &String| view.sources.iter().any(|source| source.labels.contains_key(label));
        labels = downstream(graph, label)?.into_iter().filter(known).collect();
    }
    Ok(Deeds { rounds: vec![Round { labels, times: times(input) }], ..Deeds::default() })
}

/// The label and all that needs it, directly or not, in the order of labels.
fn downstream(graph: &GraphFile, label: &str) -> Result<Vec<String>, ReadError> {
    let graph: TaskGraph = graph.whole()?;
    let start = graph.by_label(label).ok_or_else(|| ReadError::Unknown(vec![label.to_owned()]))?;
    let mut inside = vec![false; graph.len()];
    let mut queue: Vec<TaskIx> = vec![start];
    while let Some(ix) = queue.pop() {
        if !std::mem::replace(&mut inside[ix.index()], true) {
            queue.extend(graph.dependents(ix));
        }
    }
    Ok(graph.iter().filter(|(ix, _)| inside[ix.index()]).map(|(_, task)| task.label.to_string()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::deed::Subject;
    use crate::action::example::{Example, id};

    fn decided(push: &Example, label: &str, input: Value) -> Result<Vec<Round>, Refusal> {
        let definition = json!({"metadata": {"name": label}});
        let subject = Some(Subject { id: id(9), definition: Some(&definition) });
        decide(&View { subject, ..push.view() }, &input).map(|deeds| deeds.rounds)
    }

    #[test]
    fn only_what_may_be_retriggered_is_unless_forced() {
        let push =
            Example::with(&[("a", json!({"retrigger": true})), ("b", json!({"retrigger": false})), ("c", json!({}))]);
        let round = |label: &str, times| vec![Round { labels: vec![label.to_owned()], times }];
        assert_eq!(decided(&push, "a", json!({"times": 2})), Ok(round("a", 2)));
        for label in ["b", "c", "unknown"] {
            assert_eq!(decided(&push, label, json!({})), Err(Refusal::NotRetriggerable(label.into())), "{label}");
        }
        assert_eq!(decided(&push, "b", json!({"force": true})), Ok(round("b", 1)));
    }

    #[test]
    fn what_needs_it_and_has_a_task_goes_with_it() {
        let entry = |label: &str, on: Value| {
            json!({"attributes": {"retrigger": true}, "dependencies": on, "kind": "k", "label": label,
                   "optimization": null, "task": {}})
        };
        let graph = json!({
            "build": entry("build", json!({})), "test": entry("test", json!({"build": "build"})),
            "report": entry("report", json!({"test": "test"})), "unscheduled": entry("unscheduled", json!({"b": "build"})),
            "lint": entry("lint", json!({})),
        });
        let mut push = Example::of(&[]);
        push.graph = crate::json::GraphFile::read(graph.to_string().into()).unwrap();
        push.source(&[("build", 1), ("test", 2), ("lint", 4)]);
        push.source(&[("report", 3)]);
        let rounds = decided(&push, "build", json!({"downstream": true})).unwrap();
        assert_eq!(rounds[0].labels, ["build", "report", "test"]);
    }
}
