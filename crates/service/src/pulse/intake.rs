//! From a delivered message to a request: what it asks for, and its name, by which it is recognised when it comes again.

use std::collections::BTreeMap;
use std::time::Duration;

use taskgraft_core::pulse::{Exchange, InvalidExchange, Kind, Message, Misaddressed, Unreadable};

use super::handlers::{self, TALOS};
use crate::config::{Config, DUPLICATE_WINDOW};
use crate::fingerprint::fingerprint;
use crate::journal::{Journal, JournalError, Received, Window};
use crate::request::NewRequest;

/// A message as it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Raw<'a> {
    /// The exchange it was published to.
    pub exchange: &'a str,
    /// Its routing key.
    pub routing_key: &'a str,
    /// Its AMQP message id, if it has one.
    pub message_id: Option<&'a str>,
    /// Whether the broker says that it may have been delivered before.
    pub redelivered: bool,
    /// What it says.
    pub body: &'a [u8],
}

/// How messages are understood and recognised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intake {
    kinds: BTreeMap<String, Kind>,
    talos: BTreeMap<String, Vec<String>>,
    window: Duration,
}

/// A request, and how long its name counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// The request.
    pub request: NewRequest,
    /// None where its name is the publisher's. Else it is a hash, and within this time an equal message is the same one.
    pub within: Option<Duration>,
    /// Whether the broker may have delivered it before: then an equal one may be older than that.
    pub redelivered: bool,
}

/// Why a message becomes no request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// It is none of those that are known.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// It is addressed to others than it speaks of.
    #[error(transparent)]
    Misaddressed(#[from] Misaddressed),
}

impl Default for Intake {
    /// As without a configuration.
    fn default() -> Self {
        Self { kinds: BTreeMap::new(), talos: BTreeMap::new(), window: DUPLICATE_WINDOW }
    }
}

impl Intake {
    /// As configured.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let Some(pulse) = &config.pulse else { return Self { talos: talos(config), ..Self::default() } };
        let kinds = pulse.handler.iter().map(|handler| (handler.exchange.clone(), handler.kind)).collect();
        Self { kinds, talos: talos(config), window: pulse.duplicate_window }
    }

    /// The exchange of that name: a handler's, else one of Treeherder's.
    fn exchange(&self, name: &str) -> Result<Exchange, InvalidExchange> {
        match self.kinds.get(name) {
            Some(kind) => Ok(Exchange { name: name.to_owned(), kind: *kind }),
            // Bound by an earlier configuration, or by hand.
            None => name.parse(),
        }
    }

    /// Understands a message, and says whether it is addressed to those it speaks of, as far as its address is known.
    ///
    /// # Errors
    /// If it is none of those that are known.
    pub fn understand(
        &self,
        exchange: Option<&str>,
        routing_key: Option<&str>,
        body: &[u8],
    ) -> Result<(Message, Result<(), Misaddressed>), Unreadable> {
        Message::delivered(exchange.map(|name| self.exchange(name)), routing_key, body)
    }

    /// The request that a message is.
    ///
    /// # Errors
    /// If it is none of those that are known, or addressed to others than it speaks of.
    pub fn read(&self, raw: Raw<'_>) -> Result<Taken, NotTaken> {
        let (message, addressed) = self.understand(Some(raw.exchange), Some(raw.routing_key), raw.body)?;
        addressed?;
        Ok(self.take(&message, raw))
    }

    /// How long a message counts as the last equal one, if it has no id.
    pub(super) fn window(&self, raw: Raw<'_>) -> Window {
        Window { window: self.window, again: raw.redelivered }
    }

    /// The request that an understood message is.
    #[must_use]
    pub fn take(&self, message: &Message, raw: Raw<'_>) -> Taken {
        let (key, within) = match raw.message_id {
            // Ids of two publishers may be the same.
            Some(id) => (format!("id:{}:{id}", raw.exchange), None),
            None => (hash(raw), Some(self.window)),
        };
        let request = match self.talos.get(&message.project) {
            Some(patterns) => handlers::request(message, key, patterns),
            None => handlers::request(message, key, &TALOS.map(str::to_owned)),
        };
        Taken { request, within, redelivered: raw.redelivered }
    }
}

/// The performance jobs of each project, by the names that messages may call it.
fn talos(config: &Config) -> BTreeMap<String, Vec<String>> {
    let there =
        config.project.values().filter_map(|project| Some((project.treeherder.as_ref()?.project.as_ref()?, project)));
    let all = there.chain(&config.project);
    all.map(|(name, project)| (name.clone(), project.pulse.talos.clone())).collect()
}

impl Taken {
    /// Writes it down.
    ///
    /// # Errors
    /// As [`Journal::receive`].
    pub async fn receive(self, journal: &Journal) -> Result<Received, JournalError> {
        match self.within {
            Some(window) if self.redelivered => journal.receive_again(self.request, window).await,
            Some(window) => journal.receive_within(self.request, window).await,
            None => journal.receive(self.request).await,
        }
    }
}

/// What is the same for equal messages only.
fn hash(raw: Raw<'_>) -> String {
    format!("hash:{}", fingerprint([raw.exchange.as_bytes(), raw.routing_key.as_bytes(), raw.body]))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use taskgraft_core::pulse::MAX_BODY_BYTES;

    use super::*;

    const EXCHANGE: &str = "exchange/treeherder/v1/resultset-actions";

    fn intake() -> Intake {
        let text = "[pulse]\nurl = \"amqp://localhost\"\nuser = \"ann\"\nduplicate_window = \"60s\"\n\
                    [[pulse.handler]]\nexchange = \"exchange/other/clicks\"\nkind = \"resultset-actions\"\n\
                    [project.try]\nlevel = \"1\"\n[project.try.pulse]\ntalos = [\"perf-*\"]\n";
        let config = Config::read(text).unwrap();
        Intake::new(&config)
    }

    fn body(project: &str) -> Vec<u8> {
        let message = json!({"version": 1, "project": project, "resultset_id": 7, "requester": "ann@lander.example",
                             "action": "trigger_all_talos_jobs", "times": 2});
        message.to_string().into_bytes()
    }

    fn raw<'a>(exchange: &'a str, body: &'a [u8]) -> Raw<'a> {
        let routing_key = "try.trigger_all_talos_jobs";
        Raw { exchange, routing_key, message_id: None, redelivered: false, body }
    }

    #[test]
    fn an_id_names_a_message_and_else_all_of_it() {
        let (intake, body) = (intake(), body("try"));
        let plain = intake.read(raw(EXCHANGE, &body)).unwrap();
        assert_eq!(plain.within, Some(Duration::from_secs(60)));
        let other = intake.read(raw("exchange/other/clicks", &body)).unwrap();
        assert_ne!(plain.request.key, other.request.key);
        let again = intake.read(Raw { redelivered: true, ..raw(EXCHANGE, &body) }).unwrap();
        assert_eq!(again.request.key, plain.request.key);
        assert!(again.redelivered && !plain.redelivered);
        let named = |exchange| intake.read(Raw { message_id: Some("7"), ..raw(exchange, &body) }).unwrap();
        let (one, two) = (named(EXCHANGE), named("exchange/other/clicks"));
        assert_eq!((one.within, two.within), (None, None));
        assert_ne!(one.request.key, two.request.key, "two publishers may use the same id");
    }

    #[test]
    fn a_project_says_what_its_performance_jobs_are() {
        let body = body("try");
        let request = intake().read(raw(EXCHANGE, &body)).unwrap().request;
        assert_eq!(request.asked.input["label"], json!(["perf-*"]));
    }

    #[test]
    fn what_is_too_large_from_elsewhere_or_to_others_is_not_taken() {
        let large = vec![b' '; MAX_BODY_BYTES + 1];
        assert_eq!(intake().read(raw(EXCHANGE, &large)), Err(Unreadable::TooLarge(large.len()).into()));
        let body = body("try");
        let refused = intake().read(raw("exchange/other/else", &body));
        assert!(matches!(refused, Err(NotTaken::Misaddressed(Misaddressed::Exchange(_)))), "{refused:?}");
        let refused = intake().read(Raw { routing_key: "autoland.cancel_all", ..raw(EXCHANGE, &body) });
        assert!(matches!(refused, Err(NotTaken::Misaddressed(Misaddressed::RoutingKey { .. }))), "{refused:?}");
    }
}
