//! `[pulse]`: the broker that is listened to.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Serialize, Serializer};
use taskgraft_core::pulse::Kind;
use url::Url;

use super::duration;
use super::table::Table;

/// For how long an equal message without an id of its own is the same message, unless something else is configured.
pub const DUPLICATE_WINDOW: Duration = Duration::from_secs(60);

/// Where messages come from, and how they are taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pulse {
    /// `url`: `amqps://HOST[:PORT][/VHOST]`, or `amqp://` without TLS; without user and password.
    pub url: String,
    /// `user`: queues are named after it, `queue/USER/NAME`. Its password comes from the environment.
    pub user: String,
    /// `authorities`: a file of certificate authorities (PEM) that may vouch for the broker, beside the machine's.
    pub authorities: Option<PathBuf>,
    /// `prefetch`: how many messages may be on their way before they are acknowledged.
    pub prefetch: u16,
    /// `duplicate_window`: for how long an equal message without an id of its own is the same message.
    #[serde(serialize_with = "duration::serialize")]
    pub duplicate_window: Duration,
    /// `dead_letter`: the name of the queue for messages that can't be understood.
    pub dead_letter: String,
    /// `task_events`: whether the queue service's exchanges are listened to, so that states are live.
    pub task_events: bool,
    /// `[[pulse.handler]]`: the exchanges that are listened to.
    pub handler: Vec<Handler>,
}

/// An exchange that is listened to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Handler {
    /// `exchange`.
    pub exchange: String,
    /// `kind`: what its messages ask for, as the last part of the exchange that Treeherder publishes such messages to; by
    /// default as the last part of this exchange's name.
    #[serde(serialize_with = "kind")]
    pub kind: Kind,
    /// `keys`: patterns of routing keys.
    pub keys: Vec<String>,
    /// `queue`: the name of the queue that is bound to it.
    pub queue: String,
}

fn kind<S: Serializer>(kind: &Kind, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(kind.exchange())
}

impl Pulse {
    pub(super) fn read(table: &Table<'_>) -> Self {
        let url = table.parsed("url", amqp_url);
        let user = table.parsed("user", |text| if is_name(text) { Ok(text.to_owned()) } else { Err(NAME) });
        let dead = table.parsed("dead_letter", |text| if is_name(text) { Ok(text.to_owned()) } else { Err(NAME) });
        let window = Duration::ZERO..=Duration::from_secs(86_400);
        Self {
            url: table.required("url", url).unwrap_or_default(),
            user: table.required("user", user).unwrap_or_default(),
            authorities: table.text("authorities").map(PathBuf::from),
            prefetch: table.number("prefetch", 1..=65_535).and_then(|n| u16::try_from(n).ok()).unwrap_or(500),
            duplicate_window: table.duration("duplicate_window", window).unwrap_or(DUPLICATE_WINDOW),
            dead_letter: dead.unwrap_or_else(|| "taskgraft-dead".to_owned()),
            task_events: table.flag("task_events").unwrap_or(false),
            handler: table.tables("handler", Handler::read),
        }
    }
}

/// What is published to the exchange that Treeherder calls so.
fn named(last: &str) -> Option<Kind> {
    Kind::ALL.into_iter().find(|kind| kind.exchange() == last)
}

impl Handler {
    fn read(table: &Table<'_>) -> Self {
        let exchange = table.text("exchange");
        let exchange = table.required("exchange", exchange).unwrap_or_default();
        let last = exchange.rsplit('/').next().unwrap_or_default();
        let kinds = Kind::ALL.map(|kind| format!("\"{}\"", kind.exchange())).join(", ");
        let kind = table.parsed("kind", |text| named(text).ok_or_else(|| format!("it must be one of {kinds}")));
        let kind = kind.or_else(|| named(last)).unwrap_or_else(|| {
            if !exchange.is_empty() {
                table.wrong("kind", format!("it is missing, and the exchange's name ends with none of {kinds}"));
            }
            Kind::JobAction
        });
        let queue = table.parsed("queue", |text| if is_name(text) { Ok(text.to_owned()) } else { Err(NAME) });
        Self {
            kind,
            keys: table.texts("keys").unwrap_or_else(|| vec!["#".to_owned()]),
            queue: queue.unwrap_or_else(|| format!("taskgraft-{}", kind.exchange())),
            exchange,
        }
    }
}

const NAME: &str = "1 to 100 letters, digits, `-`, `_`, `.` and `/` are needed";

fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/');
    (1..=100).contains(&text.len()) && text.bytes().all(plain)
}

fn amqp_url(text: &str) -> Result<String, String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    if url.password().is_some() {
        return Err("it carries a password: put it into TASKGRAFT_PULSE_PASSWORD".to_owned());
    }
    if !url.username().is_empty() {
        return Err("it carries a user name: that is the key `user`".to_owned());
    }
    if !matches!(url.scheme(), "amqp" | "amqps") || !url.has_host() {
        return Err("a URL that begins with amqps:// or amqp:// is needed".to_owned());
    }
    Ok(text.to_owned())
}
