//! `[project.NAME]`: a project that is served.

use std::time::Duration;

use serde::Serialize;

use super::duration;
use super::table::Table;
use super::url::{base_url, web_url};
use crate::pulse::handlers::TALOS;

/// The levels that there are.
const LEVELS: [&str; 4] = ["1", "2", "3", "t"];
/// The most jobs that a rule may let through at once.
const MAX_JOBS: u64 = 10_000;
/// The longest that a request waits for its builds.
const MAX_FOLLOW: Duration = Duration::from_secs(86_400);

/// The most patterns that `add-matching-jobs` takes.
const MAX_PATTERNS: usize = 100;

/// A project, by its short name: the parameter `project` of its pushes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Project {
    /// `level`: of its pushes; those of another level are not its.
    pub level: String,
    /// `trust_domain`: what the schedulerId of its tasks begins with; any if it isn't said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trust_domain: Option<String>,
    /// `repository`: the URL of the repository that its decision tasks hold `assume:repo:` for; any if it isn't said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// `[project.NAME.treeherder]`: where its pushes and jobs have numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub treeherder: Option<Treeherder>,
    /// `[project.NAME.pulse]`: which messages are let through.
    pub pulse: Rules,
    /// `[[project.NAME.buildbot]]`: where its jobs of the old kind run.
    pub buildbot: Vec<Buildbot>,
}

/// A Treeherder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Treeherder {
    /// `url`.
    pub url: String,
    /// `project`: the project's name there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
}

/// Which pulse messages are let through: nothing that no rule names. And what their words mean.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rules {
    /// `talos`: patterns of the labels of performance jobs, which `trigger_all_talos_jobs` runs.
    pub talos: Vec<String>,
    /// `[[project.NAME.pulse.allow]]`: the first that fits counts.
    pub allow: Vec<Allow>,
}

/// What one rule lets through. Patterns may hold `*` and `?`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Allow {
    /// `exchanges`: patterns.
    pub exchanges: Vec<String>,
    /// `requesters`: patterns of who the message says asks. Nobody has checked that.
    pub requesters: Vec<String>,
    /// `actions`: patterns of the action's name.
    pub actions: Vec<String>,
    /// `levels`: of pushes.
    pub levels: Vec<String>,
    /// `max_jobs`: how many jobs one message may ask for, copies counted.
    pub max_jobs: u64,
    /// `role`: requests act with `assume:<role>` and nothing else.
    pub role: String,
}

/// A Buildbot master.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Buildbot {
    /// `name`: for people, and for the variable that holds its password.
    pub name: String,
    /// `url`: of its web server.
    pub url: String,
    /// `scheduler`: the name of its force scheduler.
    pub scheduler: String,
    /// `builders`: patterns of the builders that may be forced.
    pub builders: Vec<String>,
    /// `user`: who logs in there; nobody if it isn't said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// `follow`: for how long a request waits for the end of its builds before it reports them as they are.
    #[serde(serialize_with = "duration::serialize")]
    pub follow: Duration,
}

impl Project {
    pub(super) fn read(table: &Table<'_>) -> Self {
        let level = table.parsed("level", level);
        Self {
            level: table.required("level", level).unwrap_or_default(),
            trust_domain: table.text("trust_domain"),
            repository: table.parsed("repository", |text| web_url(text).map(|_| text.to_owned())),
            treeherder: table.maybe("treeherder", Treeherder::read),
            pulse: table.table("pulse", Rules::read),
            buildbot: table.tables("buildbot", Buildbot::read),
        }
    }
}

impl Treeherder {
    fn read(table: &Table<'_>) -> Self {
        let url = table.parsed("url", base_url);
        Self { url: table.required("url", url).unwrap_or_default(), project: table.text("project") }
    }
}

impl Rules {
    fn read(table: &Table<'_>) -> Self {
        let talos = table.texts("talos").unwrap_or_else(|| TALOS.map(str::to_owned).to_vec());
        if talos.is_empty() || talos.len() > MAX_PATTERNS {
            table.wrong("talos", format!("1 to {MAX_PATTERNS} patterns are needed"));
        }
        Self { talos, allow: table.tables("allow", Allow::read) }
    }
}

impl Allow {
    fn read(table: &Table<'_>) -> Self {
        let texts = |key| {
            let texts = table.texts(key);
            table.required(key, texts).unwrap_or_default()
        };
        let role = table.parsed("role", |text| match text {
            "" => Err("it is empty"),
            text if text.starts_with("assume:") => Err("the role's name is needed, without `assume:`"),
            text if text.ends_with('*') => Err("one role is needed, not all that begin like this"),
            text => Ok(text.to_owned()),
        });
        let jobs = table.number("max_jobs", 1..=MAX_JOBS);
        let levels = table.texts("levels").unwrap_or_else(|| LEVELS.map(str::to_owned).to_vec());
        if let Some(why) = levels.iter().find_map(|found| level(found).err()) {
            table.wrong("levels", why);
        }
        Self {
            exchanges: texts("exchanges"),
            requesters: texts("requesters"),
            actions: texts("actions"),
            levels,
            max_jobs: table.required("max_jobs", jobs).unwrap_or_default(),
            role: table.required("role", role).unwrap_or_default(),
        }
    }
}

impl Buildbot {
    fn read(table: &Table<'_>) -> Self {
        let called = table.parsed("name", |text| name(text).map(|()| text.to_owned()));
        let url = table.parsed("url", base_url);
        let scheduler = table.text("scheduler");
        let builders = table.texts("builders");
        Self {
            name: table.required("name", called).unwrap_or_default(),
            url: table.required("url", url).unwrap_or_default(),
            scheduler: table.required("scheduler", scheduler).unwrap_or_default(),
            builders: table.required("builders", builders).unwrap_or_default(),
            user: table.text("user"),
            follow: table.duration("follow", Duration::ZERO..=MAX_FOLLOW).unwrap_or_default(),
        }
    }
}

const NAME: &str = "1 to 100 letters, digits, `-` and `_` are needed";

/// Whether this can be a project's short name, which becomes a part of index paths.
pub(super) fn name(text: &str) -> Result<(), &'static str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if (1..=100).contains(&text.len()) && text.bytes().all(plain) { Ok(()) } else { Err(NAME) }
}

fn level(text: &str) -> Result<String, &'static str> {
    let known = LEVELS.contains(&text);
    if known { Ok(text.to_owned()) } else { Err("it must be \"1\", \"2\", \"3\" or \"t\"") }
}
