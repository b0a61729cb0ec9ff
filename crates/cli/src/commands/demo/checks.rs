//! The demo's claims, each compared with what the queue says.

use std::collections::BTreeMap;

use taskgraft_client::Client;
use taskgraft_core::api::queue::TaskDefinitionAndStatus;
use taskgraft_core::frontier::Frontier;
use taskgraft_core::ids::TaskId;
use taskgraft_core::state::TaskState;

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

/// That each task was created after those that it depends on. `order` are places in the plan.
pub(super) fn dependencies_first(frontier: &Frontier, order: &[usize]) -> Result<(), Failure> {
    let when: BTreeMap<usize, usize> = order.iter().enumerate().map(|(when, at)| (*at, when)).collect();
    for (at, task) in frontier.plan().tasks.iter().enumerate() {
        for needed in task.new_dependencies() {
            claim(when.get(&needed) < when.get(&at) && when.contains_key(&needed), || {
                format!("{} was created before what it depends on", task.label)
            })?;
        }
    }
    Ok(())
}

/// What the second push's group must look like in the end.
pub(super) async fn group(client: &Client, first: &Decided, second: &Decided, asked: &[&str]) -> Result<(), Failure> {
    let group = Group::of(push::members(client, second.id).await?);
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
    fn of(tasks: Vec<TaskDefinitionAndStatus>) -> Self {
        Self { tasks }
    }

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
