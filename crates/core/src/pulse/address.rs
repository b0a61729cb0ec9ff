//! Whether a message is addressed to those it speaks of.
//!
//! Who may publish is decided by exchange, and a queue is bound by key: neither may be got around by what the body says. So
//! what is addressed otherwise is not followed; what it wants is known all the same.

use super::exchange::{Exchange, InvalidExchange, Kind};
use super::field::shown;
use super::message::{Message, Wants};
use super::read::Unreadable;

/// Why a message that was understood may not be followed. Shows nothing of it that could upset a terminal or a log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Misaddressed {
    /// It came from an exchange that nothing is known about.
    #[error(transparent)]
    Exchange(#[from] InvalidExchange),
    /// It came from an exchange of messages of another kind.
    #[error("the exchange {} is for messages of kind {}, but this one is of kind {kind}", shown(&.exchange.name), .exchange.kind)]
    Kind {
        /// Where it came from.
        exchange: Exchange,
        /// What its fields make it.
        kind: Kind,
    },
    /// It was published under a key that its fields don't make.
    #[error("the routing key is {}, but the message is {}'s", shown(.key), shown(.expected))]
    RoutingKey {
        /// The message's.
        key: String,
        /// What its fields make.
        expected: String,
    },
}

impl Message {
    /// Understands a message whatever its address, and says whether that agrees with it. `exchange` and `routing_key` are
    /// those it was delivered with, where they are known. Of a message whose exchange is unknown or another kind's, the
    /// fields say what it is.
    ///
    /// # Errors
    /// As [`Message::read`].
    pub fn delivered(
        exchange: Option<Result<Exchange, InvalidExchange>>,
        routing_key: Option<&str>,
        body: &[u8],
    ) -> Result<(Self, Result<(), Misaddressed>), Unreadable> {
        let exchange = match exchange.transpose() {
            Ok(exchange) => exchange,
            Err(unknown) => return Ok((Self::read(None, body)?, Err(unknown.into()))),
        };
        match (Self::read(exchange.clone(), body), exchange) {
            (Ok(message), _) => {
                let addressed = routing_key.map_or(Ok(()), |key| message.check_key(key));
                Ok((message, addressed))
            }
            (Err(why), Some(exchange)) => {
                let message = Self::read(None, body).map_err(|_| why)?;
                let kind = message.kind();
                Ok((message, Err(Misaddressed::Kind { exchange, kind })))
            }
            (Err(why), None) => Err(why),
        }
    }

    /// Whether it was published under the key that its fields make.
    fn check_key(&self, key: &str) -> Result<(), Misaddressed> {
        let project = &self.project;
        let expected = match &self.wants {
            Wants::NewJobs { .. } => project.clone(),
            Wants::OnPush { action, .. } => format!("{project}.{}", action.as_str()),
            Wants::OnJob { action, system, .. } => {
                let told = key.split('.').next().unwrap_or_default();
                format!("{}.{project}.{}", system.as_deref().unwrap_or(told), action.as_str())
            }
        };
        if key == expected { Ok(()) } else { Err(Misaddressed::RoutingKey { key: key.to_owned(), expected }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn with(mut value: Value, field: &str, other: Value) -> Value {
        value[field] = other;
        value
    }

    fn jobs() -> Value {
        json!({"version": 1, "project": "try", "requester": "ann@lander.example", "resultset_id": "87376",
               "requested_jobs": ["a"]})
    }

    fn push() -> Value {
        json!({"version": 1, "project": "try", "requester": "ann@lander.example", "resultset_id": "87376",
               "action": "cancel_all"})
    }

    fn job() -> Value {
        json!({"version": 1, "project": "try", "requester": "ann@lander.example", "build_system_type": "buildbot",
               "job_id": 7, "action": "retrigger"})
    }

    /// Whether the address agrees; what the message wants is understood in any case, and the same.
    fn addressed(exchange: Option<&str>, key: Option<&str>, value: &Value) -> Result<(), Misaddressed> {
        let body = value.to_string().into_bytes();
        let (message, addressed) = Message::delivered(exchange.map(str::parse), key, &body).unwrap();
        assert_eq!(message.wants, Message::read(None, &body).unwrap().wants);
        addressed
    }

    #[test]
    fn a_routing_key_has_to_agree_with_the_body() {
        let addressed = |value: &Value, key: &str| addressed(None, Some(key), value);
        for (value, right) in [(jobs(), "try"), (push(), "try.cancel_all"), (job(), "buildbot.try.retrigger")] {
            assert_eq!(addressed(&value, right), Ok(()));
            for wrong in ["", "autoland", "autoland.cancel_all", "try.cancel", "taskcluster.try.retrigger", "#"] {
                let refused = addressed(&value, wrong).unwrap_err();
                let told = format!("the routing key is `{wrong}`, but the message is `{right}`'s");
                assert_eq!(refused.to_string(), told);
            }
        }
        let unsaid = with(job(), "build_system_type", Value::Null);
        assert_eq!(addressed(&unsaid, "taskcluster.try.retrigger"), Ok(()));
        assert!(addressed(&unsaid, "a.b.try.retrigger").is_err());
        let hostile = addressed(&job(), "\u{0}\u{1b}[2J").unwrap_err().to_string();
        assert!(!hostile.chars().any(char::is_control), "{hostile:?}");
    }

    #[test]
    fn an_exchange_has_to_agree_with_the_body() {
        let name = |kind: Kind| format!("exchange/treeherder-stage/v1/{}", kind.exchange());
        for (of, value) in [(Kind::AddNewJobs, jobs()), (Kind::PushAction, push()), (Kind::JobAction, job())] {
            for kind in Kind::ALL {
                match addressed(Some(&name(kind)), None, &value) {
                    Ok(()) => assert_eq!(kind, of),
                    Err(Misaddressed::Kind { exchange, kind: told }) => {
                        assert_eq!((exchange.name, told), (name(kind), of));
                        assert_ne!(kind, of);
                    }
                    Err(other) => panic!("{other}"),
                }
            }
            for unknown in ["exchange/taskcluster-queue/v1/task-completed", "\u{1b}[2J"] {
                let refused = addressed(Some(unknown), Some("try"), &value).unwrap_err();
                assert!(matches!(refused, Misaddressed::Exchange(_)), "{refused}");
            }
        }
    }

    #[test]
    fn what_is_no_message_is_none_from_wherever_it_comes() {
        let body = with(push(), "action", json!("delete_all")).to_string().into_bytes();
        for exchange in [None, Some("exchange/treeherder/v1/resultset-actions"), Some("x")] {
            let why = Message::delivered(exchange.map(str::parse), None, &body).unwrap_err();
            assert!(matches!(why, Unreadable::Action { .. }), "{why}");
        }
        let why = Message::delivered(Some("exchange/treeherder/v1/job-actions".parse()), None, b"{}").unwrap_err();
        assert_eq!(why, Unreadable::Missing("version"));
    }
}
