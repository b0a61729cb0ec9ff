//! What a master answers, as far as it is used: version 2 of Buildbot's REST API.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use taskgraft_client::Error as SiteError;

use super::Error;
use crate::log::mask;

/// The most characters of a master's own words that are passed on.
const MAX_WORDS: usize = 300;
/// What a master calls the results of a build: `buildbot.process.results`.
const RESULTS: [&str; 7] = ["success", "warnings", "failure", "skipped", "exception", "retry", "cancelled"];

/// `/forceschedulers/NAME`.
#[derive(Debug, Deserialize)]
pub(super) struct ForceSchedulers {
    pub(super) forceschedulers: Vec<ForceScheduler>,
}

/// One of them.
#[derive(Debug, Deserialize)]
pub(super) struct ForceScheduler {
    pub(super) builder_names: Vec<String>,
}

/// `/builders`.
#[derive(Debug, Deserialize)]
pub(super) struct Builders {
    pub(super) builders: Vec<Builder>,
}

/// A builder.
#[derive(Debug, Deserialize)]
pub(super) struct Builder {
    pub(super) builderid: u64,
    pub(super) name: String,
    /// The masters that have it now; none once it was taken out of the configuration.
    pub(super) masterids: Vec<u64>,
}

/// `/buildsets`.
#[derive(Debug, Deserialize)]
pub(super) struct Buildsets {
    pub(super) buildsets: Vec<Buildset>,
}

/// What was asked for at once.
#[derive(Debug, Deserialize)]
pub(super) struct Buildset {
    pub(super) bsid: u64,
    pub(super) reason: String,
}

/// `/buildrequests`.
#[derive(Debug, Deserialize)]
pub(super) struct Buildrequests {
    pub(super) buildrequests: Vec<Buildrequest>,
}

/// One builder's part of a buildset.
#[derive(Debug, Deserialize)]
pub(super) struct Buildrequest {
    pub(super) buildrequestid: u64,
    pub(super) buildsetid: u64,
    pub(super) builderid: u64,
    /// Whether a master has begun with it.
    pub(super) claimed: bool,
    pub(super) complete: bool,
    pub(super) results: Option<i64>,
}

/// `/builds`.
#[derive(Debug, Deserialize)]
pub(super) struct Builds {
    pub(super) builds: Vec<Build>,
}

/// A build.
#[derive(Debug, Deserialize)]
pub(super) struct Build {
    pub(super) buildrequestid: u64,
    pub(super) number: u64,
}

/// What a control call answers: JSON-RPC 2.0.
#[derive(Debug, Deserialize)]
#[serde(bound = "T: Deserialize<'de>")]
pub(super) struct Rpc<T> {
    #[serde(default = "Option::default")]
    pub(super) result: Option<T>,
    #[serde(default)]
    pub(super) error: Option<RpcError>,
}

/// Why not.
#[derive(Debug, Deserialize)]
pub(super) struct RpcError {
    /// A text, or an object from the fields of a form to what is wrong with them.
    #[serde(default)]
    pub(super) message: serde_json::Value,
}

/// Reads an answer.
pub(super) fn read<T: DeserializeOwned>(call: &'static str, body: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(body).map_err(|error| Error::Unreadable { call, why: plain(&error.to_string()) })
}

/// The word for a result; none while there is no result.
pub(super) fn result(complete: bool, results: Option<i64>) -> Option<&'static str> {
    let index = results.filter(|_| complete).and_then(|number| usize::try_from(number).ok());
    if complete { Some(index.and_then(|index| RESULTS.get(index)).copied().unwrap_or("unknown")) } else { None }
}

/// The words of an error, in one line and not too many.
pub(super) fn words(body: &[u8]) -> String {
    let said = serde_json::from_slice::<Rpc<serde_json::Value>>(body).ok().and_then(|rpc| rpc.error);
    let text = match said.map(|error| error.message) {
        Some(serde_json::Value::String(text)) => text,
        Some(other) => other.to_string(),
        None => String::from_utf8_lossy(body).into_owned(),
    };
    plain(&text)
}

/// A call that came to nothing, with no more of the answer's words than anybody reads.
pub(super) fn told(error: SiteError) -> Error {
    Error::Site(match error {
        SiteError::Rejected { call, status, code, message } => {
            SiteError::Rejected { call, status, code: plain(&code), message: plain(&message) }
        }
        SiteError::Conflict { call, message } => SiteError::Conflict { call, message: plain(&message) },
        SiteError::Unreadable { call, why } => SiteError::Unreadable { call, why: plain(&why) },
        error @ (SiteError::Transient { .. } | SiteError::ClockSkew { .. } | SiteError::Unsendable { .. }) => error,
    })
}

/// A master's words in one line, not too many, and without what it may have repeated of a login.
fn plain(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_WORDS).collect();
    mask(text.trim()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_told_in_one_short_line() {
        assert_eq!(words(br#"{"jsonrpc": "2.0", "error": {"code": 1, "message": "a\nb"}}"#), "a b");
        assert_eq!(words(br#"{"error": {"message": {"revision": "no"}}}"#), r#"{"revision":"no"}"#);
        assert_eq!(words(b"<html>nginx</html>\n"), "<html>nginx</html>");
        assert_eq!(words(&[b'x'; 5000]).len(), 300);
        assert_eq!(
            words(b"you said: Authorization: Basic YW5uOnMzY3JldA=="),
            "you said: Authorization: Basic \u{2026}"
        );
        let long =
            SiteError::Rejected { call: "builders", status: 404, code: String::new(), message: "x\n".repeat(5000) };
        assert!(told(long).to_string().len() < 400);
        let unread = read::<Builders>("builders", format!("{{\"builders\": \"{}\"}}", "x".repeat(5000)).as_bytes());
        assert!(unread.unwrap_err().to_string().len() < 400);
    }

    #[test]
    fn results_have_words() {
        assert_eq!(
            [result(true, Some(0)), result(true, Some(6)), result(true, Some(9))],
            [Some("success"), Some("cancelled"), Some("unknown"),]
        );
        assert_eq!([result(false, Some(-1)), result(true, None)], [None, Some("unknown")]);
    }
}
