//! A project's earlier pushes, and what they have of a job.
//!
//! Where pushes are numbered (hg) they are found by their numbers, in one call. With git each push's parameters name the
//! revision that it was based on, which is the head of the push before it.

use std::collections::BTreeSet;

use futures_util::{StreamExt as _, stream};
use taskgraft_client::Client;
use taskgraft_core::action::deed::{EarlierJob, EarlierPush};
use taskgraft_core::action::member::{Member, stuck};
use taskgraft_core::ids::TaskId;
use taskgraft_core::params::Parameters;
use taskgraft_core::state::TaskState;

use crate::authority::repository_role;
use crate::fetch::Artifacts;
use crate::members::members;
use crate::push::{Push, PushError};

/// How many pushes are looked at at a time. Each may mean downloading a large graph.
const CONCURRENCY: usize = 4;
/// How much of a revision is shown.
const SHORT: usize = 12;
/// How many characters a revision has.
const REVISION: std::ops::RangeInclusive<usize> = 6..=64;

/// An earlier push, and what jobs may be made there with.
pub(crate) struct Earlier {
    pub(crate) push: EarlierPush,
    /// All of it, if it has the job.
    pub(crate) loaded: Option<Push>,
}

/// Who looks, and for which job.
struct Looking<'a> {
    client: &'a Client,
    artifacts: &'a Artifacts,
    /// The push that comes after the earlier ones.
    push: &'a Push,
    label: &'a str,
}

/// At most `depth` pushes before `push`, nearest first, each with what it has of the job `label`. A push that can't be
/// looked at, or that may not be touched, is told of as such.
///
/// # Errors
/// If the index or the queue doesn't answer.
pub(crate) async fn earlier(
    client: &Client,
    artifacts: &Artifacts,
    push: &Push,
    label: &str,
    depth: usize,
) -> Result<Vec<Earlier>, PushError> {
    let looking = Looking { client, artifacts, push, label };
    let mut found = match push.parameters.text("repository_type") {
        Ok("git") => looking.by_base(depth).await?,
        Ok(_) | Err(_) => looking.by_number(depth).await?,
    };
    each_once(push.group, &mut found);
    Ok(found)
}

/// The index may name one push for several, or this one as an earlier one.
fn each_once(own: Option<TaskId>, found: &mut [Earlier]) {
    let mut seen: BTreeSet<Option<TaskId>> = BTreeSet::from([own]);
    for earlier in found {
        if let Some(push) = &earlier.loaded
            && !seen.insert(push.group)
        {
            earlier.push.job = EarlierJob::Unreachable("the index names another push for it".to_owned());
            earlier.loaded = None;
        }
    }
}

impl Looking<'_> {
    /// `<trust domain>.v2.<project>.<rest>`; none if either is unknown.
    fn path(&self, rest: &str) -> Option<String> {
        let (domain, project) = (self.push.trust_domain.as_ref()?, self.push.parameters.text("project").ok()?);
        Some(format!("{domain}.v2.{project}.{rest}"))
    }

    async fn by_number(&self, depth: usize) -> Result<Vec<Earlier>, PushError> {
        let number = self.push.parameters.pushlog_id().ok().and_then(|id| id.parse::<u64>().ok());
        let numbers: Vec<u64> =
            (1..=depth as u64).filter_map(|back| number?.checked_sub(back)).filter(|n| *n > 0).collect();
        let path = |number: &u64| self.path(&format!("pushlog-id.{number}.decision"));
        let paths: Vec<String> = numbers.iter().filter_map(path).collect();
        if paths.is_empty() {
            return Ok(Vec::new());
        }
        let found = self.client.index().find_tasks_at_index(&paths).await?;
        let project = self.push.parameters.text("project").unwrap_or_default();
        let looks: Vec<_> = numbers
            .iter()
            .zip(&paths)
            .map(|(number, path)| {
                let decision = found.get(path).map(|task| task.task_id);
                self.look(format!("{project}, push {number}"), decision)
            })
            .collect();
        let looked: Vec<_> = stream::iter(looks).buffered(CONCURRENCY).collect().await;
        looked.into_iter().map(|one| one.map(|(earlier, _)| earlier)).collect()
    }

    async fn by_base(&self, depth: usize) -> Result<Vec<Earlier>, PushError> {
        let mut all = Vec::new();
        let mut seen: BTreeSet<String> = self.push.parameters.text("head_rev").map(str::to_owned).into_iter().collect();
        let mut base = base_of(&self.push.parameters);
        while let Some(revision) = base.filter(|_| all.len() < depth) {
            // A push may be based on itself: one made by cron, say.
            if !seen.insert(revision.clone()) {
                break;
            }
            let Some(path) = self.path(&format!("revision.{revision}.taskgraph.decision")) else { break };
            let decision = match self.client.index().find_task(&path).await {
                Ok(found) => Some(found.task_id),
                Err(error) if error.is_not_found() => None,
                Err(error) => return Err(error.into()),
            };
            let project = self.push.parameters.text("project").unwrap_or_default();
            let short: String = revision.chars().take(SHORT).collect();
            let (earlier, parameters) = self.look(format!("{project}@{short}"), decision).await?;
            all.push(earlier);
            base = parameters.as_ref().and_then(base_of);
        }
        Ok(all)
    }

    /// What a push has of the job, and its parameters if it is what it seems to be.
    async fn look(&self, name: String, decision: Option<TaskId>) -> Result<(Earlier, Option<Parameters>), PushError> {
        let without =
            |name, job, parameters| Ok((Earlier { push: EarlierPush { name, job }, loaded: None }, parameters));
        let Some(decision) = decision else {
            return without(name, EarlierJob::Unreachable("the index knows no decision task of it".to_owned()), None);
        };
        let push = match Push::load(self.client, self.artifacts, decision).await {
            Ok(push) => push,
            Err(error) if error.is_transient() => return Err(error),
            Err(error) => return without(name, EarlierJob::Unreachable(format!("failed to {error}")), None),
        };
        if let Some(why) = self.may_not_touch(&push) {
            return without(name, EarlierJob::Unreachable(why), None);
        }
        let parameters = Some(push.parameters.clone());
        if !push.graph.contains(self.label) {
            return without(name, EarlierJob::Lacking { decision }, parameters);
        }
        if push.group_fact.as_ref().is_some_and(|group| group.sealed.is_some()) {
            let why = "its task group is sealed and takes no new tasks".to_owned();
            return without(name, EarlierJob::Unreachable(why), parameters);
        }
        let usable = self.usable(&push, decision).await?;
        let push_there = EarlierPush { name, job: EarlierJob::Known { decision, usable } };
        Ok((Earlier { push: push_there, loaded: Some(push) }, parameters))
    }

    /// Why no task may be made on another push in this one's name; none if one may. [`Push::load`] has seen to it that the
    /// push is of one piece.
    fn may_not_touch(&self, other: &Push) -> Option<String> {
        if other.scheduler_id() != self.push.scheduler_id() {
            return Some("it has another schedulerId".to_owned());
        }
        let repository = |push: &Push| push.parameters.text("head_repository").ok().map(repository_role);
        if repository(other) != repository(self.push) {
            return Some("it is of another repository".to_owned());
        }
        None
    }

    /// The job's tasks on a push that completed or may yet, the newest first: whoever made them.
    async fn usable(&self, push: &Push, decision: TaskId) -> Result<Vec<TaskId>, PushError> {
        let all = members(self.client, push.group.unwrap_or(decision)).await?;
        let stuck = stuck(&all);
        let may_do = |member: &&Member| {
            let going = !matches!(member.state, TaskState::Failed | TaskState::Exception);
            member.name == self.label && going && !stuck.contains(&member.task)
        };
        let mut usable: Vec<&Member> = all.iter().filter(may_do).collect();
        usable.sort_by_key(|member| (std::cmp::Reverse(member.created), member.task));
        Ok(usable.into_iter().map(|member| member.task).collect())
    }
}

/// The revision that a push is based on. One that isn't hexadecimal could lead elsewhere in the index; zeros are none.
fn base_of(parameters: &Parameters) -> Option<String> {
    let base = parameters.text("base_rev").ok()?;
    let fits = REVISION.contains(&base.len()) && base.bytes().all(|byte| byte.is_ascii_hexdigit());
    (fits && base.bytes().any(|byte| byte != b'0')).then(|| base.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_a_revision_is_followed() {
        let base = |base: &str| base_of(&Parameters::new(json!({"base_rev": base})).unwrap());
        assert_eq!(base("A1B2C3D4"), Some("a1b2c3d4".to_owned()));
        for text in ["", "0000000000000000000000000000000000000000", "main", "aaaaaaa.taskgraph.decision", "abc"] {
            assert_eq!(base(text), None, "{text}");
        }
    }
}
