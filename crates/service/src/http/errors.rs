//! The engine's errors as problems, each with the way out.

use taskgraft_client::Error;
use taskgraft_engine::trigger::OfferError;
use taskgraft_engine::{FetchError, InvalidPushRef, PlannerError, PushError, ResolveError};

use super::problem::{Kind, Problem};

/// How many names a problem lists at most.
const MAX_LISTED: usize = 50;

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        if error.is_not_found() {
            return Self::new(Kind::UnknownPush, format!("failed to {error}"));
        }
        tracing::warn!(%error, "Taskcluster did not answer");
        Self::new(Kind::Upstream, format!("failed to {error}")).after(5)
    }
}

impl From<InvalidPushRef> for Problem {
    fn from(error: InvalidPushRef) -> Self {
        Self::parameter("push", error.to_string()).out("a decision task's id, or PROJECT@REVISION")
    }
}

impl From<ResolveError> for Problem {
    fn from(error: ResolveError) -> Self {
        let detail = format!("failed to {error}");
        match error {
            ResolveError::Unknown { .. } => Self::new(Kind::UnknownPush, detail)
                .out("wait: a push is found once its decision task has completed")
                .out("name it by its decision task's id"),
            ResolveError::Ambiguous { revisions, .. } => {
                let problem = Self::new(Kind::AmbiguousPush, detail);
                revisions.into_iter().take(MAX_LISTED).fold(problem, |problem, revision| problem.out(revision))
            }
            ResolveError::Client(error) => error.into(),
        }
    }
}

impl From<FetchError> for Problem {
    fn from(error: FetchError) -> Self {
        let detail = format!("failed to {error}");
        match error {
            FetchError::Missing { .. } | FetchError::NotInDirectory { .. } => Self::new(Kind::UnknownPush, detail)
                .out("it may be no decision task, or one that has not completed yet"),
            FetchError::Client { error, .. } => error.into(),
            FetchError::Io { .. } => Self::internal(detail),
        }
    }
}

impl From<PushError> for Problem {
    fn from(error: PushError) -> Self {
        let detail = format!("failed to {error}");
        match error {
            PushError::Fetch(error) => error.into(),
            PushError::Client(error) => error.into(),
            PushError::Parameters(_)
            | PushError::Graph(_)
            | PushError::Labels(_)
            | PushError::Targets(_)
            | PushError::Authority(_)
            | PushError::Path(_) => Self::new(Kind::BrokenPush, detail),
        }
    }
}

impl From<OfferError> for Problem {
    fn from(error: OfferError) -> Self {
        let detail = format!("failed to {error}");
        match error {
            OfferError::Client(error) => error.into(),
            OfferError::Fetch(error) => error.into(),
            OfferError::Nothing(_) => Self::new(Kind::UnknownPush, detail),
            OfferError::Catalog(_) | OfferError::Yaml(_) | OfferError::Text => Self::new(Kind::BrokenPush, detail),
        }
    }
}

impl From<PlannerError> for Problem {
    fn from(error: PlannerError) -> Self {
        let detail = error.to_string();
        match error {
            PlannerError::UnknownLabels(unknown) => {
                let near = unknown.into_iter().take(MAX_LISTED).filter(|(_, nearest)| !nearest.is_empty());
                let problem = Self::new(Kind::UnknownLabels, detail).at("labels");
                near.fold(problem, |problem, (_, nearest)| problem.out(format!("did you mean {}", nearest.join(", "))))
            }
            PlannerError::Push(error) => error.into(),
            PlannerError::Client(error) => error.into(),
            PlannerError::Graph(_) | PlannerError::UnknownDependency { .. } | PlannerError::Endless => {
                Self::new(Kind::BrokenPush, detail)
            }
            PlannerError::Plan(_) => Self::new(Kind::NoPlan, detail),
        }
    }
}
