//! Which scopes creating a plan's tasks needs, and which of them are missing: said before anything is sent.

use std::collections::BTreeMap;

use serde_json::Value;
use taskgraft_client::{Client, Error};
use taskgraft_core::api::queue::Priority;
use taskgraft_core::ids::TaskId;
use taskgraft_core::plan::Plan;
use taskgraft_core::scopes::ScopeExpression;

/// What credentials lack for some tasks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Missing {
    /// Scope to the labels that need it, both in order. Where any of several scopes would do, the narrowest is named.
    pub scopes: BTreeMap<String, Vec<String>>,
}

impl Missing {
    /// Whether nothing is missing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.scopes.is_empty()
    }

    /// How many different labels can't be created.
    #[must_use]
    pub fn tasks(&self) -> usize {
        let mut labels: Vec<_> = self.scopes.values().flatten().collect();
        labels.sort_unstable();
        labels.dedup();
        labels.len()
    }
}

/// What `definition` needs to be created: a scope, or any of several, of each list.
///
/// As queue.createTask: the task's own scopes, a scope per route, the project's, the scheduler's, and the right to
/// create tasks of this or a higher priority in the task queue.
#[must_use]
pub fn needed(definition: &Value, scheduler_id: &str) -> ScopeExpression {
    let text = |name: &str| definition.get(name).and_then(Value::as_str);
    let texts = |name: &str| {
        let items = definition.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        items.iter().filter_map(Value::as_str).map(str::to_owned)
    };
    let queue = match (text("taskQueueId"), text("provisionerId"), text("workerType")) {
        (Some(queue), _, _) => queue.to_owned(),
        (None, provisioner, worker_type) => {
            format!("{}/{}", provisioner.unwrap_or_default(), worker_type.unwrap_or_default())
        }
    };
    let priority: Priority = text("priority").and_then(|text| text.parse().ok()).unwrap_or_default();
    let levels = Priority::ALL.iter().filter(|level| **level >= priority);
    let create = levels.map(|level| ScopeExpression::Scope(format!("queue:create-task:{level}:{queue}")));
    let project = text("projectId").unwrap_or("none");
    let plain = texts("scopes")
        .chain(texts("routes").map(|route| format!("queue:route:{route}")))
        .chain([format!("queue:create-task:project:{project}"), format!("queue:scheduler-id:{scheduler_id}")]);
    let mut all: Vec<_> = plain.map(ScopeExpression::Scope).collect();
    all.push(ScopeExpression::AnyOf(create.collect()));
    ScopeExpression::AllOf(all)
}

/// What `have` (expanded scopes) lacks to create `tasks`, each a label and a definition.
#[must_use]
pub fn missing<'a>(
    have: &[String],
    tasks: impl IntoIterator<Item = (&'a str, &'a Value)>,
    scheduler_id: &str,
) -> Missing {
    let mut missing = Missing::default();
    for (label, definition) in tasks {
        for scope in needed(definition, scheduler_id).missing(have).iter().flat_map(named) {
            let labels = missing.scopes.entry(scope).or_default();
            if !labels.iter().any(|known| known == label) {
                labels.push(label.to_owned());
            }
        }
    }
    missing
}

/// What running a task again (`rerun`) or cancelling it (`cancel`) needs: a scope for that very task, or its project's, or the
/// old ones of its scheduler.
pub(crate) fn to_tend(verb: &str, task: TaskId, group: TaskId, scheduler: &str, project: &str) -> ScopeExpression {
    let one = |scope: String| ScopeExpression::Scope(scope);
    ScopeExpression::AnyOf(vec![
        one(format!("queue:{verb}-task:{scheduler}/{group}/{task}")),
        one(format!("queue:{verb}-task-in-project:{project}")),
        ScopeExpression::AllOf(vec![
            one(format!("queue:{verb}-task")),
            one(format!("assume:scheduler-id:{scheduler}/{group}")),
        ]),
    ])
}

/// What `have` lacks of `needs`, each told with what needs it.
pub(crate) fn lacking(have: &[String], needs: &[(String, ScopeExpression)]) -> Missing {
    let mut missing = Missing::default();
    for (label, need) in needs {
        for scope in need.missing(have).iter().flat_map(named) {
            missing.scopes.entry(scope).or_default().push(label.clone());
        }
    }
    missing
}

/// The scopes to name for what is missing: all of all, the first of any.
fn named(expression: &ScopeExpression) -> Vec<String> {
    match expression {
        ScopeExpression::Scope(scope) => vec![scope.clone()],
        ScopeExpression::AllOf(all) => all.iter().flat_map(named).collect(),
        ScopeExpression::AnyOf(any) => any.first().map(named).unwrap_or_default(),
    }
}

/// Asks what the client's credentials may do and compares it with what the plan's tasks need.
///
/// # Errors
/// If auth doesn't answer.
pub async fn check(client: &Client, plan: &Plan) -> Result<Missing, Error> {
    let have = client.auth().current_scopes().await?;
    // All parts of a plan have one schedulerId.
    let parts = std::iter::once(plan).chain(&plan.elsewhere);
    let tasks = parts.flat_map(|part| &part.tasks).map(|task| (task.label.as_str(), &*task.template));
    Ok(missing(&have, tasks, plan.scheduler_id.as_deref().unwrap_or("-")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn definition() -> Value {
        json!({
            "provisionerId": "proj-lander", "workerType": "b-linux", "priority": "low",
            "routes": ["index.lander.v2.x"], "scopes": ["secrets:get:x"],
        })
    }

    #[test]
    fn everything_that_is_missing_is_named_with_the_tasks_that_need_it() {
        let definition = definition();
        let tasks = [("build", &definition), ("test", &definition)];
        let have = ["queue:route:index.lander.*".to_owned(), "queue:create-task:project:none".to_owned()];
        let missing = missing(&have, tasks, "lander-level-3");
        let scopes: Vec<_> = missing.scopes.keys().map(String::as_str).collect();
        assert_eq!(
            scopes,
            ["queue:create-task:low:proj-lander/b-linux", "queue:scheduler-id:lander-level-3", "secrets:get:x"]
        );
        assert_eq!(missing.tasks(), 2);
    }

    #[test]
    fn a_higher_priority_covers_a_lower_one() {
        let definition = definition();
        let have = |priority: &str| {
            vec![
                format!("queue:create-task:{priority}:proj-lander/b-linux"),
                "queue:route:*".into(),
                "queue:create-task:project:*".into(),
                "queue:scheduler-id:*".into(),
                "secrets:*".into(),
            ]
        };
        assert!(missing(&have("medium"), [("build", &definition)], "x").is_empty());
        assert!(!missing(&have("lowest"), [("build", &definition)], "x").is_empty());
    }
}
