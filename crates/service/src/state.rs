//! The states of a request, and the one function that changes them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where a request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Written down; nothing was done or decided.
    Received,
    /// Its push is known and it may be done: it is to be sent.
    Ready,
    /// Sent: its action task, or its forced builds, are on their way.
    Asked,
    /// Its asker wants it undone.
    Cancelling,
    /// The asker got what was asked for.
    Done,
    /// The asker did not get what was asked for, or not all of it.
    Failed,
    /// It may not be done, or can't be understood.
    Refused,
    /// It was undone.
    Cancelled,
}

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// Its push is known, and whoever asks may.
    Allowed,
    /// It may not be done, or can't.
    Refused,
    /// Something was sent because of it, or an earlier sending was found.
    Sent,
    /// All that was sent has come to a good end.
    Succeeded,
    /// What was sent came to a bad end, or could not be sent for good.
    Failed,
    /// Somebody wants it undone.
    CancelAsked,
    /// It is undone.
    Cancelled,
    /// Somebody wants it tried again.
    Retried,
}

/// An event that can't happen in that state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a request that is {state} can't be {event}")]
pub struct Invalid {
    /// The state.
    pub state: State,
    /// The event.
    pub event: Event,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 8] = [
        Self::Received,
        Self::Ready,
        Self::Asked,
        Self::Cancelling,
        Self::Done,
        Self::Failed,
        Self::Refused,
        Self::Cancelled,
    ];

    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Ready => "ready",
            Self::Asked => "asked",
            Self::Cancelling => "cancelling",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::Cancelled => "cancelled",
        }
    }

    /// The state of that word.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }

    /// Whether nothing more happens by itself.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Refused | Self::Cancelled)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Event {
    /// Every event.
    pub const ALL: [Self; 8] = [
        Self::Allowed,
        Self::Refused,
        Self::Sent,
        Self::Succeeded,
        Self::Failed,
        Self::CancelAsked,
        Self::Cancelled,
        Self::Retried,
    ];

    /// The word for it, as it is written down.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Refused => "refused",
            Self::Sent => "sent",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::CancelAsked => "cancel_asked",
            Self::Cancelled => "cancelled",
            Self::Retried => "retried",
        }
    }

    /// The event of that word.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|event| event.as_str() == word)
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Allowed => "allowed",
            Self::Refused => "refused",
            Self::Sent => "sent",
            Self::Succeeded => "done",
            Self::Failed => "failed",
            Self::CancelAsked | Self::Cancelled => "cancelled",
            Self::Retried => "retried",
        })
    }
}

/// The state after an event.
///
/// # Errors
/// If that can't happen: a terminal state is left only by trying again what did not come to a good end.
pub fn next(state: State, event: Event) -> Result<State, Invalid> {
    Ok(match (state, event) {
        (State::Received, Event::Allowed) => State::Ready,
        (State::Received | State::Ready, Event::Refused) => State::Refused,
        (State::Ready, Event::Sent) => State::Asked,
        (State::Asked, Event::Succeeded) => State::Done,
        (State::Received | State::Ready | State::Asked, Event::Failed) => State::Failed,
        (State::Received | State::Ready | State::Asked, Event::CancelAsked) => State::Cancelling,
        // Asked for by two, or before what was done and failed is forgotten: the copies may still run.
        (State::Cancelling | State::Done | State::Failed, Event::CancelAsked) => State::Cancelling,
        (State::Cancelling, Event::Cancelled) => State::Cancelled,
        (State::Cancelling, Event::Failed) => State::Failed,
        (State::Failed | State::Refused | State::Cancelled, Event::Retried) => State::Received,
        (state, event) => return Err(Invalid { state, event }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_state_is_left_only_because_somebody_wants_it() {
        for state in State::ALL.into_iter().filter(|state| state.is_terminal()) {
            for event in Event::ALL {
                let asked = matches!(event, Event::CancelAsked | Event::Retried);
                assert!(next(state, event).is_err() || asked, "{state} {event:?}");
            }
        }
    }

    #[test]
    fn from_every_state_there_is_a_way_to_an_end() {
        for state in State::ALL {
            let mut reached = vec![state];
            let mut at = 0;
            while let Some(&state) = reached.get(at) {
                at += 1;
                let after = Event::ALL.into_iter().filter_map(|event| next(state, event).ok());
                for state in after.collect::<Vec<_>>() {
                    if !reached.contains(&state) {
                        reached.push(state);
                    }
                }
            }
            assert!(reached.into_iter().any(State::is_terminal), "{state}");
        }
    }

    #[test]
    fn words_are_those_of_the_wire() {
        for state in State::ALL {
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
            assert_eq!(State::named(state.as_str()), Some(state));
        }
        for event in Event::ALL {
            assert_eq!(serde_json::to_value(event).unwrap(), event.as_str());
            assert_eq!(Event::named(event.as_str()), Some(event));
        }
    }

    #[test]
    fn what_was_done_is_not_done_again() {
        assert!(next(State::Done, Event::Retried).is_err());
        assert!(next(State::Received, Event::Sent).is_err(), "nothing is sent before it is allowed");
    }
}
