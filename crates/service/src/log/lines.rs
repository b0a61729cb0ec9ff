//! From events in a request's span to lines in the journal.

use std::fmt;
use std::future::Future;

use jiff::Timestamp;
use serde_json::{Map, Value};
use taskgraft_core::ids::RequestId;
use taskgraft_core::time::Millis;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::{mask, span};
use crate::journal::{Journal, NewLine};

/// How many lines wait for the journal; those beyond it are in the log alone.
const WAITING: usize = 10_000;
/// How many go into the journal at once.
const AT_ONCE: usize = 256;

/// A layer that passes on the lines of requests, from info up.
#[derive(Debug)]
pub struct Lines {
    lines: Sender<NewLine>,
}

/// What takes them to the journal.
#[derive(Debug)]
pub struct Keeper {
    lines: Receiver<NewLine>,
}

/// A layer for the log, and what keeps its lines as soon as there is a journal.
#[must_use]
pub fn lines() -> (Lines, Keeper) {
    let (sender, receiver) = channel(WAITING);
    (Lines { lines: sender }, Keeper { lines: receiver })
}

impl Keeper {
    /// Keeps lines until `end`, and then those that are waiting.
    pub async fn run(mut self, journal: Journal, end: impl Future<Output = ()>) {
        let mut end = std::pin::pin!(end);
        let mut ending = false;
        loop {
            let mut lines = Vec::new();
            tokio::select! {
                () = &mut end, if !ending => {
                    ending = true;
                    self.lines.close();
                }
                count = self.lines.recv_many(&mut lines, AT_ONCE) => {
                    if count == 0 {
                        return;
                    }
                    if let Err(error) = journal.log(lines).await {
                        tracing::warn!("failed to keep {count} log lines: failed to {error}");
                    }
                }
            }
        }
    }
}

/// What a request's span says, kept with it.
struct Said(Map<String, Value>);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Lines {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if attributes.metadata().name() != span::NAME {
            return;
        }
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(Said(fields.0));
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut extensions = span.extensions_mut();
        if let Some(Said(said)) = extensions.get_mut::<Said>() {
            let mut fields = Fields::default();
            values.record(&mut fields);
            said.extend(fields.0);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if *event.metadata().level() > Level::INFO {
            return;
        }
        let mut spans = context.event_scope(event).into_iter().flatten();
        let Some(said) = spans.find_map(|span| span.extensions().get::<Said>().map(|said| said.0.clone())) else {
            return;
        };
        let Some(request) = said.get("request").and_then(Value::as_str).and_then(|id| id.parse().ok()) else { return };
        // Full: the line is in the log, and waiting for the disk here would hold up whoever logs.
        let _ = self.lines.try_send(line(request, event, said));
    }
}

/// An event as the journal keeps it: a JSON object of its time, level, message and fields.
fn line(request: RequestId, event: &Event<'_>, said: Map<String, Value>) -> NewLine {
    let at = Millis::from(Timestamp::now());
    let mut own = Fields::default();
    event.record(&mut own);
    let mut line = Map::new();
    line.insert("timestamp".to_owned(), at.to_string().into());
    line.insert("level".to_owned(), event.metadata().level().as_str().into());
    line.extend(own.0);
    // What is said of the request counts, whatever a field is called.
    line.extend(said);
    NewLine { request, at, text: Value::Object(line).to_string() }
}

/// Fields as JSON.
#[derive(Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        self.0.insert(field.name().to_owned(), value);
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, mask(&format!("{value:?}")).into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, mask(value).into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use taskgraft_core::ids::TaskId;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::super::{acting, decided};
    use super::*;

    const ASKER: &str = "ann \"the\" {quick}";

    fn request() -> tracing::Span {
        span::of(&"R1".parse().unwrap(), ASKER)
    }

    /// What is kept of what `log` logs.
    fn kept(log: impl FnOnce()) -> Vec<Value> {
        let (layer, mut keeper) = lines();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), log);
        std::iter::from_fn(|| keeper.lines.try_recv().ok())
            .map(|line| {
                assert_eq!(line.request.as_str(), "R1");
                let mut value: Value = serde_json::from_str(&line.text).unwrap();
                assert_eq!(value.as_object_mut().unwrap().remove("timestamp").unwrap(), line.at.to_string());
                value
            })
            .collect()
    }

    #[test]
    fn every_line_of_a_request_says_what_is_known_of_it() {
        let [decision, task] = [2, 3].map(|byte| TaskId::from_bytes([byte; 16]));
        let lines = kept(|| {
            tracing::info!("before");
            let span = request();
            let _in = span.enter();
            tracing::info!(count = 2, "first");
            decided(&span, decision);
            let _deeper = tracing::info_span!("deeper", request = "not this").entered();
            tracing::debug!("too fine");
            acting(&span, task);
            tracing::warn!(task = "another", url = "amqp://ann:s3cret@h/", request = 5, "then {}", "bewit=s3cret");
        });
        assert_eq!(
            lines,
            [
                json!({"level": "INFO", "message": "first", "count": 2, "request": "R1", "asker": ASKER}),
                json!({
                    "level": "WARN", "message": "then bewit=…", "url": "amqp://ann:…@h/", "request": "R1", "asker": ASKER,
                    "decision": decision, "task": task,
                }),
            ]
        );
    }

    #[test]
    fn what_waits_is_bounded() {
        let lines = kept(|| {
            let _in = request().entered();
            (0..WAITING + 5).for_each(|n| tracing::info!(n, "line"));
        });
        assert_eq!(lines.len(), WAITING);
    }
}
