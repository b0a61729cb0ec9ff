//! Carrying out what people ask of a push: an action task's whole work.
//!
//! ```text
//! ActionAsk ─fetch► what the action needs ─validate, decide► Deeds ─plan► Plan ─store, create► ActionReport
//! ```

mod ask;
mod gather;
mod perform;
mod run;

pub use ask::{ActionAsk, MalformedAsk};
pub use gather::GatherError;
pub use perform::{ActionReport, With, perform};
pub use run::{Action, ActionError, Keep, Means, closing, run};
