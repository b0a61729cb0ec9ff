//! The plan: every verdict, and every task to create.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::request::{Policy, Request};
use super::task::PlannedTask;
use super::tend::Tend;
use super::verdict::{LabelVerdict, Refusal, Verdict};
use crate::definition::ArtifactUrls;
use crate::ids::TaskId;
use crate::morph::GraphConfig;
use crate::time::Millis;

/// The version of plan.json that this code writes. Version 1, in which a request had one round of all its labels, is
/// read too.
pub const PLAN_VERSION: u32 = 2;

/// Every verdict, and every task to create. Made by `plan`, kept as plan.json.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// [`PLAN_VERSION`].
    pub version: u32,
    /// The rules it follows.
    pub policy: Policy,
    /// When its facts were looked up. Not part of the hash.
    pub made: Millis,
    /// What was asked for.
    pub request: Request,
    /// The deployment's root URL, for artifact references.
    pub root_url: String,
    /// The proxy that private artifacts are had through, for artifact references.
    pub proxy_url: Option<String>,
    /// The schedulerId of its tasks; null if none is known, and then nothing can be created.
    pub scheduler_id: Option<String>,
    /// One per label of the closure: first those that were asked for, in their order, then the rest, dependents first.
    pub verdicts: Vec<LabelVerdict>,
    /// Dependencies first.
    pub tasks: Vec<PlannedTask>,
    /// Under the reference's rules, where there are several rounds: for each the earlier tasks that stand for labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stand_ins: Vec<BTreeMap<String, TaskId>>,
    /// What is to be done to tasks that exist, before anything is created.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tend: Vec<Tend>,
    /// What is to be created on other pushes, each in its own group: all of it is known before anything is created. Their
    /// requests are [parts](crate::ids::RequestKey::Part) of this one's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub elsewhere: Vec<Plan>,
    /// What its index tasks are made with, where it has any: whoever finishes the plan need not have the checkout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index_tasks: Option<GraphConfig>,
    /// What the asker should know though it stops nothing.
    pub warnings: Vec<Warning>,
}

impl Plan {
    /// Where artifact references point.
    #[must_use]
    pub fn urls(&self) -> ArtifactUrls {
        ArtifactUrls { root: self.root_url.clone(), proxy: self.proxy_url.clone() }
    }

    /// All of it, taken apart: first what is for the push that was asked, without the rest, then that.
    #[must_use]
    pub fn parts(mut self) -> Vec<Self> {
        let elsewhere = std::mem::take(&mut self.elsewhere);
        std::iter::once(self).chain(elsewhere).collect()
    }

    /// The verdict on a label.
    #[must_use]
    pub fn verdict(&self, label: &str) -> Option<&Verdict> {
        self.verdicts.iter().find(|entry| entry.label == label).map(|entry| &entry.verdict)
    }

    /// The label that an earlier task stands in for.
    #[must_use]
    pub fn label_of(&self, task_id: TaskId) -> Option<&str> {
        let stands_in =
            |entry: &&LabelVerdict| matches!(&entry.verdict, Verdict::Reuse(reuse) if reuse.task_id == task_id);
        self.verdicts.iter().find(stands_in).map(|entry| entry.label.as_str())
    }

    /// Labels that can't be had, with the reason. With any of these nothing is created unless the request is partial.
    pub fn refused(&self) -> impl Iterator<Item = (&str, &Refusal)> {
        self.verdicts.iter().filter_map(|entry| match &entry.verdict {
            Verdict::Refused { why } => Some((entry.label.as_str(), why)),
            Verdict::New { .. } | Verdict::Reuse(_) | Verdict::Removed { .. } => None,
        })
    }
}

/// Something that the asker should know though it stops nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "warning", rename_all = "kebab-case")]
pub enum Warning {
    /// A derived id is taken by something else.
    ForeignTask {
        /// What it was derived for.
        label: String,
        /// The id.
        task_id: TaskId,
    },
    /// The decision task can't be depended on: it is gone before some new task's deadline, or didn't succeed.
    DecisionNotDependable,
    /// The action task is gone before some requested copy's deadline, so that copy doesn't wait for it.
    ActionNotDependable {
        /// The first such label.
        label: String,
    },
    /// What is reused could not be read once more after everything was created.
    NotChecked,
    /// Tasks that softly depend on each other in a circle: those dependencies are left out.
    SoftCircle {
        /// Their labels.
        labels: Vec<String>,
    },
    /// A strategy that taskgraft doesn't know: its task is made.
    UnknownStrategy {
        /// The task's label.
        label: String,
        /// The strategy.
        strategy: String,
    },
}
