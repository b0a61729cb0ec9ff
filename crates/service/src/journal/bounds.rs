//! How large what the journal keeps may be, in bytes.

use taskgraft_core::pulse::MAX_BODY_BYTES;

use super::JournalError;

/// A request's key, an asker's name, an exchange, a routing key.
pub(super) const NAME: usize = 1024;

/// What is asked, and on what authority, as JSON: whatever the doors let in, which bound it themselves. It is what
/// `http.max_body` can be at most.
pub(super) const ASKED: usize = 16 * 1024 * 1024;

/// A plan or a report, as JSON.
pub(super) const OUTCOME: usize = 64 * 1024 * 1024;

/// A reason, and each text of the audit log. Longer ones are cut.
pub(super) const REASON: usize = 8 * 1024;

/// A log line. Longer ones are cut.
pub(super) const LINE: usize = 16 * 1024;

/// A message that nobody understood: as long as one may be that is read, so that it can be tried again. Of a longer one
/// the beginning is kept.
pub(super) const BODY: usize = MAX_BODY_BYTES;

/// How many log lines a request has at most.
pub(super) const LINES: i64 = 10_000;

/// How much is read at once at most, in rows.
pub(super) const ROWS: u32 = 1000;

/// After how many bytes of rows no more are read at once.
pub(super) const PART: usize = 2 * 1024 * 1024;

/// Refuses what is larger than `most`.
pub(super) fn check(what: &'static str, text: &str, most: usize) -> Result<(), JournalError> {
    if text.len() <= most { Ok(()) } else { Err(JournalError::TooLarge { what, bytes: text.len(), most }) }
}

/// `text`, or as much of its beginning as fits.
pub(super) fn cut(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    end.and_then(|end| text.get(..end)).unwrap_or_default()
}
