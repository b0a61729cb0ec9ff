//! Add jobs by their labels.

use serde_json::{Value, json};

use super::deed::{Deeds, Refusal, View, texts, times};
use super::fields;
use super::table::{Action, GENERIC, Needs, Origin};
use crate::plan::{Policy, Round};

/// The action.
pub(super) const ACTION: Action = Action {
    name: "add-new-jobs",
    cb_name: "add-new-jobs",
    title: "Add new jobs",
    symbol: "add-new",
    description: "Add new jobs using task labels.",
    order: 100,
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
            "tasks": fields::tasks(),
            "times": fields::times_or_once(fields::OF_TASKS)
        }
    })
}

fn decide(view: &View<'_>, input: &Value) -> Result<Deeds, Refusal> {
    let labels = texts(input, "tasks")?;
    if labels.is_empty() && view.policy == Policy::Graft {
        return Err(Refusal::Input("`tasks` names no job".to_owned()));
    }
    Ok(Deeds { rounds: vec![Round { labels, times: times(input) }], ..Deeds::default() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::example::Example;

    #[test]
    fn the_labels_are_made_together() {
        let push = Example::of(&["a"]);
        let deeds = decide(&push.view(), &json!({"tasks": ["b", "a"], "times": 3})).unwrap();
        assert_eq!(deeds.rounds, [Round { labels: vec!["b".into(), "a".into()], times: 3 }]);
    }

    #[test]
    fn asking_for_nothing_is_a_mistake_that_the_reference_lets_pass() {
        let push = Example::of(&["a"]);
        assert!(matches!(decide(&push.view(), &json!({"tasks": []})), Err(Refusal::Input(_))));
        assert!(matches!(decide(&push.view(), &json!({})), Err(Refusal::Input(_))));
        let reference = crate::action::deed::View { policy: Policy::Reference, ..push.view() };
        assert_eq!(decide(&reference, &json!({"tasks": []})).unwrap().rounds.len(), 1);
        assert!(decide(&reference, &json!({})).is_err());
    }
}
