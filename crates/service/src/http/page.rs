//! Lists in pages: a cursor names the last entry of the page before, so that what comes or goes meanwhile neither hides an
//! entry nor shows one twice.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::call::Call;
use super::problem::Problem;

/// How many entries a page has unless fewer or more are asked for.
const DEFAULT: usize = 100;
/// The most entries of a page.
pub(super) const MOST: usize = 1000;

/// The part of a list that was asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Page<K> {
    pub(super) limit: usize,
    /// Only what stands behind this.
    pub(super) after: Option<K>,
}

impl<K: Serialize + DeserializeOwned> Page<K> {
    /// What `limit` and `cursor` in the query ask for.
    ///
    /// # Errors
    /// If they can't be understood.
    pub(super) fn of(call: &Call) -> Result<Self, Problem> {
        let limit = match call.query("limit") {
            None => DEFAULT,
            Some(text) => text
                .parse()
                .ok()
                .filter(|limit| (1..=MOST).contains(limit))
                .ok_or_else(|| Problem::parameter("limit", format!("a number from 1 to {MOST} is needed")))?,
        };
        let after = call.query("cursor").map(read).transpose()?;
        Ok(Self { limit, after })
    }

    /// Cuts what stands behind the cursor to the page's length; with the cursor of the next page, if there is one.
    pub(super) fn cut<T>(&self, rows: impl IntoIterator<Item = T>, key: impl Fn(&T) -> K) -> (Vec<T>, Option<String>) {
        let mut rows: Vec<T> = rows.into_iter().take(self.limit + 1).collect();
        if rows.len() <= self.limit {
            return (rows, None);
        }
        rows.truncate(self.limit);
        let next = rows.last().map(|last| write(&key(last)));
        (rows, next)
    }
}

pub(super) fn write<K: Serialize>(key: &K) -> String {
    // Keys are texts, numbers and pairs of them, which can always be written.
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(key).unwrap_or_default())
}

fn read<K: DeserializeOwned>(cursor: &str) -> Result<K, Problem> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok();
    bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).ok_or_else(|| {
        Problem::parameter("cursor", "it is not the cursor of a page of this list").out("begin without one")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_lead_through_a_list_each_entry_once() {
        let all: Vec<u32> = (0..10).collect();
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = Page { limit: 3, after };
            let rows = all.iter().copied().filter(|row| page.after.is_none_or(|after| *row > after));
            let (rows, next) = page.cut(rows, |row| *row);
            seen.extend(rows);
            let Some(next) = next else { break };
            after = Some(read(&next).unwrap());
        }
        assert_eq!(seen, all);
    }

    #[test]
    fn what_is_no_cursor_is_refused() {
        for text in ["!", "e30", "YWJj", "%00"] {
            assert_eq!(read::<(i64, String)>(text).unwrap_err().place.as_deref(), Some("cursor"));
        }
    }
}
