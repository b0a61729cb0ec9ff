//! Rendering: against the JSON-e package on templates that are made up here, against JSON-e's specification where it is
//! at hand, and on input that tries to break out.

mod compared;
mod exact;
mod hostile;

use jiff::Timestamp;
use serde_json::Value;
use taskgraft_core::action::render::{RenderError, Template, render};

/// The moment of JSON-e's specification.
const NOW: &str = "2017-01-19T16:27:20.974Z";

fn rendered(template: &Value, context: &Value) -> Result<Value, RenderError> {
    render(&Template::check(template)?, context, NOW.parse::<Timestamp>().unwrap())
}
