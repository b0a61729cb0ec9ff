//! What became of one builder that was asked for.

use serde::{Deserialize, Serialize};

use super::error::LOST;
use super::{Error, Forced};

/// A builder and which copy of it, from 1.
pub(super) type Place<'a> = (&'a str, u32);

/// The last word on a builder of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildReport {
    /// The master, as the configuration calls it.
    pub master: String,
    /// The builder.
    pub builder: String,
    /// Which copy, from 1.
    pub copy: u32,
    /// What became of it.
    pub outcome: Outcome,
    /// How the build ended, in Buildbot's words; none before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
    /// Where people see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Why it was not forced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether this is not the last word: the master doesn't answer now, or the build's end is waited for.
    #[serde(default, skip_serializing_if = "is_false")]
    pub waits: bool,
}

fn is_false(flag: &bool) -> bool {
    !flag
}

/// What became of a builder that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It was forced.
    Forced,
    /// The request had forced it before, before a crash for one.
    Found,
    /// The asker may not, or the master said no: nothing was forced.
    Refused,
    /// The master did not answer, or something else did: nothing was forced.
    Failed,
    /// No answer says whether it was forced. Trying the request again looks again.
    Unclear,
}

impl Outcome {
    /// Whether the build is there.
    #[must_use]
    pub fn is_good(self) -> bool {
        matches!(self, Self::Forced | Self::Found)
    }
}

impl From<&Error> for Outcome {
    fn from(error: &Error) -> Self {
        match error {
            Error::Refused { .. }
            | Error::Kept { .. }
            | Error::Unserved(_)
            | Error::Unallowed
            | Error::Login { .. }
            | Error::NoScheduler(_)
            | Error::NoMaster(_) => Self::Refused,
            Error::Site(_) | Error::Unreadable { .. } | Error::Moved { .. } => Self::Failed,
            Error::Unclear { .. } | Error::Unlooked { .. } => Self::Unclear,
        }
    }
}

impl BuildReport {
    pub(super) fn of(master: &str, outcome: Outcome, forced: &Forced) -> Self {
        Self {
            master: master.to_owned(),
            builder: forced.builder.clone(),
            copy: forced.copy,
            outcome,
            result: forced.ended.map(str::to_owned),
            url: Some(forced.url.clone()),
            reason: None,
            waits: false,
        }
    }

    /// Of a build that was not forced, or may not have been.
    pub(super) fn not(master: &str, (builder, copy): Place<'_>, error: &Error) -> Self {
        Self {
            master: master.to_owned(),
            builder: builder.to_owned(),
            copy,
            outcome: Outcome::from(error),
            result: None,
            url: None,
            reason: Some(format!("failed to {error}")),
            waits: error.passes(),
        }
    }

    /// Whether both are about the same build.
    pub(crate) fn is_of(&self, other: &Self) -> bool {
        (&self.master, self.place()) == (&other.master, other.place())
    }

    /// Which build of its master this is about: the builder, and which copy.
    pub(super) fn place(&self) -> Place<'_> {
        (&self.builder, self.copy)
    }

    /// Whether it may be on its way: it was about to be forced when that was last heard of.
    pub(super) fn is_coming(&self) -> bool {
        self.outcome == Outcome::Unclear && self.waits
    }

    /// The last word on a build that may have been on its way, and is not there.
    pub(super) fn lost(&self) -> Self {
        let reason = self.reason.as_ref().map(|why| format!("{why}; {LOST}"));
        Self { waits: false, reason, ..self.clone() }
    }

    /// The last word on a build whose master was waited for in vain.
    pub(crate) fn give_up(&mut self) {
        if self.waits && !self.outcome.is_good() {
            self.waits = false;
            self.reason = self.reason.take().map(|why| format!("given up: {why}"));
        }
    }
}
