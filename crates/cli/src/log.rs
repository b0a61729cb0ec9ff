//! What the libraries report on their way, on standard error.

use tracing_subscriber::EnvFilter;

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
    let by_verbosity = match verbose.saturating_add(u8::from(says_all)) {
        0 => "warn",
        1 => "taskgraft=info,warn",
        2 => "taskgraft=debug,info",
        _ => "trace",
    };
    let given = filter.map(EnvFilter::try_new).transpose();
    let (filter, wrong) = match given {
        Ok(filter) => (filter.unwrap_or_else(|| EnvFilter::new(by_verbosity)), None),
        Err(why) => (EnvFilter::new(by_verbosity), Some(why)),
    };
    let ansi = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        Format::Text => lines.with_ansi(ansi).init(),
        Format::Json => lines.json().flatten_event(true).with_span_list(false).init(),
    }
    if let Some(why) = wrong {
        tracing::warn!("TASKGRAFT_LOG is not understood: {why}");
    }
}
