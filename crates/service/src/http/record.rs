//! The record of calls that want something done: what is turned away is in the audit log, with who it was and why. What is
//! let through becomes a request or a change of one, which the journal enters itself.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;

use super::app::App;
use super::problem::Problem;
use crate::journal;
use crate::log::beginning;
use crate::request::Door;

/// What is known of a call so far.
#[derive(Debug)]
pub(super) struct Entry {
    endpoint: &'static str,
    call: String,
    path: Vec<String>,
    from: IpAddr,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// Who signed it, as the auth service says.
    client: Option<String>,
    /// Who the header says signed it.
    claims: Option<String>,
    body: String,
}

impl Entry {
    pub(super) fn begin(
        endpoint: &'static str,
        (call, from): (&str, IpAddr),
        path: &[String],
        headers: &HeaderMap,
    ) -> Self {
        let claims = headers.get(AUTHORIZATION).and_then(|header| header.to_str().ok()).and_then(claimed);
        let known = Mutex::new(Known { claims, ..Known::default() });
        Self { endpoint, call: call.to_owned(), path: path.to_vec(), from, known }
    }

    /// What was sent.
    pub(super) fn sent(&self, body: &[u8]) {
        self.with(|known| known.body = beginning(body));
    }

    /// Who signed it.
    pub(super) fn by(&self, client: &str) {
        self.with(|known| known.client = Some(client.to_owned()));
    }

    /// Enters a call that was turned away.
    pub(super) async fn refused(self, app: &App, problem: &Problem) {
        let known = self.known.into_inner().unwrap_or_else(PoisonError::into_inner);
        let who = match (known.client, known.claims) {
            (Some(client), _) => client,
            (None, Some(claims)) => format!("somebody at {} who claims to be {claims}", self.from),
            (None, None) => format!("somebody at {}", self.from),
        };
        let entry = journal::Entry {
            who,
            what: [self.endpoint.to_owned(), self.path.join(" "), known.body].join(" ").trim().to_owned(),
            why: format!("{}: {} (call {} from {})", problem.name(), problem.detail, self.call, self.from),
            outcome: "refused".to_owned(),
            door: Some(Door::Http),
            request: None,
        };
        if let Err(error) = app.journal.audit(entry).await {
            tracing::error!(%error, call = %self.call, "failed to enter a refusal into the audit log");
        }
    }

    fn with(&self, change: impl FnOnce(&mut Known)) {
        change(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner));
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
