//! The code review task: one that resolves when all tasks with the attribute `code-review` have, whatever became of
//! them, and whose route tells the review bot.

use serde_json::{Value, json};

use super::{MorphError, added};
use crate::ids::TaskId;
use crate::optimize::FinalTask;
use crate::params::{Parameters, ParametersError};

/// The code review task for `tasks`; none if the parameters don't ask for one or no task wants it. `source` is what
/// its metadata names as its source, see [`code_review_source`].
///
/// # Errors
///
/// A parameter is missing.
pub fn code_review_task(
    tasks: &[FinalTask],
    parameters: &Parameters,
    source: &str,
    task_id: TaskId,
) -> Result<Option<FinalTask>, MorphError> {
    let Some(config) = parameters.get("code-review").filter(|config| is_true(config)) else { return Ok(None) };
    let wants_it = |task: &&FinalTask| task.task.attributes.get("code-review").is_some_and(is_true);
    let reviewed = tasks.iter().filter(wants_it).map(|task| (task.task.label.to_string(), task.task_id));
    let reviewed: Vec<(String, TaskId)> = reviewed.collect();
    if reviewed.is_empty() {
        return Ok(None);
    }
    let mut ids: Vec<TaskId> = reviewed.iter().map(|(_, id)| *id).collect();
    ids.sort_unstable();
    let target = config.get("phabricator-build-target");
    let target =
        target.ok_or(ParametersError::Bad { name: "code-review", expected: "an object with a build target" })?;
    let definition = json!({
        "provisionerId": "built-in",
        "workerType": "succeed",
        "dependencies": ids,
        "requires": "all-resolved",
        "created": {"relative-datestamp": "0 seconds"},
        "deadline": {"relative-datestamp": "1 day"},
        "expires": {"relative-datestamp": "1 day"},
        "metadata": {
            "name": "code-review",
            "description": "List all issues found in static analysis and linting tasks",
            "owner": parameters.text("owner")?,
            "source": source,
        },
        "scopes": [],
        "payload": {},
        "routes": ["project.relman.codereview.v1.try_ending"],
        "extra": {
            "code-review": {
                "phabricator-build-target": target,
                "repository": parameters.text("head_repository")?,
                "revision": parameters.text("head_rev")?,
            },
        },
    });
    Ok(Some(added("code-review", task_id, &reviewed, definition)))
}

/// Where the code review task says that it comes from: the repository and revision of the generator, where the
/// decision task knows them.
#[must_use]
pub fn code_review_source(repository: Option<&str>, revision: Option<&str>) -> String {
    let repository = repository.unwrap_or("https://github.com/taskcluster/taskgraph");
    let revision = revision.unwrap_or("default");
    format!("{repository}/raw-file/{revision}/src/taskgraph/morph.py")
}

/// What Python takes for true.
fn is_true(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::Bool(true) => true,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
    }
}
