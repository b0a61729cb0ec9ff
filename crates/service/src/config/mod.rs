//! The service's configuration: one TOML file. docs/reference/service.md says what each key means.
//!
//! It is read with its places kept, so that all that is wrong with it is told at once, and where. Nothing secret stands in
//! it: [`Secrets`] come from the environment, which only the binary reads.

mod duration;
mod exposed;
mod file;
mod http;
mod problem;
mod project;
mod pulse;
mod secrets;
mod table;
mod url;

pub use exposed::is_exposed;
pub use file::{Carrying, Config, Keep, Log, LogFormat, MAX_FILE_BYTES};
pub use http::Http;
pub use problem::{Invalid, Problem};
pub use project::{Allow, Buildbot, Project, Rules, Treeherder};
pub use pulse::{DUPLICATE_WINDOW, Handler, Pulse};
pub use secrets::Secrets;
