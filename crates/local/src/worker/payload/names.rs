//! Names of artifacts as payloads give them.

use super::MalformedPayload;

/// Where the log can be read while the task runs, and afterwards.
pub(crate) const DEFAULT_LIVE_LOG: &str = "public/logs/live.log";
/// Where the whole log is kept.
pub(crate) const DEFAULT_BACKING_LOG: &str = "public/logs/live_backing.log";

/// The longest name that the queue takes.
const MAX_NAME_BYTES: usize = 1024;

/// Checks a name that is published as it is.
pub(super) fn check(path: &str, name: &str) -> Result<(), MalformedPayload> {
    let reason = if name.is_empty() || name.len() > MAX_NAME_BYTES {
        "an artifact's name has 1 to 1024 characters"
    } else if !name.bytes().all(|byte| (0x20..=0x7e).contains(&byte)) {
        "an artifact's name has only printable ASCII characters"
    } else if name.split('/').any(|part| part.is_empty() || part == "." || part == "..") {
        "an artifact's name has no empty, `.` or `..` parts"
    } else {
        return Ok(());
    };
    Err(MalformedPayload::at(path, format!("{reason}, unlike {name:?}")))
}

/// The backing log's name that goes with a docker-worker live log: `_backing` before the extension.
pub(super) fn backing_of(live: &str) -> String {
    let (folder, file) = live.rsplit_once('/').map_or(("", live), |(folder, file)| (folder, file));
    let file = match file.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() => format!("{stem}_backing.{extension}"),
        Some(_) | None => format!("{file}_backing"),
    };
    if folder.is_empty() { file } else { format!("{folder}/{file}") }
}
