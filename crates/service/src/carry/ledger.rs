//! What the journal says of a request's builds while they are forced.

use serde_json::{Value, json};
use taskgraft_core::ids::RequestId;
use tokio::sync::Mutex;

use crate::buildbot::BuildReport;
use crate::journal::{Change, Journal, JournalError};
use crate::state::State;

/// What the journal says of a request's builds. That one is about to be forced is written down first, so that whoever goes
/// on after a turn that was cut off looks for it long enough, and forces it no second time.
pub(super) struct Ledger<'a> {
    journal: &'a Journal,
    id: &'a RequestId,
    page: Mutex<Page>,
}

struct Page {
    written: Vec<BuildReport>,
    /// Why something could not be written down.
    failed: Option<JournalError>,
}

impl<'a> Ledger<'a> {
    /// Of a request of which the journal says this.
    pub(super) fn of(journal: &'a Journal, id: &'a RequestId, written: &[BuildReport]) -> Self {
        Self { journal, id, page: Mutex::new(Page { written: written.to_vec(), failed: None }) }
    }

    /// Writes down that these are about to be forced. Not if somebody has cancelled the request meanwhile, or it can't be
    /// written: then they may not be.
    pub(super) async fn begin(&self, about: Vec<BuildReport>) -> bool {
        let mut page = self.page.lock().await;
        let begun = self.write(&mut page.written, about).await;
        begun.unwrap_or_else(|error| {
            page.failed = Some(error);
            false
        })
    }

    async fn write(&self, written: &mut Vec<BuildReport>, about: Vec<BuildReport>) -> Result<bool, JournalError> {
        if self.journal.glance(self.id).await?.is_none_or(|glance| glance.state != State::Asked) {
            return Ok(false);
        }
        let mut reports = written.clone();
        for report in about {
            match reports.iter_mut().find(|known| known.is_of(&report)) {
                Some(known) => *known = report,
                None => reports.push(report),
            }
        }
        let change = Change { report: Some(text(&reports)), ..Change::default() };
        self.journal.facts(self.id, change).await?;
        *written = reports;
        Ok(true)
    }

    /// What is written down by now.
    ///
    /// # Errors
    /// If something could not be.
    pub(super) fn close(self) -> Result<Vec<BuildReport>, JournalError> {
        let Page { written, failed } = self.page.into_inner();
        failed.map_or(Ok(written), Err)
    }
}

/// A request's report that says this of its builds, and nothing else.
pub(super) fn text(reports: &[BuildReport]) -> Value {
    json!({"buildbot": reports})
}
