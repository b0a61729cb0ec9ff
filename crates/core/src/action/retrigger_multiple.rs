//! Run many jobs once more, each as many times as asked for.

use serde_json::{Value, json};

use super::deed::{Deeds, Refusal, Rerun, View, is_retriggerable, texts, times};
use super::fields;
use super::table::{Action, DEFAULT_ORDER, GENERIC, Needs, Origin};
use crate::plan::{Numbered, Policy, Round};

/// The action.
pub(super) const ACTION: Action = Action {
    name: "retrigger-multiple",
    cb_name: "retrigger-multiple",
    title: "Retrigger",
    symbol: "rt",
    description: "Create a clone of the task.",
    order: DEFAULT_ORDER,
    context: &[],
    permission: GENERIC,
    schema: Some(schema),
    origin: Origin::Reference,
    needs: Needs::GRAPH,
    decide,
};

fn schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "requests": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "tasks": fields::tasks(),
                        "times": fields::times(fields::OF_TASKS)
                    },
                    "additionalProperties": false
                }
            },
            // A property of that name, which is what the reference publishes.
            "additionalProperties": false
        }
    })
}

fn decide(view: &View<'_>, input: &Value) -> Result<Deeds, Refusal> {
    let graph = view.graph()?;
    let requests = input.get("requests").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut deeds = Deeds { numbered: Numbered::RoundsAndTimes, ..Deeds::default() };
    for request in requests {
        let mut labels = Vec::new();
        for label in texts(request, "tasks")? {
            // One that nobody knows is refused with its neighbours when it is planned.
            let unknown = view.policy == Policy::Graft && !graph.contains(&label);
            if unknown || is_retriggerable(graph, &label)? {
                labels.push(label);
            } else {
                let task = view.tasks_of(&label).first().copied().ok_or_else(|| Refusal::NoTask(label.clone()))?;
                let rerun = Rerun { label, task };
                if !deeds.rerun.contains(&rerun) || view.policy == Policy::Reference {
                    deeds.rerun.push(rerun);
                }
            }
        }
        // The reference goes through the motions for a round without labels, and leaves its artifacts.
        if !labels.is_empty() || view.policy == Policy::Reference {
            deeds.rounds.push(Round { labels, times: times(request) });
        }
    }
    Ok(deeds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::example::{Example, id};

    fn push() -> Example {
        let mut push = Example::with(&[("a", json!({"retrigger": true})), ("b", json!({})), ("c", json!({}))]);
        push.source(&[("b", 1)]);
        push.source(&[("b", 2)]);
        push
    }

    #[test]
    fn what_may_not_be_retriggered_is_run_again_once() {
        let input = json!({"requests": [
            {"tasks": ["a", "b"], "times": 2}, {"tasks": ["b"]}, {"tasks": ["a", "misspelt"]},
        ]});
        let push = push();
        let deeds = decide(&push.view(), &input).unwrap();
        let rounds = [
            Round { labels: vec!["a".into()], times: 2 },
            Round { labels: vec!["a".into(), "misspelt".into()], times: 1 },
        ];
        assert_eq!((deeds.rounds.as_slice(), deeds.numbered), (&rounds[..], Numbered::RoundsAndTimes));
        assert_eq!(deeds.rerun, [Rerun { label: "b".into(), task: id(2) }], "the newest");
    }

    #[test]
    fn a_label_without_a_task_can_not_be_run_again() {
        let push = push();
        let input = json!({"requests": [{"tasks": ["c"]}]});
        assert_eq!(decide(&push.view(), &input), Err(Refusal::NoTask("c".into())));
        let unknown = json!({"requests": [{"tasks": ["misspelt"]}]});
        let reference = View { policy: Policy::Reference, ..push.view() };
        assert_eq!(decide(&reference, &unknown), Err(Refusal::NoTask("misspelt".into())));
    }
}
