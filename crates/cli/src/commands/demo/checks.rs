//! The demo's claims, each compared with what the queue says.

use taskgraft_client::Client;
use taskgraft_core::api::queue::TaskDefinitionAndStatus;
use taskgraft_core::ids::TaskId;
use taskgraft_core::state::TaskState;
use taskgraft_engine::Followed;

use super::decision::Decided;
use crate::exit::Failure;
use crate::push;

/// What push 1 built and push 2 must not build again.
const CACHED: [&str; 3] = ["toolchain-cc", "toolchain-lint", "fetch-terrain-flats"];

fn claim(holds: bool, what: impl FnOnce() -> String) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(Failure::other(format!("the demo says what is not so: {}", what()))) }
}

/// That the second push uses all that the first one cached, and made none of it again.
pub(super) fn reused_by_index(first: &Decided, second: &Decided) -> Result<(), Failure> {
    for label in CACHED {
        let made = first.created.iter().find(|(created, _)| created == label).map(|(_, id)| id);
        claim(made.is_some(), || format!("push 1 did not make {label}"))?;
        claim(second.ids.get(label) == made, || format!("push 2 does not use push 1's {label}"))?;
        claim(!second.created.iter().any(|(created, _)| created == label), || format!("push 2 made {label} again"))?;
    }
    Ok(())
}

/// What the second push's group must look like in the end. `actions` made `created`, for `asked`.
pub(super) async fn group(
    client: &Client,
    first: &Decided,
    second: &Decided,
    asked: &[&str],
    actions: &[Followed],
    created: &[Followed],
) -> Result<(), Failure> {
    let group = Group { tasks: push::members(client, second.id).await? };
    added(&group, first, second, asked)?;
    by_actions(&group, actions, created)
}

/// That each job was created after those that it depends on, and that what was asked for waits for the action that made
/// it, and what it needs doesn't.
fn by_actions(group: &Group, actions: &[Followed], created: &[Followed]) -> Result<(), Failure> {
    let of = |id: TaskId| group.tasks.iter().find(|task| task.status.task_id == id);
    for job in created {
        let task = of(job.id);
        claim(task.is_some(), || format!("{} is not there", job.label))?;
        let Some(task) = task else { continue };
        let needed = task.task.dependencies.iter().filter(|id| created.iter().any(|job| job.id == **id));
        let in_order = needed.filter_map(|id| of(*id)).all(|needed| needed.task.created <= task.task.created);
        claim(in_order, || format!("{} was created before what it depends on", job.label))?;
        let waits = actions.iter().any(|action| task.task.dependencies.contains(&action.id));
        let copy = ["test-", "package-"].iter().any(|kind| job.label.starts_with(kind));
        claim(waits == copy, || format!("{} waits for the wrong tasks", job.label))?;
    }
    Ok(())
}

fn added(group: &Group, first: &Decided, second: &Decided, asked: &[&str]) -> Result<(), Failure> {
    for label in asked {
        let times = if *label == "test-asan-1" { 3 } else { 1 };
        claim(group.count(label) == times, || format!("{label} is there {} times", group.count(label)))?;
    }
    for label in ["build-asan", "toolchain-asan-runtime", "build-opt"] {
        claim(group.count(label) == 1, || format!("{label} was made {} times", group.count(label)))?;
    }
    for label in CACHED {
        claim(group.count(label) == 0, || format!("{label} was made again"))?;
    }
    for copy in group.all("test-asan-1") {
        claim(group.depends(copy, group.id("build-asan")), || "a copy of test-asan-1 has another build".to_owned())?;
    }
    let toolchain = first.ids.get("toolchain-cc").copied();
    let on_first = group.all("build-asan").all(|build| group.depends(build, toolchain));
    claim(on_first, || "build-asan was not made with push 1's toolchain-cc".to_owned())?;
    let build = second.ids.get("build-opt").copied();
    for label in ["test-unit-3", "package-opt"] {
        let reuses = group.all(label).all(|task| group.depends(task, build));
        claim(reuses, || format!("{label} does not use the build that was there"))?;
    }
    let lost = group.tasks.iter().find(|task| task.status.state != TaskState::Completed);
    claim(lost.is_none(), || lost.map(|task| task.task.metadata.name.clone()).unwrap_or_default() + " is not green")
}

/// A group's tasks.
struct Group {
    tasks: Vec<TaskDefinitionAndStatus>,
}

impl Group {
    fn all(&self, label: &str) -> impl Iterator<Item = &TaskDefinitionAndStatus> {
        self.tasks.iter().filter(move |task| task.task.metadata.name == label)
    }

    fn count(&self, label: &str) -> usize {
        self.all(label).count()
    }

    fn id(&self, label: &str) -> Option<TaskId> {
        self.all(label).next().map(|task| task.status.task_id)
    }

    fn depends(&self, task: &TaskDefinitionAndStatus, on: Option<TaskId>) -> bool {
        on.is_some_and(|on| task.task.dependencies.contains(&on))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn id(n: u8) -> TaskId {
        TaskId::from_bytes([n; 16])
    }

    fn task(label: &str, n: u8, on: &[TaskId], state: &str) -> TaskDefinitionAndStatus {
        let (now, later) = ("2026-01-01T00:00:00.000Z", "2026-01-02T00:00:00.000Z");
        let queue = json!({"provisionerId": "p", "workerType": "w", "taskQueueId": "p/w", "schedulerId": "s",
            "projectId": "none", "taskGroupId": id(0), "priority": "low", "deadline": later, "expires": later});
        let mut parts = [
            json!({"dependencies": on, "created": now, "payload": {}, "metadata": {"name": label,
            "description": "d", "owner": "o", "source": "https://example.com"}}),
            json!({"taskId": id(n), "state": state, "runs": [], "retriesLeft": 5}),
        ];
        for part in &mut parts {
            part.as_object_mut().unwrap().extend(queue.as_object().unwrap().clone());
        }
        let [task, status] = parts;
        serde_json::from_value(json!({"task": task, "status": status})).unwrap()
    }

    fn decided(ids: &[(&str, u8)]) -> Decided {
        let named = || ids.iter().map(|(label, n)| ((*label).to_owned(), id(*n)));
        Decided { id: id(0), labels: 0, created: named().collect(), ids: named().collect() }
    }

    /// The story as it should end: (label, id, dependencies).
    fn told() -> Vec<TaskDefinitionAndStatus> {
        let done = |label, n, on: &[TaskId]| task(label, n, on, "completed");
        let mut tasks = vec![
            done("build-opt", 2, &[]),
            done("toolchain-asan-runtime", 3, &[]),
            done("build-asan", 4, &[id(1), id(3)]),
            done("test-unit-3", 5, &[id(2)]),
            done("package-opt", 6, &[id(2)]),
        ];
        tasks.extend((7..10).map(|n| done("test-asan-1", n, &[id(4)])));
        tasks
    }

    fn holds(change: impl FnOnce(&mut Vec<TaskDefinitionAndStatus>)) -> bool {
        let mut tasks = told();
        change(&mut tasks);
        let (first, second) = (decided(&[("toolchain-cc", 1)]), decided(&[("toolchain-cc", 1), ("build-opt", 2)]));
        added(&Group { tasks }, &first, &second, &["test-unit-3", "package-opt", "test-asan-1"]).is_ok()
    }

    #[test]
    fn the_story_holds_only_as_it_is_told() {
        assert!(holds(|_| {}));
        assert!(!holds(|tasks| tasks.push(task("build-asan", 20, &[id(1)], "completed"))), "built twice");
        assert!(!holds(|tasks| tasks.push(task("toolchain-cc", 20, &[], "completed"))), "made again");
        assert!(!holds(|tasks| drop(tasks.pop())), "two copies");
        assert!(!holds(|tasks| tasks[7] = task("test-asan-1", 9, &[id(4)], "failed")), "a red copy");
        assert!(!holds(|tasks| tasks[7] = task("test-asan-1", 9, &[id(20)], "completed")), "another build");
        assert!(!holds(|tasks| tasks[2] = task("build-asan", 4, &[id(3)], "completed")), "another toolchain");
        assert!(!holds(|tasks| tasks[3] = task("test-unit-3", 5, &[], "completed")), "nothing reused");
    }

    #[test]
    fn only_what_was_asked_for_waits_for_its_action() {
        let job = |label: &str, n| Followed { label: label.to_owned(), id: id(n) };
        let holds = |test: &[TaskId], build: &[TaskId]| {
            let tasks = vec![task("build-asan", 2, build, "completed"), task("test-asan-1", 3, test, "completed")];
            by_actions(&Group { tasks }, &[job("add", 1)], &[job("build-asan", 2), job("test-asan-1", 3)]).is_ok()
        };
        assert!(holds(&[id(1), id(2)], &[]));
        assert!(!holds(&[id(2)], &[]), "a half-done action would start it");
        assert!(!holds(&[id(1), id(2)], &[id(1)]), "somebody else may need it");
    }

    #[test]
    fn what_was_made_again_is_not_reused() {
        let all = || CACHED.iter().zip(1..).map(|(label, n)| (*label, n)).collect::<Vec<_>>();
        let second = |created: &[(&str, u8)]| Decided { created: decided(created).created, ..decided(&all()) };
        assert!(reused_by_index(&decided(&all()), &second(&[])).is_ok());
        assert!(reused_by_index(&decided(&all()), &second(&[("toolchain-cc", 1)])).is_err());
        assert!(reused_by_index(&decided(&[]), &second(&[])).is_err());
    }
}
