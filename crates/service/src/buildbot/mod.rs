//! Jobs that live in Buildbot: builders that one names beside a push's labels, forced over a master's REST API.
//!
//! Forcing is not idempotent, so it is done once: a build's reason carries the request's id ([`Mark`]), it is looked for
//! before anything is forced, and that it is about to be is written down first. A force whose answer is lost, or that was
//! cut off, is settled by looking, or else reported as unclear. It is never repeated blindly.
//!
//! ```text
//! names ─ split ─► labels    ─► the push's action
//!               └► builders  ─► look ─ write down and force what is missing ─ settle ─► report ─┐
//!                                ▲                                               │ a master is away, a build goes on
//!                                └───────────────── another turn ◄───────────────┘
//! ```

mod answers;
mod cancel;
mod carry;
mod divide;
mod error;
mod find;
mod force;
mod mark;
mod master;
mod masters;
mod offer;
mod outage;
mod report;
mod session;
mod split;
mod wanted;

pub use carry::{FORCE, GoOn, carry, scope};
pub(crate) use divide::{ADD, bounded};
pub use divide::{DivideError, divide};
pub use error::Error;
pub use find::Forced;
pub use mark::Mark;
pub use master::Master;
pub use masters::Masters;
pub use offer::offers;
pub use report::{BuildReport, Outcome};
pub use split::{Builders, Split, split};
pub use wanted::{Build, Builds, Wanted};
