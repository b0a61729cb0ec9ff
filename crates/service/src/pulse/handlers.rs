//! What a message asks for, as one of our actions.

use serde_json::{Value, json};
use taskgraft_core::pulse::{Job, JobAction, Message, Push, PushAction, Wants};

use crate::asked::{Asked, PushName, Subject};
use crate::request::{Asker, Authority, Door, NewRequest};

/// What some of Treeherder's words mean where nobody says otherwise: the labels of performance jobs, which
/// `trigger_all_talos_jobs` runs.
pub const TALOS: [&str; 1] = ["*talos*"];

/// What `message` asks for, `talos` being the patterns of the labels of performance jobs. Pure and total: whether it may be
/// done, and whether its push exists, is seen later.
#[must_use]
pub fn asked(message: &Message, talos: &[String]) -> Asked {
    let project = message.project.clone();
    let (push, resultset, action, subject, input) = match &message.wants {
        Wants::NewJobs { push, jobs } => {
            let (push, beside) = match push {
                Push::Decision(decision, beside) => (PushName::Decision(*decision), *beside),
                Push::Number(id) => (PushName::Resultset { project: project.clone(), id: *id }, None),
            };
            (push, beside, "add-new-jobs", None, json!({"tasks": jobs}))
        }
        Wants::OnPush { resultset, action, times } => {
            let push = PushName::Resultset { project: project.clone(), id: *resultset };
            let (action, input) = on_push(*action, *times, talos);
            (push, None, action, None, input)
        }
        Wants::OnJob { job, action, .. } => {
            let (push, subject) = match job {
                Job::Task(task) => (PushName::OfTask(*task), Subject::Task(*task)),
                Job::Number(id) => (
                    PushName::OfJob { project: project.clone(), id: *id },
                    Subject::Job { project: project.clone(), id: *id },
                ),
            };
            let action = match action {
                JobAction::Backfill => "backfill",
                JobAction::Cancel => "cancel",
                JobAction::Retrigger => "retrigger",
            };
            (push, None, action, Some(subject), Value::Null)
        }
    };
    Asked { project: Some(project), push, resultset, action: action.to_owned(), subject, input }
}

/// As Treeherder's handlers had it, only performance jobs are run more than once.
fn on_push(action: PushAction, times: u32, talos: &[String]) -> (&'static str, Value) {
    match action {
        PushAction::CancelAll => ("cancel-all", Value::Null),
        PushAction::TriggerMissingJobs => ("run-missing-jobs", Value::Null),
        PushAction::TriggerAllTalosJobs => ("add-matching-jobs", json!({"label": talos, "times": times})),
    }
}

/// The request that a message is. `key` is the message's own name: the same one is the same request.
#[must_use]
pub fn request(message: &Message, key: String, talos: &[String]) -> NewRequest {
    let authority = Authority::Policy { exchange: message.exchange.name.clone() };
    NewRequest {
        key,
        door: Door::Pulse,
        asker: Asker { name: message.requester.clone(), authority },
        asked: asked(message, talos),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use taskgraft_core::action::by_callback;

    const TASK: &str = "v8_vkpAAQSGsc9Y0Ao5XBQ";

    fn of(fields: Value) -> Asked {
        let mut message = json!({"version": 1, "project": "try", "requester": "ann@lander.example"});
        message.as_object_mut().unwrap().extend(fields.as_object().cloned().unwrap());
        let message = Message::read(None, message.to_string().as_bytes()).unwrap();
        asked(&message, &TALOS.map(str::to_owned))
    }

    #[test]
    fn every_message_becomes_an_action_that_takes_its_input() {
        let actions = ["cancel_all", "trigger_missing_jobs", "trigger_all_talos_jobs"]
            .map(|action| of(json!({"resultset_id": "7", "action": action, "times": 6})));
        let jobs = ["backfill", "cancel", "retrigger"].map(|action| of(json!({"job_id": 9, "action": action})));
        let new = of(json!({"resultset_id": 7, "requested_jobs": ["a", "b"]}));
        let names: Vec<&str> = actions.iter().chain(&jobs).map(|asked| asked.action.as_str()).collect();
        assert_eq!(names, ["cancel-all", "run-missing-jobs", "add-matching-jobs", "backfill", "cancel", "retrigger"]);
        for asked in actions.iter().chain(&jobs).chain([&new]) {
            let action = by_callback(&asked.action).unwrap();
            assert!(action.input(asked.input.clone()).is_ok(), "{asked:?}");
        }
        assert_eq!(actions[2].input, json!({"label": ["*talos*"], "times": 6}));
        assert_eq!(new.input, json!({"tasks": ["a", "b"]}));
    }

    #[test]
    fn a_push_is_named_as_directly_as_the_message_does() {
        let by_number = of(json!({"resultset_id": "7", "requested_jobs": ["a"], "decision_task_id": ""}));
        assert_eq!(by_number.push, PushName::Resultset { project: "try".into(), id: 7 });
        let by_task = of(json!({"resultset_id": "7", "buildernames": ["a"], "decisionTaskID": TASK}));
        assert_eq!(by_task.push, PushName::Decision(TASK.parse().unwrap()));
        assert_eq!(by_task.resultset, Some(7), "kept, so that it can be checked");
    }

    #[test]
    fn a_job_on_taskcluster_names_its_task_and_another_its_number() {
        let task =
            of(json!({"job_id": 9, "action": "retrigger", "job_guid": "bfcfef92-9000-4121-ac73-d634028e5705/0"}));
        let id = TASK.parse().unwrap();
        assert_eq!((task.push, task.subject), (PushName::OfTask(id), Some(Subject::Task(id))));
        let other =
            of(json!({"job_id": 9, "action": "backfill", "job_guid": "c6ae49505944c574e9247bcce81e8d2cb99b0721"}));
        assert_eq!(other.subject, Some(Subject::Job { project: "try".into(), id: 9 }));
    }

    #[test]
    fn a_request_is_its_messages_whoever_delivers_it() {
        let body =
            br#"{"version": 1, "project": "try", "requester": "ann", "resultset_id": 7, "action": "cancel_all"}"#;
        let message = Message::read(None, body).unwrap();
        let request = |key: &str| request(&message, key.to_owned(), &[]);
        assert_eq!(request("k").id(), request("k").id());
        assert_ne!(request("k").id(), request("l").id());
        let authority = Authority::Policy { exchange: "exchange/treeherder/v1/resultset-actions".into() };
        assert_eq!(request("k").asker, Asker { name: "ann".into(), authority });
    }
}
