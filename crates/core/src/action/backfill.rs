//! Run a job on earlier pushes.

use serde_json::{Value, json};

use super::deed::{Deeds, EarlierJob, Elsewhere, Refusal, View, times};
use super::fields;
use super::table::{Action, GENERIC, Needs, Origin};
use crate::plan::Round;

/// The action.
pub(super) const ACTION: Action = Action {
    name: "backfill",
    cb_name: "backfill",
    title: "Backfill",
    symbol: "Bk",
    description: "Run this job on earlier pushes, to find the one that broke it.",
    order: 200,
    context: &[&[]],
    permission: GENERIC,
    schema: Some(schema),
    origin: Origin::Taskgraft,
    needs: Needs { earlier_pushes: true, ..Needs::GRAPH_AND_SUBJECT },
    decide,
};

fn schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "depth": {
                "type": "integer",
                "default": 9,
                "minimum": 1,
                "maximum": 100,
                "title": "Depth",
                "description": "On how many of the pushes before this one the job is to run."
            },
            "inclusive": {
                "type": "boolean",
                "default": false,
                "title": "Inclusive",
                "description": "Whether it is to run on this push once more, too."
            },
            "times": fields::times_or_once(
                "How many times it is to run on each push. On earlier pushes, what ran well there already counts."
            )
        },
        "additionalProperties": false
    })
}

fn decide(view: &View<'_>, input: &Value) -> Result<Deeds, Refusal> {
    let graph = view.graph()?;
    let subject = view.subject.ok_or(Refusal::NoSubject)?;
    let label = subject.label()?;
    if !graph.contains(label) {
        return Err(Refusal::Foreign { task: subject.id, label: label.to_owned() });
    }
    let times = times(input);
    let round = |times| vec![Round { labels: vec![label.to_owned()], times }];
    let mut deeds = Deeds::default();
    if input.get("inclusive").and_then(Value::as_bool) == Some(true) {
        deeds.rounds = round(times);
    }
    for push in view.earlier_pushes {
        let name = &push.name;
        match &push.job {
            EarlierJob::Unreachable(why) => deeds.notes.push(format!("{name}: {why}")),
            EarlierJob::Lacking { .. } => deeds.notes.push(format!("{name}: it has no job `{label}`")),
            EarlierJob::Known { decision, usable } => {
                let there = u32::try_from(usable.len()).unwrap_or(u32::MAX);
                if let Some(last) = usable.first() {
                    deeds.notes.push(format!("{name}: `{label}` ran already, or will ({there}, the last is {last})"));
                }
                if there < times {
                    deeds.elsewhere.push(Elsewhere { decision: *decision, rounds: round(times - there) });
                }
            }
        }
    }
    if view.earlier_pushes.is_empty() {
        deeds.notes.push("no earlier push is known".to_owned());
    }
    Ok(deeds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::deed::{EarlierPush, Subject};
    use crate::action::example::{Example, id};

    fn earlier(name: &str, job: EarlierJob) -> EarlierPush {
        EarlierPush { name: name.to_owned(), job }
    }

    fn decided(subject: &str, input: &Value) -> Result<Deeds, Refusal> {
        let mut push = Example::of(&["test", "build"]);
        push.earlier = vec![
            earlier("push 9", EarlierJob::Known { decision: id(9), usable: Vec::new() }),
            earlier("push 8", EarlierJob::Lacking { decision: id(8) }),
            earlier("push 7", EarlierJob::Known { decision: id(7), usable: vec![id(71)] }),
            earlier("push 6", EarlierJob::Unreachable("the index knows no decision task of it".to_owned())),
        ];
        let definition = json!({"metadata": {"name": subject}});
        let subject = Some(Subject { id: id(1), definition: Some(&definition) });
        decide(&View { subject, ..push.view() }, input)
    }

    #[test]
    fn a_job_is_made_on_earlier_pushes_that_have_it_and_lack_a_result() {
        let deeds = decided("test", &json!({"times": 1, "inclusive": false})).unwrap();
        let rounds = vec![Round { labels: vec!["test".into()], times: 1 }];
        assert_eq!(deeds.elsewhere, [Elsewhere { decision: id(9), rounds }]);
        assert!(deeds.rounds.is_empty());
        let told = format!("push 7: `test` ran already, or will (1, the last is {})", id(71));
        let expected = ["push 8: it has no job `test`", &told, "push 6: the index knows no decision task of it"];
        assert_eq!(deeds.notes, expected);
    }

    #[test]
    fn what_ran_already_counts_there_and_not_here() {
        let deeds = decided("test", &json!({"times": 3, "inclusive": true})).unwrap();
        let times: Vec<_> = deeds.elsewhere.iter().map(|push| (push.decision, push.rounds[0].times)).collect();
        assert_eq!(times, [(id(9), 3), (id(7), 2)]);
        assert_eq!(deeds.rounds, [Round { labels: vec!["test".into()], times: 3 }]);
    }

    #[test]
    fn what_is_no_job_can_not_be_made_elsewhere() {
        let error = decided("Action: Backfill", &json!({})).unwrap_err();
        assert!(matches!(error, Refusal::Foreign { .. }), "{error}");
    }
}
