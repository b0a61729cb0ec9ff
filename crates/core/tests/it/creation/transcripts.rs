//! Golden transcripts: every call and its answer, for a few stories of crashes and recoveries.

use serde_json::json;
use taskgraft_core::frontier::{Answer, Call, Frontier, Limits, Step};
use taskgraft_core::plan::{Plan, Policy};
use taskgraft_core::state::TaskState;

use super::push::{Push, id, task};
use super::queue::SimQueue;

fn landing() -> (Push, Plan) {
    let mut push = Push::new(vec![
        task("test", &[("build", "build"), ("image", "image")]),
        task("build", &[("clang", "clang")]),
        task("clang", &[]),
        task("image", &[]),
    ])
    .ran("image", id(10), TaskState::Completed);
    let request = push.by_action(&["test"], id(9));
    let plan = push.plan(&request, Policy::Graft);
    (push, plan)
}

/// A call in a line: what, and for whom.
fn told(push: &Push, plan: &Plan, step: &Step) -> String {
    let name = |id: &taskgraft_core::ids::TaskId| {
        let planned = plan.tasks.iter().find(|task| task.task_id == Some(*id)).map(|task| task.label.clone());
        let later = || {
            let labels = plan.tasks.iter().map(|task| &task.label);
            let mut ids = labels.flat_map(|label| (0..16).map(move |k| (label, k)));
            ids.find(|(label, k)| push.needed_id(label, *k) == *id).map(|(label, k)| format!("{label} (k={k})"))
        };
        planned.or_else(later).or_else(|| plan.label_of(*id).map(str::to_owned)).unwrap_or_else(|| id.to_string())
    };
    let names = |ids: &[_]| ids.iter().map(name).collect::<Vec<_>>().join(" ");
    match &step.call {
        Call::Create { task_id, definition } => {
            let on: Vec<_> = super::queue::dependencies(definition);
            format!("create {} after [{}], created {}", name(task_id), names(&on), definition["created"])
        }
        Call::ReadTask { task_id } => format!("read {}", name(task_id)),
        Call::ReadGroup { .. } => "read the group".to_owned(),
        Call::ReadStatuses { task_ids } => format!("statuses of {}", names(task_ids)),
        Call::PutBack { task_id, .. } => format!("put back {}", name(task_id)),
        Call::Schedule { task_id } => format!("schedule {}", name(task_id)),
        Call::Rerun { task_id } => format!("rerun {}", name(task_id)),
        Call::Cancel { task_id } => format!("cancel {}", name(task_id)),
    }
}

fn heard(answer: &Answer) -> String {
    match answer {
        Answer::Status { state } => state.as_str().to_owned(),
        Answer::Task { status, .. } => format!("task, {}", status.state.as_str()),
        Answer::Group { sealed, .. } => format!("group, {}", if sealed.is_some() { "sealed" } else { "open" }),
        Answer::Statuses { found } => found.values().map(|status| status.state.as_str()).collect::<Vec<_>>().join(" "),
        Answer::Absent => "404".to_owned(),
        Answer::Conflict { .. } => "409".to_owned(),
        Answer::Transient { message } => message.clone(),
        Answer::Rejected { status, .. } => status.to_string(),
    }
}

/// Drives up to `calls` calls, writing them down; what is left in the frontier is lost.
fn record(lines: &mut Vec<String>, push: &mut Push, plan: &Plan, frontier: &mut Frontier, calls: usize) {
    let mut made = 0;
    while !frontier.is_done() && made < calls {
        for step in frontier.next(push.queue.now, calls - made) {
            made += 1;
            let answer = push.queue.call(&step.call);
            lines.push(format!("{} -> {}", told(push, plan, &step), heard(&answer)));
            frontier.answer(step.place, &answer, push.queue.now).unwrap();
        }
    }
}

fn end(lines: &mut Vec<String>, frontier: &Frontier, queue: &SimQueue) {
    let report = frontier.report();
    lines.push(format!("= {:?}", report.result));
    for task in &report.tasks {
        lines.push(format!("  {} {}", task.label, json!(task.outcome)));
    }
    lines.extend(report.mended.iter().map(|mend| format!("  {} {}", mend.label, json!(mend.mended))));
    lines.push(format!("  {} tasks made", queue.log.len()));
}

#[test]
fn all_goes_well() {
    let (mut push, plan) = landing();
    let mut lines = Vec::new();
    let mut frontier = Frontier::new(plan.clone(), Limits::default()).unwrap();
    record(&mut lines, &mut push, &plan, &mut frontier, 99);
    end(&mut lines, &frontier, &push.queue);
    insta::assert_snapshot!("all_goes_well", lines.join("\n"));
}

#[test]
fn it_crashes_after_each_call_and_is_taken_up_again() {
    let mut lines = Vec::new();
    for calls in 1..4 {
        let (mut push, plan) = landing();
        lines.push(format!("# dies after {calls}"));
        let mut frontier = Frontier::new(plan.clone(), Limits::default()).unwrap();
        record(&mut lines, &mut push, &plan, &mut frontier, calls);
        lines.push("# taken up again".to_owned());
        push.queue.now += jiff::SignedDuration::from_mins(2);
        let mut frontier = Frontier::resume(plan.clone(), Limits::default()).unwrap();
        record(&mut lines, &mut push, &plan, &mut frontier, 99);
        end(&mut lines, &frontier, &push.queue);
    }
    insta::assert_snapshot!("taken_up_again", lines.join("\n"));
}

#[test]
fn an_id_is_squatted_and_the_queue_dies_half_way() {
    let (mut push, plan) = landing();
    let mut lines = Vec::new();
    push.queue.plant(push.needed_id("clang", 0), json!({"taskGroupId": id(66)}), TaskState::Completed);
    push.queue.faults.half = 1;
    let mut frontier = Frontier::new(plan.clone(), Limits { sends: 1, reads: 1 }).unwrap();
    record(&mut lines, &mut push, &plan, &mut frontier, 99);
    end(&mut lines, &frontier, &push.queue);
    push.queue.faults.half = 0;
    push.queue.now += jiff::SignedDuration::from_mins(2);
    lines.push("# taken up again".to_owned());
    let mut frontier = Frontier::resume(plan.clone(), Limits::default()).unwrap();
    record(&mut lines, &mut push, &plan, &mut frontier, 99);
    end(&mut lines, &frontier, &push.queue);
    insta::assert_snapshot!("squatted_and_half", lines.join("\n"));
}
