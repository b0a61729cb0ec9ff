//! What a request is about: its push, what that offers, and what is to be sent.

use taskgraft_core::ids::TaskId;
use taskgraft_engine::trigger::{Ask, Offer, Prepared};
use taskgraft_engine::{Push, Said};

use super::setback::Setback;
use super::turn::Work;
use crate::config::Project;
use crate::pulse::policy;
use crate::pulse::resolver::Found;
use crate::request::Request;

/// What a request is about.
pub(super) struct Ground<'a> {
    /// The project's short name, as its pushes have it.
    pub(super) name: String,
    /// What the configuration says of it; none where it names no project at all, and so all are served.
    pub(super) project: Option<&'a Project>,
    /// The decision task of its push, which was checked to be of one piece and of the project.
    pub(super) decision: TaskId,
    /// The task that the action is for.
    pub(super) subject: Option<TaskId>,
    /// What the push offers.
    pub(super) offer: Offer,
    /// What is to be sent.
    pub(super) prepared: Prepared,
}

/// The push that a request is about.
pub(super) struct Place<'a> {
    /// The project's short name, as its pushes have it.
    pub(super) name: String,
    /// What the configuration says of it, as in [`Ground`].
    pub(super) project: Option<&'a Project>,
    /// The push without its graph.
    pub(super) push: Push,
    /// How it was found.
    pub(super) found: Found,
}

impl Work {
    /// Finds the push, and prepares what is to be sent.
    pub(super) async fn ground(&self, request: &Request) -> Result<Ground<'_>, Setback> {
        let Place { name, project, found, .. } = self.place(request).await?;
        let offer = Offer::load(&self.reader, &self.artifacts, found.decision).await?;
        let ask = Ask {
            action: request.asked.action.clone(),
            subject: found.subject,
            input: request.action_input().unwrap_or_default(),
            key: request.id.to_string(),
            undone: request.undone,
            // The journal has seen to it that the same id never stands for anything else.
            fresh: true,
            shown: None,
        };
        let prepared = Prepared::new(&self.reader, &offer, ask).await?;
        Ok(Ground { name, project, decision: found.decision, subject: found.subject, offer, prepared })
    }

    /// Finds the push, and checks that it is the project's and the one that is meant.
    pub(super) async fn place(&self, request: &Request) -> Result<Place<'_>, Setback> {
        let asked = &request.asked;
        let named = asked.project.as_deref().or_else(|| asked.push.project());
        let unserved = |name: &str| Setback::Refused(format!("the project `{name}` is not served"));
        if let Some(named) = named.filter(|named| !self.projects.is_empty() && self.project(named).is_none()) {
            return Err(unserved(named));
        }
        let found = self.resolver.find(asked).await?;
        let push = Push::ground(&self.reader, &self.artifacts, found.decision).await?;
        let theirs = push.parameters.text("project").unwrap_or_default();
        // Treeherder may call the project otherwise.
        let own_name = |named| self.project(named).map_or(named, |(name, _)| name);
        let name = named.map_or(theirs, own_name).to_owned();
        found.is_of(&name, &push.parameters).map_err(|error| Setback::Refused(error.to_string()))?;
        let project = self.projects.get(&name);
        match project {
            Some(project) => {
                let said = Said {
                    level: Some(&project.level),
                    trust_domain: project.trust_domain.as_deref(),
                    repository: project.repository.as_deref(),
                };
                push.check(&said).map_err(|error| Setback::Refused(error.to_string()))?;
            }
            None if self.projects.is_empty() => {}
            None => return Err(unserved(&name)),
        }
        Ok(Place { name, project, push, found })
    }

    /// A project by its short name, or by the name that its Treeherder has for it.
    fn project(&self, name: &str) -> Option<(&str, &Project)> {
        policy::project(&self.projects, name)
    }
}
