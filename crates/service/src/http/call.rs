//! A call, read: what handlers are given.

use std::net::IpAddr;

use axum::http::HeaderMap;
use bytes::Bytes;
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use super::places::Place;
use super::problem::{Kind, Problem};
use super::rate::Caller;
use super::room::Held;
use super::who::Who;

/// Where a call comes from.
#[derive(Debug)]
pub(super) struct Origin {
    /// Its name in logs.
    pub(super) call: String,
    pub(super) address: IpAddr,
    /// Closed when the caller hangs up.
    pub(super) here: watch::Receiver<()>,
}

/// A call that was let through.
pub(super) struct Call {
    /// Its name in logs: X-Request-Id.
    pub(super) id: String,
    /// Where it came from.
    pub(super) from: IpAddr,
    /// What stands in its path for `{…}`, in order.
    pub(super) path: Vec<String>,
    /// Its query, each name at most once.
    pub(super) query: Vec<(String, String)>,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// What a large body holds.
    pub(super) room: Held,
    /// That it is worked on; free again when the call is dropped.
    pub(super) place: Option<Place>,
    /// Who signed it; nobody where no signature is asked for.
    pub(super) who: Option<Who>,
    /// Open for as long as the caller is there.
    here: watch::Receiver<()>,
}

impl Call {
    /// A call of which no more is known yet.
    pub(super) fn new(from: Origin, path: Vec<String>) -> Self {
        let Origin { call: id, address: from, here } = from;
        let (headers, room) = (HeaderMap::new(), Held::default());
        Self { id, from, path, query: Vec::new(), headers, body: Bytes::new(), room, place: None, who: None, here }
    }

    /// Resolves when the caller has hung up.
    pub(super) async fn left(&mut self) {
        while self.here.changed().await.is_ok() {}
    }

    /// What stands in the path for the first `{…}`.
    pub(super) fn subject(&self) -> &str {
        self.path.first().map_or("", String::as_str)
    }

    /// A query parameter that is there and not empty.
    pub(super) fn query(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// A header that is text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Gives back what it has while it only waits: its place, its body and the room for that.
    pub(super) fn rest(&mut self) {
        (self.body, self.room, self.place) = (Bytes::new(), Held::default(), None);
    }

    /// Whose shares it counts for.
    pub(super) fn caller(&self) -> Caller {
        self.who.as_ref().map_or_else(|| Caller::at(self.from), |who| Caller::Client(who.client_id.clone()))
    }

    /// Who signed it.
    ///
    /// # Errors
    /// If nobody did, which only a defect in the table of endpoints makes possible.
    pub(super) fn who(&self) -> Result<&Who, Problem> {
        self.who.as_ref().ok_or_else(|| Problem::internal("an endpoint that acts takes calls that nobody signed"))
    }

    /// Its body as JSON of a shape.
    ///
    /// # Errors
    /// If it isn't, with the place.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        let mut deserializer = serde_json::Deserializer::from_slice(&self.body);
        let read = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
            let place = error.path().to_string();
            Problem::new(Kind::MalformedBody, error.inner().to_string()).at(place)
        })?;
        let ended = deserializer.end();
        ended.map_err(|error| Problem::new(Kind::MalformedBody, error.to_string()).at("."))?;
        Ok(read)
    }
}

/// Reads a query: each parameter once, and only those that are known.
///
/// # Errors
/// If one is unknown or given twice.
pub(super) fn query(text: Option<&str>, known: &[&str]) -> Result<Vec<(String, String)>, Problem> {
    let mut query: Vec<(String, String)> = Vec::new();
    for (name, value) in url::form_urlencoded::parse(text.unwrap_or_default().as_bytes()) {
        if !known.contains(&&*name) {
            let shown: String = name.chars().take(64).collect();
            let problem = Problem::parameter(&shown, "there is no such parameter here");
            return Err(if known.is_empty() { problem } else { problem.out(format!("known: {}", known.join(", "))) });
        }
        if query.iter().any(|(earlier, _)| *earlier == *name) {
            return Err(Problem::parameter(&name, "it is given more than once"));
        }
        query.push((name.into_owned(), value.into_owned()));
    }
    Ok(query)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_has_known_parameters_once() {
        let read = query(Some("a=x%20y&b="), &["a", "b"]).unwrap();
        assert_eq!(read, [("a".to_owned(), "x y".to_owned()), ("b".to_owned(), String::new())]);
        assert_eq!(query(Some("c=1"), &["a"]).unwrap_err().place.as_deref(), Some("c"));
        assert!(query(Some("a=1&a=2"), &["a"]).is_err());
        assert!(query(None, &[]).unwrap().is_empty());
    }
}
