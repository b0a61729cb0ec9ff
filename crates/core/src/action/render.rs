//! JSON-e, bounded: templates of hooks and of actions.json, rendered on parsed data.
//!
//! ```text
//! JSON ─check─► Template ─render(context, now)─► JSON
//! ```
//!
//! The language is JSON-e 4.8 as Taskcluster's services speak it, with an evaluator of our own, because a template and
//! what it is rendered with come from outside: see docs/design/0014-json-e.md. Every size, depth and amount of work has
//! a bound, data is never taken for a template, integers stay integers, and the only clock is the caller's.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "values have their types at run time: each function names what it takes, and refuses all else"
)]

mod bounds;
mod builtin;
mod error;
mod expression;
#[cfg(test)]
mod fuzz;
mod interpolate;
mod items;
mod number;
mod offset;
mod operator;
mod parse;
mod scope;
mod template;
mod token;
mod value;

pub use bounds::{MAX_DEPTH, MAX_RESULT_BYTES, MAX_TEMPLATE_BYTES, MAX_WORK};
pub use error::{Problem, RenderError};
pub use template::{Template, render};
