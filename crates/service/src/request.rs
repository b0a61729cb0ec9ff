//! A request as the journal keeps it.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use taskgraft_core::ids::{RequestId, RequestKey, TaskId};
use taskgraft_core::time::Millis;

use crate::asked::Asked;
use crate::buildbot::Builds;
use crate::state::State;

/// How a request came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Door {
    /// A pulse message.
    Pulse,
    /// A call of the HTTP API.
    Http,
}

impl Door {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pulse => "pulse",
            Self::Http => "http",
        }
    }

    /// The door of that word.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        [Self::Pulse, Self::Http].into_iter().find(|door| door.as_str() == word)
    }
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asker {
    /// Over HTTP, the Taskcluster client id; by pulse, whom the message names, which nobody has checked.
    pub name: String,
    /// On whose authority it is done.
    pub authority: Authority,
}

/// What a request may do. The service's own credentials are narrowed to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Authority {
    /// What the asker's scopes allow: they were verified by the deployment's auth service, and count until then.
    Scopes {
        /// Expanded.
        scopes: Vec<String>,
        /// When the asker's credentials expire.
        expires: Millis,
    },
    /// What the policy allows messages of an exchange: `assume:` the role that it names. That is looked up when the push and
    /// its level are known, so that a change of the policy counts for what waits.
    Policy {
        /// The exchange's full name.
        exchange: String,
    },
    /// Nobody's: it will be refused, for this reason.
    Nobody(String),
}

/// A request that has just come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRequest {
    /// Its name among those of its asker at its door: the same one is the same request.
    pub key: String,
    /// How it came.
    pub door: Door,
    /// Who asks.
    pub asker: Asker,
    /// For what.
    pub asked: Asked,
}

impl NewRequest {
    /// Its id, the same for every delivery. By pulse the key alone counts: it is the message's.
    #[must_use]
    pub fn id(&self) -> RequestId {
        let asker = match self.door {
            Door::Pulse => "",
            Door::Http => &self.asker.name,
        };
        RequestKey::Door { door: self.door.as_str().to_owned(), asker: asker.to_owned(), key: self.key.clone() }.id()
    }
}

/// A request, as far as it has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Request {
    /// Its id; the key that travels in the action's input.
    pub id: RequestId,
    /// Its name among those of its asker at its door.
    pub key: String,
    /// How it came.
    pub door: Door,
    /// Who asks.
    pub asker: Asker,
    /// For what.
    pub asked: Asked,
    /// The project of its push: as the asker names it, then as it is.
    pub project: Option<String>,
    /// Where it stands.
    pub state: State,
    /// The push's decision task, once known.
    pub decision: Option<TaskId>,
    /// What of it is for Buildbot, once it was let through: decided then, and for good.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub builds: Option<Builds>,
    /// The action task that carries it out, once known.
    pub action_task: Option<TaskId>,
    /// What was planned, as the action task published it.
    pub plan: Option<Value>,
    /// What became of it: of the action task, and of forced builds.
    pub report: Option<Value>,
    /// Why it was refused or failed.
    pub error: Option<String>,
    /// Whether cancelling it takes the tasks along that only it needed.
    pub with_dependencies: bool,
    /// When it was written down.
    pub received: Millis,
    /// When its state last changed.
    pub changed: Millis,
    /// How often it was tried again.
    pub retries: u32,
    /// How often that was because somebody had cancelled it, whether or not that came to a good end. What it asks for is
    /// then made anew, so this is part of the names by which what was made is found.
    pub undone: u32,
}

impl Request {
    /// Its builds, where a part of it is for Buildbot.
    #[must_use]
    pub fn forces(&self) -> Option<&Builds> {
        self.builds.as_ref().filter(|builds| !builds.is_empty())
    }

    /// The input for the push's action: what is for Buildbot is left out. None where nothing else is asked for.
    #[must_use]
    pub fn action_input(&self) -> Option<Value> {
        match self.forces() {
            Some(builds) => builds.rest(&self.asked.input),
            None => Some(self.asked.input.clone()),
        }
    }
}
