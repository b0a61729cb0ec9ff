//! Carrying a plan out: it is stored, then done, and what came of it is told.

use std::fs;
use std::path::Path;

use futures_util::future::FusedFuture;
use taskgraft_core::frontier::{Frontier, Halt, Limits};
use taskgraft_core::plan::Plan;
use taskgraft_core::report::{Report, Terminal};
use taskgraft_core::time::Millis;

use super::error::ActionError;
use super::run::{ActionReport, Keep, Means};
use super::tend::tend;
use super::words::{closing_of, say_plan, say_progress};
use crate::creator::{Progress, create};

/// How a plan is carried out.
pub(super) struct Carry<'a> {
    pub(super) means: &'a Means,
    pub(super) keep: &'a Keep,
    pub(super) out: &'a Path,
    /// Until when the run's artifacts may live.
    pub(super) expires: Option<Millis>,
}

impl Carry<'_> {
    /// Stores the plan, does what it says, and tells what came of it. `earlier`: an earlier try may have begun, and what
    /// it left was told.
    ///
    /// # Errors
    /// If the plan can't be carried out, or can't be kept first.
    pub(super) async fn out(
        &self,
        plan: Plan,
        earlier: bool,
        stop: &mut (impl FusedFuture<Output = ()> + Unpin),
        log: &mut impl FnMut(&str),
    ) -> Result<ActionReport, ActionError> {
        let client = &self.means.client;
        if !earlier {
            say_plan(&plan, client, log);
        }
        self.write("plan.json", &plan.to_json())?;
        let begin = if earlier { Frontier::resume } else { Frontier::new };
        let parts = plan.clone().parts().into_iter().map(|part| begin(part, Limits::default()));
        let mut frontiers = parts.collect::<Result<Vec<_>, _>>()?;
        self.write_all(&frontiers)?;
        self.keep.store(self.means, &plan, self.expires).await?;
        if let Some(frontier) = frontiers.first() {
            self.keep.note(&frontier.report())?;
        }
        let own = self.keep.own();
        let (tended, halt) = tend(client, &plan.tend, earlier, own, stop, log).await?;
        let mut failed = None;
        let mut stopped = halt == Some(Halt::Interrupted);
        for frontier in &mut frontiers {
            // Of what comes after nothing is begun.
            if stopped {
                frontier.halt(Halt::Interrupted);
                continue;
            }
            let labels: Vec<String> = frontier.plan().tasks.iter().map(|task| task.label.clone()).collect();
            let driven = create(client, frontier.clone(), own, &mut *stop, |progress| {
                stopped |= progress == Progress::Halted(Halt::Interrupted);
                say_progress(&progress, &labels, log);
            });
            match driven.await {
                Ok(done) => *frontier = done,
                // What was done before is told nonetheless.
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        self.write_all(&frontiers)?;
        let mut requests: Vec<Report> = frontiers.iter().map(Frontier::report).collect();
        if let Some(first) = requests.first_mut() {
            first.tended = tended;
            first.result = first.result.with_tended(&first.tended);
        }
        let result = Terminal::together(requests.iter().map(|report| report.result));
        let report = ActionReport { result, requests };
        self.write("report.json", &serde_json::to_string_pretty(&report).unwrap_or_default())?;
        if let Some(first) = report.requests.first() {
            self.keep.note(&Report { result: report.result, ..first.clone() })?;
        }
        log(&closing_of(&report));
        match failed {
            None => Ok(report),
            Some(error) => Err(error.into()),
        }
    }

    /// The artifacts of the push that was asked under the reference's names, those of others with their groups' ids.
    fn write_all(&self, frontiers: &[Frontier]) -> Result<(), ActionError> {
        for (at, frontier) in frontiers.iter().enumerate() {
            for (name, text) in frontier.artifacts()? {
                let name = match name.strip_suffix(".json") {
                    Some(stem) if at > 0 => format!("{stem}-{}.json", frontier.group()),
                    Some(_) | None => name,
                };
                self.write(&name, &text)?;
            }
        }
        Ok(())
    }

    fn write(&self, name: &str, text: &str) -> Result<(), ActionError> {
        let path = self.out.join(name);
        let written = fs::create_dir_all(self.out).and_then(|()| fs::write(&path, text));
        written.map_err(|error| ActionError::Write { path, error })
    }
}
