//! What a service is made with, of which all that can be wrong shows before anybody is asked.

use std::sync::Arc;

use taskgraft_client::pulse::Broker;
use taskgraft_client::{Client, ConfigError};

use crate::buildbot::Masters;
use crate::config::{Config, Secrets};
use crate::pulse::resolver::Resolver;
use crate::pulse::{self, ListenError, Listener};

/// Why a service can't be made as its configuration has it.
#[derive(Debug, thiserror::Error)]
pub enum MakeError {
    /// What it is told about can't be asked.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The pulse listener can't be made.
    #[error(transparent)]
    Pulse(#[from] ListenError),
}

/// What the doors and the carrier are made with.
pub(crate) struct Made {
    /// Takes messages.
    pub(crate) listener: Option<Listener>,
    /// Says what becomes of tasks.
    pub(crate) events: Option<Broker>,
    pub(crate) masters: Arc<Masters>,
    pub(crate) resolver: Resolver,
}

impl Made {
    /// As configured. Connects to nothing, and writes nothing.
    ///
    /// # Errors
    /// All that is wrong, which is something.
    pub(crate) fn of(config: &Config, secrets: &Secrets, reader: &Client) -> Result<Self, Vec<MakeError>> {
        let pulse = of_pulse(config, secrets);
        let masters = Masters::new(&config.project, secrets, reader.config());
        let resolver = Resolver::new(reader.clone(), &config.project);
        match (pulse, masters, resolver) {
            (Ok((listener, events)), Ok(masters), Ok(resolver)) => {
                Ok(Self { listener, events, masters: Arc::new(masters), resolver })
            }
            (pulse, masters, resolver) => {
                let wrong = [pulse.err().map(MakeError::from), masters.err().map(MakeError::from)];
                Err(wrong.into_iter().chain([resolver.err().map(MakeError::from)]).flatten().collect())
            }
        }
    }
}

fn of_pulse(config: &Config, secrets: &Secrets) -> Result<(Option<Listener>, Option<Broker>), ListenError> {
    let Some(pulse) = &config.pulse else { return Ok((None, None)) };
    // Somebody may only want to hear what becomes of tasks.
    let listens = !pulse.handler.is_empty() || !pulse.task_events;
    let listener = listens.then(|| Listener::new(config, secrets)).transpose()?;
    let events = pulse.task_events.then(|| pulse::broker(pulse, secrets)).transpose()?;
    Ok((listener, events))
}
