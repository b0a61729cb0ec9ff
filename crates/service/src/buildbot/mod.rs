//! Jobs that live in Buildbot: builders that one names beside a push's labels, forced over a master's REST API.
//!
//! Forcing is not idempotent, so it is done once: a build's reason carries the request's id ([`Mark`]), it is looked for
//! before anything is forced, and a force whose answer is lost is settled by looking, or else reported as unclear. It is
//! never repeated blindly.
//!
//! ```text
//! names ─ split ─► labels    ─► the push's action
//!               └► builders  ─► look ─ force what is missing ─ settle ─► report ─┐
//!                                ▲                                               │ a master is away, a build goes on
//!                                └───────────────── another turn ◄───────────────┘
//! ```

mod answers;
mod carry;
mod divide;
mod error;
mod force;
mod mark;
mod master;
mod masters;
mod outage;
mod report;
mod session;
mod split;
mod wanted;

pub use carry::{FORCE, GoOn, carry, offers, offers_within, scope};
pub(crate) use divide::ADD;
pub use divide::{DivideError, divide};
pub use error::Error;
pub use force::Forced;
pub use mark::Mark;
pub use master::Master;
pub use masters::Masters;
pub use report::{BuildReport, Outcome};
pub use split::{Builders, Split, split};
pub use wanted::{Build, Builds, Wanted};
