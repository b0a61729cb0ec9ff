//! Whether a decision task, its group, its repository and its level belong together.
//!
//! What is believed is the queue's word: the decision task's own definition (its group, schedulerId and scopes, which
//! its creator needed rights for) and the group's schedulerId. Its artifacts must agree with that.

use taskgraft_core::api::queue::TaskDefinition;
use taskgraft_core::ids::TaskId;
use taskgraft_core::params::Parameters;
use taskgraft_core::plan::GroupFact;

/// What doesn't fit together. Nothing was looked up on the strength of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthorityError {
    /// The schedulerId has not the form that in-tree graphs use.
    #[error("trust {decision}: its schedulerId `{scheduler}` is not of the form TRUST_DOMAIN-level-LEVEL")]
    Scheduler {
        /// The decision task.
        decision: TaskId,
        /// Its schedulerId.
        scheduler: String,
    },
    /// The group is somebody else's.
    #[error("trust {decision}: its schedulerId is `{scheduler}`, but its group's is `{group}`")]
    Group {
        /// The decision task.
        decision: TaskId,
        /// Its schedulerId.
        scheduler: String,
        /// The group's.
        group: String,
    },
    /// The parameters are another level's.
    #[error("trust {decision}: its parameters say level {parameters}, its schedulerId is `{scheduler}`")]
    Level {
        /// The decision task.
        decision: TaskId,
        /// What the parameters say.
        parameters: String,
        /// Its schedulerId.
        scheduler: String,
    },
    /// The parameters, or whoever speaks of the push, name another repository.
    #[error("trust {decision}: it is said to work for {parameters}, and its scopes are {}", .scopes.join(", "))]
    Repository {
        /// The decision or action task.
        decision: TaskId,
        /// The repositories that the parameters name.
        parameters: String,
        /// Its `assume:repo:` scopes.
        scopes: Vec<String>,
    },
    /// The scopes name no repository.
    #[error("trust {0}: none of its scopes is `assume:repo:…`, so that nothing says which repository it works for")]
    NoRepository(TaskId),
    /// The push is not what it is said to be.
    #[error("trust {decision}: its {what} is `{theirs}`, not `{said}`")]
    Other {
        /// The decision task.
        decision: TaskId,
        /// Such as `project`.
        what: &'static str,
        /// What its own is.
        theirs: String,
        /// What it is said to be.
        said: String,
    },
    /// The task may not run this action.
    #[error("run the action: the task has neither of the scopes {}", .0.join(", "))]
    Role(Vec<String>),
    /// A parameter that roles are named after is missing.
    #[error("look up who may run the action: {0}")]
    Parameters(#[from] taskgraft_core::params::ParametersError),
    /// The action task is of another group.
    #[error("trust the action task {action}: it is of group {theirs}, not of {group}")]
    ActionGroup {
        /// The action task.
        action: TaskId,
        /// Its group.
        theirs: TaskId,
        /// The group that jobs are to join.
        group: TaskId,
    },
}

/// What a push is said to be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Said<'a> {
    /// The level.
    pub level: Option<&'a str>,
    /// The trust domain.
    pub trust_domain: Option<&'a str>,
    /// The URL of the repository that its decision task works for.
    pub repository: Option<&'a str>,
}

/// Checks that a push is what it is said to be, by the queue's word on its decision task.
///
/// # Errors
/// The first thing that it is not.
pub(crate) fn check_said(decision: TaskId, task: &TaskDefinition, said: &Said<'_>) -> Result<(), AuthorityError> {
    let (domain, level) = trust_domain(&task.scheduler_id).unwrap_or_default();
    for (what, theirs, said) in [("level", level, said.level), ("trust domain", domain, said.trust_domain)] {
        if let Some(said) = said.filter(|said| *said != theirs) {
            let (theirs, said) = (theirs.to_owned(), said.to_owned());
            return Err(AuthorityError::Other { decision, what, theirs, said });
        }
    }
    match said.repository {
        Some(repository) => check_urls(decision, &task.scopes, &[repository.to_owned()]),
        None => Ok(()),
    }
}

/// The scopes of which an action task of this permission has one: the role of the pushed repository or, for a pull
/// request, of the other one.
pub(crate) fn action_roles(parameters: &Parameters, permission: &str) -> Result<Vec<String>, AuthorityError> {
    let role = |name| Ok::<_, AuthorityError>(repository_role(parameters.text(name)?));
    Ok(vec![
        format!("assume:repo:{}:action:{permission}", role("head_repository")?),
        format!("assume:repo:{}:pr-action:{permission}", role("base_repository")?),
    ])
}

/// The trust domain and level of a schedulerId such as `lander-level-3`.
pub(crate) fn trust_domain(scheduler: &str) -> Option<(&str, &str)> {
    let (domain, level) = scheduler.rsplit_once("-level-")?;
    let fits = !domain.is_empty() && matches!(level, "1" | "2" | "3" | "t");
    fits.then_some((domain, level))
}

/// Checks that decision task, group and parameters belong together.
///
/// # Errors
/// The first thing that doesn't fit.
pub(crate) fn check(
    decision: TaskId,
    task: &TaskDefinition,
    group: Option<&GroupFact>,
    parameters: &Parameters,
) -> Result<(), AuthorityError> {
    let scheduler = task.scheduler_id.clone();
    let Some((_, level)) = trust_domain(&scheduler) else {
        return Err(AuthorityError::Scheduler { decision, scheduler });
    };
    if let Some(group) = group.filter(|group| group.scheduler_id != scheduler) {
        return Err(AuthorityError::Group { decision, scheduler, group: group.scheduler_id.clone() });
    }
    let said = parameters.level().unwrap_or_else(|_| "none".into());
    if said != level {
        return Err(AuthorityError::Level { decision, parameters: said, scheduler });
    }
    check_repository(decision, &task.scopes, parameters)
}

/// A decision task holds `assume:repo:<host>/<path>:<what>` for the repository it works for: the pushed one, or for a
/// pull request the one it asks to be pulled into.
fn check_repository(decision: TaskId, scopes: &[String], parameters: &Parameters) -> Result<(), AuthorityError> {
    check_named(decision, scopes, parameters, &["head_repository", "base_repository"])
}

/// Checks that a task works for the repository that was pushed to: a pull request's is its author's, whatever it asks to
/// be pulled into.
///
/// # Errors
/// If it works for another, or for none.
pub(crate) fn check_head(task: TaskId, scopes: &[String], parameters: &Parameters) -> Result<(), AuthorityError> {
    check_named(task, scopes, parameters, &["head_repository"])
}

/// That one of the parameters called `names` is a repository which the scopes are for.
fn check_named(
    decision: TaskId,
    scopes: &[String],
    parameters: &Parameters,
    names: &[&'static str],
) -> Result<(), AuthorityError> {
    let named: Vec<String> = names.iter().filter_map(|name| parameters.text(name).ok()).map(str::to_owned).collect();
    check_urls(decision, scopes, &named)
}

/// That one of these repositories is one that the scopes are for.
fn check_urls(decision: TaskId, scopes: &[String], named: &[String]) -> Result<(), AuthorityError> {
    let scopes: Vec<String> = scopes.iter().filter(|scope| scope.starts_with("assume:repo:")).cloned().collect();
    let fits = |url: &String| {
        let role = repository_role(url);
        scopes.iter().any(|scope| {
            let repository = scope.trim_start_matches("assume:repo:");
            let whole = repository.strip_prefix(role.as_str());
            whole.is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '*']))
                || repository.strip_suffix('*').is_some_and(|part| role.starts_with(part))
        })
    };
    if scopes.is_empty() {
        return Err(AuthorityError::NoRepository(decision));
    }
    if named.iter().any(fits) {
        return Ok(());
    }
    Err(AuthorityError::Repository { decision, parameters: named.join(" and "), scopes })
}

/// `github.com/example/lander` for `https://github.com/example/lander.git`, `git@github.com:example/lander` and so on.
pub(crate) fn repository_role(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = match rest.split_once('@') {
        Some((user, rest)) if !user.contains('/') => rest,
        _ => rest,
    };
    let rest = rest.trim_end_matches('/');
    let rest = rest.strip_suffix(".git").unwrap_or(rest);
    match rest.split_once('/') {
        // `host:path`, as ssh writes it.
        _ if !url.contains("://") => rest.replacen(':', "/", 1),
        Some((host, path)) => format!("{}/{path}", host.split(':').next().unwrap_or(host).to_ascii_lowercase()),
        None => rest.to_owned(),
    }
}

/// Checks that the action task is of the group that its jobs are to join, and works for the same repository.
///
/// # Errors
/// If it is of another, or for another.
pub(crate) fn check_action(
    action: TaskId,
    task: &TaskDefinition,
    group: TaskId,
    parameters: &Parameters,
) -> Result<(), AuthorityError> {
    if task.task_group_id != group {
        return Err(AuthorityError::ActionGroup { action, theirs: task.task_group_id, group });
    }
    check_repository(action, &task.scopes, parameters)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn decision() -> TaskId {
        TaskId::from_bytes([1; 16])
    }

    fn task(scheduler: &str, scopes: &[&str]) -> TaskDefinition {
        serde_json::from_value(json!({
            "provisionerId": "p", "workerType": "w", "taskQueueId": "p/w", "schedulerId": scheduler,
            "taskGroupId": decision(), "created": "2026-01-01T00:00:00.000Z", "deadline": "2026-01-02T00:00:00.000Z",
            "scopes": scopes, "payload": {},
            "metadata": {"name": "n", "description": "d", "owner": "o", "source": "https://example.com"},
        }))
        .unwrap()
    }

    fn parameters(level: &str, repository: &str) -> Parameters {
        Parameters::new(json!({"level": level, "head_repository": repository})).unwrap()
    }

    fn group(scheduler: &str) -> GroupFact {
        GroupFact { scheduler_id: scheduler.into(), sealed: None }
    }

    const LANDER: &[&str] = &["assume:repo:github.com/example/lander:branch:main"];

    #[test]
    fn what_belongs_together_passes() {
        for url in [
            "https://github.com/example/lander",
            "https://github.com/example/lander.git",
            "https://GitHub.com:443/example/lander/",
            "git@github.com:example/lander.git",
            "ssh://git@github.com/example/lander",
        ] {
            let task = task("lander-level-3", LANDER);
            let checked = check(decision(), &task, Some(&group("lander-level-3")), &parameters("3", url));
            assert_eq!(checked, Ok(()), "{url}");
        }
    }

    #[test]
    fn an_action_for_another_repository_may_not_act_here() {
        let of = |scopes| task("lander-level-3", scopes);
        let check = |scopes: &'static [&'static str]| {
            check_action(
                TaskId::from_bytes([2; 16]),
                &of(scopes),
                decision(),
                &parameters("3", "https://github.com/example/lander"),
            )
        };
        assert_eq!(check(&["assume:repo:github.com/example/lander:action:generic"]), Ok(()));
        let other = check(&["assume:repo:github.com/example/other:action:generic"]).unwrap_err();
        assert!(matches!(other, AuthorityError::Repository { .. }), "{other}");
        let none = check(&["assume:hook-id:project-lander/in-tree-action-3-generic"]).unwrap_err();
        assert!(matches!(none, AuthorityError::NoRepository(_)), "{none}");
    }

    #[test]
    fn another_push_must_be_of_the_action_tasks_own_repository() {
        let scopes = ["assume:repo:github.com/example/lander:action:generic".to_owned()];
        let push = |head: &str| {
            let (head, base) = (format!("https://github.com/{head}/lander"), "https://github.com/example/lander");
            Parameters::new(json!({"level": "1", "head_repository": head, "base_repository": base})).unwrap()
        };
        assert_eq!(check_repository(decision(), &scopes, &push("stranger")), Ok(()));
        assert_eq!(check_head(decision(), &scopes, &push("example")), Ok(()));
        let strange = check_head(decision(), &scopes, &push("stranger")).unwrap_err();
        assert!(matches!(strange, AuthorityError::Repository { .. }), "{strange}");
    }

    #[test]
    fn a_push_is_what_it_is_said_to_be() {
        let own = "https://github.com/example/lander";
        let task = task("lander-level-3", LANDER);
        let check = |said: Said<'_>| check_said(decision(), &task, &said).map_err(|error| error.to_string());
        let all = Said { level: Some("3"), trust_domain: Some("lander"), repository: Some(own) };
        assert_eq!((check(Said::default()), check(all)), (Ok(()), Ok(())));
        for (said, part) in [
            (Said { level: Some("1"), ..all }, "its level is `3`"),
            (Said { trust_domain: Some("other"), ..all }, "its trust domain is `lander`"),
            (Said { repository: Some("https://github.com/example/other"), ..all }, "example/other"),
        ] {
            let told = check(said).unwrap_err();
            assert!(told.contains(part), "{told}");
        }
    }

    #[test]
    fn what_does_not_is_named() {
        let own = "https://github.com/example/lander";
        let cases = [
            (check(decision(), &task("-", LANDER), None, &parameters("3", own)), "schedulerId"),
            (
                check(decision(), &task("lander-level-3", LANDER), Some(&group("x")), &parameters("3", own)),
                "its group's",
            ),
            (check(decision(), &task("lander-level-3", LANDER), None, &parameters("1", own)), "level 1"),
            (check(decision(), &task("lander-level-3", &[]), None, &parameters("3", own)), "assume:repo:"),
            (
                check(decision(), &task("lander-level-3", LANDER), None, &parameters("3", &format!("{own}-fork"))),
                "lander-fork",
            ),
        ];
        for (checked, part) in cases {
            let error = checked.unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
