//! plan.json: writing a plan, and reading one back without trusting it.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use ring::digest::{SHA256, digest};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};

use super::build::task_id;
use super::model::{PLAN_VERSION, Plan};
use super::request::{Policy, Purpose, Request};
use super::task::{PlannedTask, Role, Target};
use super::template::INDEX_PURPOSE;
use super::tend::Tend;
use super::verdict::Verdict;
use crate::ids::derive::{self, MAX_K};
use crate::ids::{RequestKey, TaskId};
use crate::json::{self, BadValue};

/// The largest plan.json that is read.
pub const MAX_PLAN_BYTES: usize = 256 << 20;

/// The most tasks that a plan may create.
pub const MAX_PLANNED: usize = 100_000;

/// Why a plan.json can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanFileError {
    /// It has more than [`MAX_PLAN_BYTES`].
    #[error("the plan has {0} bytes, which is more than any plan")]
    TooLarge(usize),
    /// It is no JSON, or holds text that the queue can't take.
    #[error("the plan can't be read: {0}")]
    Json(#[from] BadValue),
    /// Another version wrote it.
    #[error("the plan has format {found}, and format {PLAN_VERSION} is understood: plan again")]
    Version {
        /// Its version, as written.
        found: String,
    },
    /// A field is missing or of another type.
    #[error("the plan is incomplete: {0}")]
    Shape(String),
    /// It contradicts itself.
    #[error("the plan is not one that taskgraft makes: {label}: {problem}")]
    Invalid {
        /// The task or field.
        label: String,
        /// What is wrong.
        problem: &'static str,
    },
}

/// SHA-256 over all of a plan that decides what is created. Written as 64 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlanHash([u8; 32]);

impl PlanHash {
    /// Of the 32 bytes of a SHA-256.
    pub(super) fn of(digest: &[u8]) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest);
        Self(hash)
    }
}

/// A text that is no plan hash.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a plan hash is 64 hexadecimal digits")]
pub struct InvalidPlanHash;

impl fmt::Display for PlanHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PlanHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for PlanHash {
    type Err = InvalidPlanHash;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() != 64 || !text.is_ascii() {
            return Err(InvalidPlanHash);
        }
        let mut hash = [0; 32];
        for (at, byte) in hash.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).map_err(|_| InvalidPlanHash)?;
        }
        Ok(Self(hash))
    }
}

impl Serialize for PlanHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PlanHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The parts of a plan that decide what is created. When and why it was decided is left out.
#[derive(Serialize)]
struct Hashed<'a> {
    version: u32,
    policy: Policy,
    request: &'a Request,
    root_url: &'a str,
    proxy_url: Option<&'a str>,
    scheduler_id: Option<&'a str>,
    tasks: &'a [PlannedTask],
    reused: BTreeMap<&'a str, (TaskId, bool)>,
    refused: Vec<&'a str>,
    tend: &'a [Tend],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    elsewhere: Vec<PlanHash>,
}

impl Plan {
    /// Names the plan: two plans have one hash if and only if they create the same.
    #[must_use]
    pub fn hash(&self) -> PlanHash {
        let reused = self.verdicts.iter().filter_map(|entry| match &entry.verdict {
            Verdict::Reuse(reuse) => Some((entry.label.as_str(), (reuse.task_id, reuse.rerun))),
            Verdict::New { .. } | Verdict::Removed { .. } | Verdict::Refused { .. } => None,
        });
        let hashed = Hashed {
            version: self.version,
            policy: self.policy,
            request: &self.request,
            root_url: &self.root_url,
            proxy_url: self.proxy_url.as_deref(),
            scheduler_id: self.scheduler_id.as_deref(),
            tasks: &self.tasks,
            reused: reused.collect(),
            refused: self.refused().map(|(label, _)| label).collect(),
            tend: &self.tend,
            elsewhere: self.elsewhere.iter().map(Self::hash).collect(),
        };
        PlanHash::of(digest(&SHA256, json::to_string_sorted(&hashed).as_bytes()).as_ref())
    }

    /// The text of plan.json: sorted keys, indented by two.
    #[must_use]
    pub fn to_json(&self) -> String {
        json::to_string_sorted(self)
    }

    /// Reads a plan.json that may have been written by anybody.
    ///
    /// # Errors
    /// Anything that [`plan`](super::plan()) would not have written: ids that are not derived from what the plan says, a
    /// task before its dependency, text that the queue can't take.
    pub fn read(text: &[u8]) -> Result<Self, PlanFileError> {
        if text.len() > MAX_PLAN_BYTES {
            return Err(PlanFileError::TooLarge(text.len()));
        }
        let mut value = json::parse(text)?;
        match value.get("version").and_then(Value::as_u64) {
            Some(1) => from_first(&mut value),
            Some(version) if version == u64::from(PLAN_VERSION) => {}
            Some(_) | None => {
                let version = value.get("version").unwrap_or(&Value::Null);
                return Err(PlanFileError::Version { found: version.to_string().chars().take(40).collect() });
            }
        }
        let plan: Self = serde_json::from_value(value).map_err(|error| PlanFileError::Shape(error.to_string()))?;
        plan.check()?;
        Ok(plan)
    }

    fn check(&self) -> Result<(), PlanFileError> {
        let invalid = |label: &str, problem| PlanFileError::Invalid { label: label.to_owned(), problem };
        if !self.root_url.starts_with("http://") && !self.root_url.starts_with("https://") {
            return Err(invalid("root_url", "is no URL"));
        }
        if !self.request.is_sound() {
            return Err(invalid(
                "request",
                "its rounds and labels don't belong together, or too many copies are asked",
            ));
        }
        if self.tasks.len() > MAX_PLANNED || self.tend.len() > MAX_PLANNED {
            return Err(invalid("tasks", "too many"));
        }
        let rounds = if self.policy == Policy::Reference { self.request.rounds().len() } else { 0 };
        if !self.stand_ins.is_empty() && (self.stand_ins.len() != rounds || rounds < 2) {
            return Err(invalid("stand_ins", "there are not as many as rounds"));
        }
        let mut seen = std::collections::BTreeSet::new();
        for (at, task) in self.tasks.iter().enumerate() {
            self.check_task(at, task).map_err(|problem| invalid(&task.label, problem))?;
            if task.task_id.is_some_and(|id| !seen.insert(id)) {
                return Err(invalid(&task.label, "its id is another's too"));
            }
        }
        self.check_elsewhere().map_err(|problem| invalid("elsewhere", problem))?;
        self.elsewhere.iter().try_for_each(Self::check)
    }

    fn check_elsewhere(&self) -> Result<(), &'static str> {
        let mut groups: Vec<Option<TaskId>> = vec![self.request.group];
        let mut planned = self.tasks.len();
        for other in &self.elsewhere {
            let Some(group) = other.request.group else { return Err("a plan has no group") };
            if groups.contains(&Some(group)) {
                return Err("two plans are for one group");
            }
            groups.push(Some(group));
            planned = planned.saturating_add(other.tasks.len());
            if planned > MAX_PLANNED {
                return Err("too many tasks");
            }
            if !other.elsewhere.is_empty() || other.policy != self.policy || other.scheduler_id != self.scheduler_id {
                return Err("a plan is not a part of this one");
            }
            let key = RequestKey::Part { request: self.request.id.clone(), group };
            if other.request.id != key.id() {
                return Err("a plan's request is not a part of this one's");
            }
        }
        Ok(())
    }

    fn check_task(&self, at: usize, task: &PlannedTask) -> Result<(), &'static str> {
        let earlier = |target: &Target| !matches!(target, Target::New(on) if *on >= at);
        if !task.dependencies.iter().all(|dependency| earlier(&dependency.on)) {
            return Err("it comes before something that it depends on");
        }
        if task.k > MAX_K {
            return Err("more ids were passed over than there are");
        }
        if !task.template.is_object() {
            return Err("its definition is no object");
        }
        match (&self.request.purpose, &task.role) {
            (Purpose::Clone { of }, Role::Clone { of: theirs }) if of == theirs => {}
            (Purpose::Clone { .. }, _) | (_, Role::Clone { .. }) => return Err("it is no clone that was asked for"),
            (_, role) if (self.policy == Policy::Reference) != matches!(role, Role::Reference { .. }) => {
                return Err("its role is another policy's");
            }
            _ => {}
        }
        let derived = match task.role {
            Role::Index { parent } if !task.new_dependencies().any(|on| on == parent) => {
                return Err("it doesn't depend on its parent");
            }
            Role::Index { parent } => self.tasks[parent].task_id.map(|id| derive::morph(id, INDEX_PURPOSE)),
            Role::Copy { .. } | Role::Needed { .. } | Role::Bridge | Role::Clone { .. } | Role::Reference { .. } => {
                task_id(&self.request, &task.label, &task.role, task.k)
            }
        };
        if derived == task.task_id { Ok(()) } else { Err("its id is not the one that follows from the request") }
    }
}

/// Makes of a plan of version 1 the same in the present one.
fn from_first(plan: &mut Value) {
    let labels = plan.pointer("/request/labels").cloned().unwrap_or_default();
    if let Some(purpose) = plan.pointer_mut("/request/purpose").and_then(Value::as_object_mut)
        && let Some(times) = purpose.remove("times")
    {
        purpose.insert("rounds".to_owned(), json!([{"labels": labels, "times": times}]));
    }
    plan["version"] = json!(PLAN_VERSION);
}
