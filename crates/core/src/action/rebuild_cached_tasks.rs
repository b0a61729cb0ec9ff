//! Make all that is cached anew.

use serde_json::Value;

use super::deed::{Deeds, Refusal, View, is_set};
use super::table::{Action, Needs, Origin};
use crate::plan::Round;

/// The action.
pub(super) const ACTION: Action = Action {
    name: "rebuild-cached-tasks",
    cb_name: "rebuild-cached-tasks",
    title: "Rebuild Cached Tasks",
    symbol: "rebuild-cached",
    description: "Rebuild cached tasks.",
    order: 1_000,
    context: &[],
    permission: "rebuild-cached-tasks",
    schema: None,
    origin: Origin::Reference,
    needs: Needs::GRAPH,
    decide,
};

fn decide(view: &View<'_>, _: &Value) -> Result<Deeds, Refusal> {
    let graph = view.graph()?.whole()?;
    let cached = graph.iter().filter(|(_, task)| task.attributes.get("cached_task").is_some_and(is_set));
    let labels: Vec<String> = cached.map(|(_, task)| task.label.to_string()).collect();
    if labels.is_empty() {
        return Ok(Deeds { notes: vec!["this push has no cached tasks".to_owned()], ..Deeds::default() });
    }
    Ok(Deeds { rounds: vec![Round { labels, times: 1 }], ..Deeds::default() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::example::Example;
    use serde_json::json;

    #[test]
    fn what_is_cached_is_made_anew() {
        let push = Example::with(&[
            ("b", json!({"cached_task": {"digest": "1"}})),
            ("a", json!({"cached_task": true})),
            ("c", json!({"cached_task": false})),
            ("d", json!({})),
        ]);
        let deeds = decide(&push.view(), &Value::Null).unwrap();
        assert_eq!(deeds.rounds, [Round { labels: vec!["a".into(), "b".into()], times: 1 }]);
        assert!(decide(&Example::of(&["d"]).view(), &Value::Null).unwrap().rounds.is_empty());
    }
}
