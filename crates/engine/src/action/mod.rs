//! Carrying out what people ask of a push: an action task's whole work.
//!
//! ```text
//! ActionAsk ─fetch► what the action needs ─validate, decide► Deeds ─plan► Plan ─store, create► ActionReport
//! ```

mod ask;
mod asking;
mod carry;
mod error;
mod first;
mod gather;
mod perform;
mod run;
mod tend;
mod words;

pub use ask::{ActionAsk, MalformedAsk};
pub use error::ActionError;
pub use gather::GatherError;
pub use perform::{Terms, With, perform, rehearse};
pub use run::{Action, ActionReport, Keep, Means, run};
pub use words::closing;
