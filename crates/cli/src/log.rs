//! What the libraries report on their way, on standard error.

use tracing_subscriber::EnvFilter;

/// Starts logging: warnings, and with each `-v` more. `filter` (`TASKGRAFT_LOG`) wins over it.
pub(crate) fn start(verbose: u8, filter: Option<&str>) {
    let by_verbosity = match verbose {
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
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(ansi).init();
    if let Some(why) = wrong {
        tracing::warn!("TASKGRAFT_LOG is not understood: {why}");
    }
}
