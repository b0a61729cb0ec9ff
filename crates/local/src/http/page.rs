//! Answers in pages: a page ends with a token that names the last thing on it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{ApiError, Call};

/// So that a token of one kind isn't taken for something else.
const MARK: &str = "after:";

/// The part of a list that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Page {
    /// The most entries to answer with, at least 1.
    pub limit: usize,
    /// Only entries whose key stands after this one.
    pub after: Option<String>,
}

impl Page {
    /// What the query of an endpoint with [`PAGED`](super::PAGED) asks for, with at most `most` entries.
    pub(crate) fn of(call: &Call, most: usize) -> Result<Self, ApiError> {
        // More digits than fit mean "as many as there may be".
        let limit = call.query("limit").map_or(most, |text| text.parse().unwrap_or(most)).clamp(1, most);
        let after = call.query("continuationToken").map(after).transpose()?;
        Ok(Self { limit, after })
    }

    /// Cuts a list that was fetched with one entry more than the limit: what belongs on this page, and the token if
    /// there is another one.
    pub(crate) fn cut<T>(&self, mut rows: Vec<T>, key: impl FnOnce(&T) -> String) -> (Vec<T>, Option<String>) {
        if rows.len() <= self.limit {
            return (rows, None);
        }
        rows.truncate(self.limit);
        let token = rows.last().map(|last| URL_SAFE_NO_PAD.encode(format!("{MARK}{}", key(last))));
        (rows, token)
    }
}

fn after(token: &str) -> Result<String, ApiError> {
    URL_SAFE_NO_PAD
        .decode(token)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .and_then(|text| text.strip_prefix(MARK).map(str::to_owned))
        .ok_or_else(|| ApiError::input("Invalid continuation token"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_leads_to_the_next_page() {
        let page = Page { limit: 2, after: None };
        let (rows, token) = page.cut(vec!["a", "b", "c"], |row| (*row).to_owned());
        assert_eq!(rows, ["a", "b"]);
        assert_eq!(after(&token.unwrap()), Ok("b".to_owned()));
        assert_eq!(page.cut(vec!["a", "b"], |row| (*row).to_owned()), (vec!["a", "b"], None));
    }

    #[test]
    fn what_is_no_token_is_refused() {
        for token in ["!!", "", "YQ", "_____"] {
            assert_eq!(after(token), Err(ApiError::input("Invalid continuation token")), "{token}");
        }
    }
}
