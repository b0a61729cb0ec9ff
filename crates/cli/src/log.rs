//! What the libraries report on their way, on standard error.

use std::io;

use taskgraft_service::log::{Keeper, Lines, lines, mask};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

/// How lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people
    #[default]
    Text,
    /// An object a line: timestamp, level, message, fields, and the task and run that it is about in `span`
    Json,
}

/// Starts logging: warnings, and with each `-v` more, a level more where the log is all that a command says. `filter`
/// (`TASKGRAFT_LOG`) wins over it.
pub(crate) fn start(verbose: u8, says_all: bool, format: Format, filter: Option<&str>) {
    begin(verbose, says_all, format, filter, None);
}

/// The same for a service: what keeps the lines of requests in its journal, from info up whatever else is logged.
pub(crate) fn start_keeping(verbose: u8, says_all: bool, format: Format, filter: Option<&str>) -> Keeper {
    let (lines, keeper) = lines();
    begin(verbose, says_all, format, filter, Some(lines));
    keeper
}

fn begin(verbose: u8, says_all: bool, format: Format, filter: Option<&str>, keep: Option<Lines>) {
    // lapin calls each end of a connection an error, wanted or not; what it means is said by whoever had the connection.
    let by_verbosity = match verbose.saturating_add(u8::from(says_all)) {
        0 => "warn,lapin=off",
        1 => "taskgraft=info,warn,lapin=off",
        2 => "taskgraft=debug,info",
        _ => "trace",
    };
    let given = filter.map(EnvFilter::try_new).transpose();
    let (filter, wrong) = match given {
        Ok(filter) => (filter.unwrap_or_else(|| EnvFilter::new(by_verbosity)), None),
        Err(why) => (EnvFilter::new(by_verbosity), Some(why)),
    };
    let ansi = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let written = tracing_subscriber::fmt::layer().with_writer(move || Masked { ansi });
    let written = match format {
        Format::Text => written.with_ansi(ansi).boxed(),
        Format::Json => written.json().flatten_event(true).with_span_list(false).boxed(),
    };
    let keep = keep.map(|lines| lines.with_filter(LevelFilter::INFO));
    tracing_subscriber::registry().with(written.with_filter(filter)).with(keep).init();
    if let Some(why) = wrong {
        tracing::warn!("TASKGRAFT_LOG is not understood: {why}");
    }
}

/// Standard error, without what looks secret. A line comes in one piece.
struct Masked {
    /// Whether it may have colours.
    ansi: bool,
}

impl io::Write for Masked {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let line_of_text = one_line(&String::from_utf8_lossy(line), self.ansi);
        io::stderr().write_all(mask(&line_of_text).as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// `line` in one line, whatever was sent to be logged in it: what would begin another, or move a terminal's cursor, is
/// escaped. Where there are colours, escapes for them stay, and no others: a field may hold what anybody sent.
fn one_line(line: &str, ansi: bool) -> String {
    let text = line.strip_suffix('\n').unwrap_or(line);
    let mut safe = String::with_capacity(line.len());
    for (at, char) in text.char_indices() {
        if char.is_control() && !(ansi && is_colour(&text[at..])) {
            safe.extend(char.escape_default());
        } else {
            safe.push(char);
        }
    }
    safe.push('\n');
    safe
}

/// Whether a text begins with an escape for a colour or another look of letters: `ESC [ digits ; m`.
fn is_colour(text: &str) -> bool {
    let numbers = text.strip_prefix("\u{1b}[").unwrap_or_default();
    numbers.trim_start_matches(|char: char| char.is_ascii_digit() || char == ';').starts_with('m')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_logged_begins_no_line_of_its_own() {
        let forged = "WARN a: b why=x\nERROR forged\r\u{9b}2J\u{1b}[31m\n";
        assert_eq!(one_line(forged, false), "WARN a: b why=x\\nERROR forged\\r\\u{9b}2J\\u{1b}[31m\n");
        let coloured = "\u{1b}[1;33mWARN\u{1b}[m ä\n";
        assert_eq!(one_line(coloured, true), coloured);
        for escape in ["[2J", "[31", "]0;title\u{7}", "c", "[3;1H", "[?1049h", "[31\u{1b}m", "m", ""] {
            let line = one_line(&format!("WARN why=\u{1b}{escape}"), true);
            assert!(!line.contains('\u{1b}'), "{line:?}");
        }
    }
}
