//! The record of calls that want something done: what is turned away is in the audit log, with who it was and why. What is
//! let through becomes a request or a change of one, which the journal enters itself.

use std::net::IpAddr;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;

use super::app::App;
use super::call::Origin;
use super::crowd::{Turned, stranger};
use super::problem::{Kind, Problem};
use super::rate::Caller;
use crate::journal;
use crate::log::beginning;
use crate::request::Door;

/// What is known of a call so far.
#[derive(Debug)]
pub(super) struct Entry {
    endpoint: &'static str,
    call: String,
    from: IpAddr,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// Who signed it, as the auth service says.
    client: Option<String>,
    /// Who the header says signed it.
    claims: Option<String>,
    /// What stands in its path for `{…}`; all of its path until that is known.
    path: String,
    body: String,
}

impl Entry {
    /// A call of which no more is known than where it came from, and its head.
    pub(super) fn begin(endpoint: &'static str, from: &Origin, path: &str, headers: &HeaderMap) -> Self {
        let claims = headers.get(AUTHORIZATION).and_then(|header| header.to_str().ok()).and_then(claimed);
        let known = Mutex::new(Known { claims, path: path.to_owned(), ..Known::default() });
        Self { endpoint, call: from.call.clone(), from: from.address, known }
    }

    /// What it is about.
    pub(super) fn about(&self, path: &[String]) {
        self.with(|known| known.path = path.join(" "));
    }

    /// What was sent.
    pub(super) fn sent(&self, body: &[u8]) {
        self.with(|known| known.body = beginning(body));
    }

    /// Who signed it.
    pub(super) fn by(&self, client: &str) {
        self.with(|known| known.client = Some(client.to_owned()));
    }

    /// Enters a call that was turned away, by itself or counted: what is above a rate, and what strangers send, could fill
    /// the log.
    pub(super) async fn refused(self, app: &App, problem: &Problem) {
        let Known { client, claims, path, body } = self.known.into_inner().unwrap_or_else(PoisonError::into_inner);
        let by_itself = problem.kind != Kind::TooMany && (client.is_some() || app.crowd.alone(self.from));
        if !by_itself {
            let caller = client.map_or_else(|| Caller::at(self.from), Caller::Client);
            let turned = Turned { caller, claims, endpoint: self.endpoint, problem: problem.name() };
            return app.crowd.count(turned, Instant::now());
        }
        let entry = journal::Entry {
            who: client.unwrap_or_else(|| stranger(&self.from.to_string(), claims.as_deref())),
            what: [self.endpoint, &path, &body].join(" ").trim().to_owned(),
            why: format!("{}: {} (call {} from {})", problem.name(), problem.detail, self.call, self.from),
            outcome: "refused".to_owned(),
            door: Some(Door::Http),
            request: None,
        };
        if let Err(error) = app.journal.audit(vec![entry]).await {
            tracing::error!(%error, call = %self.call, "failed to enter a refusal into the audit log");
        }
    }

    fn with(&self, change: impl FnOnce(&mut Known)) {
        change(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Enters what was counted, each time that a window is over, and once more when all calls were answered.
pub(super) async fn enter_counted(app: &App, answered: impl Future<Output = ()>) {
    let mut answered = pin!(answered);
    let window = app.settings.count_for;
    let mut windows = tokio::time::interval_at(tokio::time::Instant::now() + window, window);
    let mut entries = Vec::new();
    loop {
        let over = tokio::select! {
            () = &mut answered => true,
            _ = windows.tick() => false,
        };
        // While nothing can be written a window goes on: what waits for that is bounded as well.
        if entries.is_empty() || over {
            entries.extend(app.crowd.end(Instant::now()));
        }
        match app.journal.audit(entries.clone()).await {
            Ok(()) => entries.clear(),
            Err(error) => tracing::error!(%error, "failed to enter counted refusals into the audit log"),
        }
        if over {
            return;
        }
    }
}

/// The client that a header names, whoever wrote it.
fn claimed(header: &str) -> Option<String> {
    let (_, rest) = header.split_once("id=\"")?;
    let (client, _) = rest.split_once('"')?;
    Some(client.chars().filter(|char| !char.is_control()).take(200).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whom_a_header_names_is_entered_without_control_characters_and_within_bounds() {
        assert_eq!(claimed("Hawk id=\"ann\\\u{7f}\", mac=\"x\"").as_deref(), Some("ann\\"));
        assert_eq!(claimed(&format!("Hawk id=\"{}\"", "a".repeat(5000))).unwrap().len(), 200);
        assert_eq!(claimed("Hawk mac=\"x\""), None);
    }
}
