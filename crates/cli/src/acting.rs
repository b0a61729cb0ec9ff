//! What commands share that run inside an action task.

use std::path::{Path, PathBuf};

use taskgraft_client::Client;
use taskgraft_core::ids::TaskId;
use taskgraft_engine::action::{ActionError, Keep};
use taskgraft_engine::{OwnRun, PlannerError, Project, Push};

use crate::asking;
use crate::env::Env;
use crate::exit::{Failure, Kind, NOTHING};

/// Where an action task leaves what its worker uploads.
pub(crate) const OUT: &str = "artifacts";
/// Where a project's task graph is defined, as in the reference.
pub(crate) const ROOT: &str = "taskcluster";

/// The run that this process works for, if it works for one: the task's last, where only the task is known.
pub(crate) async fn own_run(client: &Client, env: &Env) -> Result<Option<OwnRun>, Failure> {
    let Some(task) = &env.task_id else { return Ok(None) };
    let task: TaskId = task.parse().map_err(|why| Failure::mistake(format!("TASK_ID: {why}")).closing(NOTHING))?;
    let status = match client.queue().status(task).await {
        Err(error) if error.is_not_found() => {
            return Err(Failure::mistake(format!("TASK_ID is {task}, and there is no such task"))
                .note("by hand", "unset TASK_ID; --request-id names the request")
                .closing(NOTHING));
        }
        status => status.map_err(|error| Failure::from(error).closing(NOTHING))?,
    };
    let run = match env.run_id.as_deref() {
        Some(run) => {
            run.parse().map_err(|_| Failure::mistake(format!("RUN_ID: `{run}` is no run")).closing(NOTHING))?
        }
        None => status.runs.last().map_or(0, |run| run.run_id),
    };
    Ok(Some(OwnRun { task, run }))
}

/// Where the plan is kept: with the run, if there is one.
pub(crate) fn keep(own: Option<OwnRun>, env: &Env) -> Result<Keep, Failure> {
    Ok(match own {
        Some(own) => Keep::Run(own),
        None => Keep::Plans(asking::plans(env)?),
    })
}

/// The project whose checkout is here: the one that `root` names, which then must be there, else the usual place, which
/// need not.
pub(crate) fn project(root: Option<&Path>) -> Result<Option<Project>, Failure> {
    let usual = PathBuf::from(ROOT);
    match root {
        Some(root) => Ok(Some(Project::read(root)?)),
        None if usual.join("config.yml").is_file() => Ok(Some(Project::read(&usual)?)),
        None => Ok(None),
    }
}

/// Why an action or request was not carried out, with the way out. `push` is where to look around.
pub(crate) fn explain(error: ActionError, push: Option<&Push>) -> Failure {
    let message = format!("failed to {error}");
    match error {
        ActionError::Planner(error @ PlannerError::UnknownLabels(_)) => match push {
            Some(push) => asking::explain(error, push),
            None => Failure::mistake(error.to_string()),
        },
        ActionError::Planner(error) => asking::explain_plain(error),
        ActionError::Plans(error) => return error.into(),
        ActionError::Client(error) | ActionError::Subjects(error) => error.into(),
        ActionError::Moved { plan, existing, moved, now } => {
            return asking::moved_half_way(&plan, &existing, &moved, now);
        }
        ActionError::Strayed(_) => Failure::new(Kind::Moved, message),
        ActionError::Forbidden(missing) => {
            let text = format!("these credentials can't create {} of the tasks", missing.tasks());
            Failure::new(Kind::NoRights, text).notes("missing", missing.scopes.into_keys())
        }
        ActionError::Untendable(missing) => {
            let text = format!("these credentials can't run again or cancel {} of the tasks", missing.tasks());
            Failure::new(Kind::NoRights, text).notes("missing", missing.scopes.into_keys())
        }
        ActionError::UnknownAction(_)
        | ActionError::Input(_)
        | ActionError::Reserved(_)
        | ActionError::Refusal(_)
        | ActionError::OtherProject(_)
        | ActionError::TooMany { .. }
        | ActionError::Refused(_)
        | ActionError::Authority(_)
        | ActionError::OtherRequest(_)
        | ActionError::OtherInput { .. }
        | ActionError::Crowded(_)
        | ActionError::Uncreatable(_)
        | ActionError::Artifacts(_) => Failure::mistake(message),
        ActionError::Gather(_) | ActionError::Stopped | ActionError::RunPlan(_) | ActionError::Write { .. } => {
            Failure::other(message)
        }
    }
    .closing(NOTHING)
}
