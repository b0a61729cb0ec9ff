//! Jobs that live in Buildbot: builders that one names beside a push's labels, forced over a master's REST API.
//!
//! Forcing is not idempotent, so it is done once: a build's reason carries the request's id ([`Mark`]), it is looked for
//! before anything is forced, and a force whose answer is lost is settled by looking, or else reported as unclear. It is
//! never repeated blindly.
//!
//! ```text
//! names ─ split ─► labels    ─► the push's action
//!               └► builders  ─► look ─ force what is missing ─ settle ─► follow ─► report
//! ```

mod answers;
mod carry;
mod divide;
mod error;
mod force;
mod mark;
mod master;
mod masters;
mod report;
mod session;
mod split;

pub use carry::{Build, FORCE, Wanted, carry, offers, scope};
pub(crate) use divide::ADD;
pub use divide::{DivideError, Divided, divide};
pub use error::Error;
pub use force::Forced;
pub use mark::Mark;
pub use master::Master;
pub use masters::Masters;
pub use report::{BuildReport, Outcome};
pub use split::{Builders, Split, split};
