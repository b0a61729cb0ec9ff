//! Planning: from the graph, a [`Request`] and [`Facts`] to a [`Plan`].
//!
//! ```text
//! loop { wants(graph, request, facts, policy) ══fetch══► facts.answer(..) }   until nothing is wanted
//! plan(graph, request, facts, policy) ──► Plan ──► plan.json, Frontier, words
//! ```
//!
//! Two policies. [`Policy::Reference`] does what the reference's `actions/util.py` does. [`Policy::Graft`] walks down
//! from what was asked for and makes only what nothing usable stands in for.

mod artifacts;
mod build;
mod clone;
mod copies;
mod demand;
mod facts;
mod iterations;
mod make;
mod model;
mod moved;
mod nearest;
mod order;
mod outline;
mod reference;
mod render;
mod request;
mod same;
mod stand_in;
mod store;
mod task;
mod template;
mod tend;
mod usable;
mod verdict;
mod wording;

pub use artifacts::{ArtifactsError, artifacts};
pub use clone::clone_of;
pub use facts::{Answers, Facts, GroupFact, Source, SourceKind, StatusFact, Wants};
pub use make::{Attempt, PlanError, attempt, plan, wants};
pub use model::{PLAN_VERSION, Plan, Warning};
pub use moved::{Moved, moved};
pub use nearest::nearest;
pub use outline::{MAX_OUTLINED, Outline, Stands, Strayed, TooManyOutlined};
pub use render::definitions;
pub use request::{MAX_NEW, MAX_TIMES, Numbered, Policy, Purpose, Request, Round, Told};
pub use store::{InvalidPlanHash, MAX_PLAN_BYTES, MAX_PLANNED, PlanFileError, PlanHash};
pub use task::{Dependency, PlannedTask, Role, Target, WaitsFor, own};
pub use tend::{Care, Tend, Tended, TendedRun};
pub use verdict::{LabelVerdict, Origin, PassedOver, Refusal, Reuse, Unneeded, Unusable, Verdict, Why};
pub use wording::{Line, Words, ago, short, why};

pub(crate) use artifacts::artifacts_with;
pub(crate) use render::{deadline, definition, stamped};
pub(crate) use same::{dependencies, same_task};
pub(crate) use template::INDEX_PURPOSE;
