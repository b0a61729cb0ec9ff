//! The environment: the only place that reads it, once, at the start.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use taskgraft_client::Credentials;

/// What an action task's environment tells it to do.
const ACTION: [&str; 4] = ["ACTION_TASK_GROUP_ID", "ACTION_TASK_ID", "ACTION_INPUT", "ACTION_CALLBACK"];

/// What the variable with the password of a Buildbot master begins with.
const BUILDBOT: &str = "TASKGRAFT_BUILDBOT_PASSWORD_";

/// What the environment says. A variable that is set and empty counts as not set.
#[derive(Debug, Default)]
pub(crate) struct Env {
    /// `TASKCLUSTER_ROOT_URL`.
    pub(crate) root_url: Option<String>,
    /// `TASKCLUSTER_PROXY_URL`: wins over the root URL, and requests are then unsigned.
    pub(crate) proxy_url: Option<String>,
    /// `TASKCLUSTER_CLIENT_ID`, `TASKCLUSTER_ACCESS_TOKEN` and `TASKCLUSTER_CERTIFICATE`.
    pub(crate) credentials: Option<Credentials>,
    /// `TASK_ID`: the task that this process runs in.
    pub(crate) task_id: Option<String>,
    /// `RUN_ID`: and its run.
    pub(crate) run_id: Option<String>,
    /// `$XDG_STATE_HOME/taskgraft`: stored plans.
    pub(crate) state_dir: Option<PathBuf>,
    /// `$XDG_DATA_HOME/taskgraft`: the embedded Taskcluster.
    pub(crate) data_dir: Option<PathBuf>,
    /// `$XDG_CACHE_HOME/taskgraft`: downloaded artifacts.
    pub(crate) cache_dir: Option<PathBuf>,
    /// `NO_COLOR`.
    pub(crate) no_color: bool,
    /// Whether the locale is one of UTF-8.
    pub(crate) utf8: bool,
    /// `ACTION_TASK_GROUP_ID`, `ACTION_TASK_ID`, `ACTION_INPUT` and `ACTION_CALLBACK`: what an action task is told to do.
    pub(crate) action: BTreeMap<&'static str, String>,
    /// `TASKGRAFT_PULSE_PASSWORD`.
    pub(crate) pulse_password: Option<String>,
    /// `TASKGRAFT_BUILDBOT_PASSWORD_…`, by the variable's name.
    pub(crate) buildbot_passwords: BTreeMap<String, String>,
    /// `TASKGRAFT_LOG`: what to log, as tracing's filters say it.
    pub(crate) log: Option<String>,
}

impl Env {
    /// Reads it.
    pub(crate) fn read() -> Self {
        let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
        Self::from(|name| std::env::var_os(name), names)
    }

    fn from(get: impl Fn(&str) -> Option<OsString>, names: impl Iterator<Item = String>) -> Self {
        let raw = |name: &str| get(name).filter(|value| !value.is_empty());
        let text = |name: &str| raw(name).and_then(|value| value.into_string().ok());
        // The XDG rules: a relative path is to be ignored.
        let dir = |name: &str, below_home: &str| {
            let own = raw(name).map(PathBuf::from).filter(|path| path.is_absolute());
            let home = || raw("HOME").map(|home| PathBuf::from(home).join(below_home));
            own.or_else(home).map(|path| path.join("taskgraft"))
        };
        let credentials = match (text("TASKCLUSTER_CLIENT_ID"), text("TASKCLUSTER_ACCESS_TOKEN")) {
            (Some(id), Some(token)) => {
                let certificate = text("TASKCLUSTER_CERTIFICATE");
                Some(Credentials { certificate, ..Credentials::new(id, token) })
            }
            _ => None,
        };
        Self {
            root_url: text("TASKCLUSTER_ROOT_URL"),
            proxy_url: text("TASKCLUSTER_PROXY_URL"),
            credentials,
            task_id: text("TASK_ID"),
            run_id: text("RUN_ID"),
            state_dir: dir("XDG_STATE_HOME", ".local/state"),
            data_dir: dir("XDG_DATA_HOME", ".local/share"),
            cache_dir: dir("XDG_CACHE_HOME", ".cache"),
            no_color: raw("NO_COLOR").is_some(),
            utf8: ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(text).is_some_and(|locale| is_utf8(&locale)),
            action: ACTION.iter().filter_map(|name| Some((*name, text(name)?))).collect(),
            pulse_password: text("TASKGRAFT_PULSE_PASSWORD"),
            buildbot_passwords: names
                .filter(|name| name.starts_with(BUILDBOT))
                .filter_map(|name| text(&name).map(|password| (name, password)))
                .collect(),
            log: text("TASKGRAFT_LOG"),
        }
    }
}

/// The variable that holds the password of the Buildbot master that a configuration calls `name`.
pub(crate) fn buildbot_variable(name: &str) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    format!("{BUILDBOT}{}", name.chars().map(letter).collect::<String>())
}

fn is_utf8(locale: &str) -> bool {
    let locale = locale.to_ascii_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::BTreeSet;

    use super::*;

    fn env(set: &[(&str, &str)]) -> Env {
        let get = |name: &str| set.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into());
        Env::from(get, set.iter().map(|(name, _)| (*name).to_owned()))
    }

    #[test]
    fn credentials_need_both_halves() {
        assert!(env(&[("TASKCLUSTER_CLIENT_ID", "ann")]).credentials.is_none());
        assert!(env(&[("TASKCLUSTER_CLIENT_ID", "ann"), ("TASKCLUSTER_ACCESS_TOKEN", "")]).credentials.is_none());
        let both = env(&[("TASKCLUSTER_CLIENT_ID", "ann"), ("TASKCLUSTER_ACCESS_TOKEN", "s")]).credentials.unwrap();
        assert_eq!((both.client_id.as_str(), both.certificate), ("ann", None));
    }

    #[test]
    fn the_page_names_all_that_is_read() {
        let asked = RefCell::new(BTreeSet::new());
        let get = |name: &str| {
            asked.borrow_mut().insert(name.to_owned());
            None
        };
        Env::from(get, std::iter::empty());
        let asked = asked.into_inner();
        let page = include_str!("../../../docs/reference/environment.md");
        let unnamed: Vec<_> = asked.iter().filter(|name| !page.contains(&format!("`{name}`"))).collect();
        assert!(asked.len() > 10 && unnamed.is_empty(), "{unnamed:?}");
        assert!(page.contains(&format!("`{BUILDBOT}NAME`")));
    }

    #[test]
    fn directories_follow_xdg() {
        let own = env(&[("HOME", "/home/ann"), ("XDG_STATE_HOME", "/state"), ("XDG_DATA_HOME", "relative")]);
        assert_eq!(own.state_dir.unwrap(), PathBuf::from("/state/taskgraft"));
        assert_eq!(own.data_dir.unwrap(), PathBuf::from("/home/ann/.local/share/taskgraft"));
    }

    #[test]
    fn a_masters_password_is_found_by_its_name() {
        let env = env(&[("TASKGRAFT_BUILDBOT_PASSWORD_OLD_BUILDS", "s"), ("TASKGRAFT_PULSE_PASSWORD", "p")]);
        assert_eq!(env.buildbot_passwords.get(&buildbot_variable("old-builds")).map(String::as_str), Some("s"));
        assert_eq!(env.pulse_password.as_deref(), Some("p"));
    }

    #[test]
    fn the_first_locale_that_is_set_counts() {
        assert!(env(&[("LANG", "de_DE.UTF-8")]).utf8);
        assert!(!env(&[("LC_ALL", "C"), ("LANG", "de_DE.UTF-8")]).utf8);
        assert!(!env(&[]).utf8);
    }
}
