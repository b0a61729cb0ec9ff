//! One turn of a request.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use taskgraft_client::{Client, Credentials};
use taskgraft_core::ids::{RequestId, TaskId};
use taskgraft_engine::{Artifacts, Cache};
use tracing::Instrument as _;

use super::setback::Setback;
use crate::buildbot::Masters;
use crate::config::Project;
use crate::journal::{Change, Journal, JournalError};
use crate::log;
use crate::pulse::resolver::Resolver;
use crate::request::Request;
use crate::state::{Event, State};

/// What turns take.
pub(super) struct Work {
    pub(super) journal: Journal,
    /// Taskcluster, asked as nobody: what is public needs no credentials.
    pub(super) reader: Client,
    /// The service's own, which are only ever used narrowed.
    pub(super) credentials: Credentials,
    pub(super) artifacts: Artifacts,
    pub(super) cache: Cache,
    pub(super) resolver: Resolver,
    pub(super) projects: BTreeMap<String, Project>,
    /// Where builds are forced.
    pub(super) masters: Arc<Masters>,
    /// How long nobody needs to answer before what has not begun, a build that was not forced, or undoing has failed.
    pub(super) give_up: Duration,
    /// Since when requests are tried: while nothing ran, nobody could have answered.
    pub(super) since: Timestamp,
}

/// How a turn ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Turn {
    /// The request waits for the end of its action task.
    Follow(TaskId),
    /// The request is at its end.
    Over,
    /// It is to be looked at again at once: somebody else changed the request's state meanwhile, or there is more to do.
    Again,
    /// Somebody doesn't answer, or something goes on that nobody tells the end of.
    Later(String),
    /// It was cut off by a panic.
    Broke(String),
}

impl Work {
    /// Takes a request as far as it goes by now.
    pub(super) async fn turn(&self, id: &RequestId) -> Turn {
        match self.journal.get(id).await {
            Ok(Some(request)) => {
                let span = log::span(&request);
                self.turn_of(&request).instrument(span).await
            }
            Ok(None) => Turn::Over,
            Err(error) => unread(id, &error),
        }
    }

    async fn turn_of(&self, request: &Request) -> Turn {
        match Box::pin(self.go(request)).await {
            Ok(turn) => turn,
            Err(Setback::Later(why)) if self.has_given_up(request) => {
                self.over(&request.id, Setback::Failed(format!("given up: {why}"))).await
            }
            Err(setback) => self.over(&request.id, setback).await,
        }
    }

    async fn go(&self, request: &Request) -> Result<Turn, Setback> {
        match request.state {
            State::Received | State::Ready => self.begin(request).await,
            State::Asked => match self.build(request).await? {
                Some(turn) => Ok(turn),
                None => self.end(request).await,
            },
            State::Cancelling => self.undo(request).await,
            State::Done | State::Failed | State::Refused | State::Cancelled => Ok(Turn::Over),
        }
    }

    /// The end of a request whose turns have broken off too often, which is a mistake of ours.
    pub(super) async fn broken(&self, id: &RequestId, why: &str) -> Turn {
        self.over(id, Setback::Failed(format!("carrying it out broke off again and again: {why}"))).await
    }

    /// Writes down what keeps the request from going on.
    async fn over(&self, id: &RequestId, setback: Setback) -> Turn {
        let (event, why) = match setback {
            Setback::Later(why) => {
                tracing::warn!(%why, "later");
                return Turn::Later(why);
            }
            // It was cancelled or tried again at the same moment.
            Setback::Journal(JournalError::Invalid(_)) => return Turn::Again,
            Setback::Journal(error) => return unread(id, &error),
            Setback::Refused(why) => (Event::Refused, why),
            Setback::Failed(why) => (Event::Failed, why),
        };
        let state = match self.journal.glance(id).await {
            Ok(Some(glance)) => glance.state,
            Ok(None) => return Turn::Over,
            Err(error) => return unread(id, &error),
        };
        let Some(event) = ending(state, event) else { return Turn::Over };
        tracing::warn!(%why, "{event}");
        let change = Change { error: Some(why), ..Change::default() };
        match self.journal.apply(id, event, change).await {
            Ok(_) => Turn::Over,
            Err(JournalError::Invalid(_)) => Turn::Again,
            Err(error) => unread(id, &error),
        }
    }

    /// Whether what has not begun, or is to be undone, has waited long enough. What was sent is followed for as long as it
    /// takes.
    fn has_given_up(&self, request: &Request) -> bool {
        matches!(request.state, State::Received | State::Ready | State::Cancelling) && self.is_past(request)
    }

    /// Whether a request has been where it is for longer than nobody needs to answer.
    pub(super) fn is_past(&self, request: &Request) -> bool {
        let waited = self.reader.clock().now().duration_since(request.changed.0.max(self.since));
        Duration::try_from(waited).is_ok_and(|waited| waited > self.give_up)
    }

    /// The service's credentials, narrowed.
    pub(super) fn narrowed(&self, scopes: Vec<String>) -> Client {
        let credentials = Credentials { authorized_scopes: Some(scopes), ..self.credentials.clone() };
        self.reader.as_credentials(Some(credentials))
    }
}

/// A request that the journal doesn't give or take: its row can't be read, or nothing can.
fn unread(id: &RequestId, error: &JournalError) -> Turn {
    tracing::error!(request = %id, %error, "the journal can't be written or read");
    Turn::Later(error.to_string())
}

/// What happens to a request in that state which came to no good end; nothing where it is at its end already.
fn ending(state: State, event: Event) -> Option<Event> {
    match state {
        State::Received | State::Ready => Some(event),
        // What was sent can't be refused any more.
        State::Asked | State::Cancelling => Some(Event::Failed),
        State::Done | State::Failed | State::Refused | State::Cancelled => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::next;

    #[test]
    fn what_ends_badly_can_in_every_state_and_once() {
        for state in State::ALL {
            for event in [Event::Refused, Event::Failed] {
                let ending = ending(state, event);
                assert_eq!(ending.is_none(), state.is_terminal(), "{state}");
                let after = ending.map(|event| next(state, event));
                assert!(after.is_none_or(|after| after.is_ok_and(State::is_terminal)), "{state} {event}");
            }
        }
    }
}
