//! Planning: from the graph, a [`Request`] and [`Facts`] to a [`Plan`].
//!
//! ```text
//! loop { wants(graph, request, facts, policy) ══fetch══► facts.answer(..) }   until nothing is wanted
//! plan(graph, request, facts, policy) ──► Plan ──► plan.json, Frontier, words
//! ```
//!
//! Two policies. [`Policy::Reference`] does what the reference's `actions/util.py` does. [`Policy::Graft`] walks down
//! from what was asked for and makes only what nothing usable stands in for.

mod facts;
mod model;
mod request;
mod task;
mod verdict;

pub use facts::{Answers, Facts, GroupFact, Source, SourceKind, StatusFact, Wants};
pub use model::{PLAN_VERSION, Plan, Warning};
pub use request::{MAX_TIMES, Policy, Purpose, Request};
pub use task::{Dependency, PlannedTask, Role, Target, WaitsFor};
pub use verdict::{LabelVerdict, Origin, PassedOver, Refusal, Reuse, Unneeded, Unusable, Verdict, Why};
