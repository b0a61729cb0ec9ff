//! The actions that a push publishes: actions.json version 1, read as Taskcluster's specification has it, by whoever it
//! was written.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::context::{TagSets, Tags};
use super::mustache;
use super::table::{ACTIONS, Origin};
use crate::plan::nearest;

/// The most actions that are read.
const MAX_ACTIONS: usize = 1000;
/// The longest name of a hook or hook group, in characters.
const MAX_HOOK: usize = 1000;
/// What a template may use besides `variables`.
const BUILT_INS: [&str; 7] = ["taskGroupId", "taskId", "task", "ownTaskId", "input", "now", "fromNow"];
/// How many names are offered for a misspelt one.
const NEAREST: usize = 3;

/// The actions that a push publishes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Catalog {
    /// What all templates may use, and which shadows nothing.
    pub variables: Map<String, Value>,
    /// In the file's order. Kinds that are not known are left out.
    pub actions: Vec<Offered>,
    /// It is an action.yml, not an actions.json.
    is_template: bool,
}

/// One action that a push publishes.
#[derive(Debug, Clone, PartialEq)]
pub struct Offered {
    /// What it is asked for by. Of several with one name the first that fits counts.
    pub name: String,
    /// For people.
    pub title: String,
    /// For people: markdown.
    pub description: String,
    /// Which tasks it is for, or the task group.
    pub context: TagSets,
    /// Its input's JSON schema; none where it takes no input.
    pub schema: Option<Value>,
    /// How it is asked for.
    pub way: Way,
}

/// How an action is asked for.
#[derive(Debug, Clone, PartialEq)]
pub enum Way {
    /// By triggerHook.
    Hook {
        /// The hook's group.
        group: String,
        /// The hook's name in it.
        id: String,
        /// The payload: JSON-e.
        payload: Value,
    },
    /// By createTask, with the decision task's scopes.
    Task {
        /// The definition: JSON-e.
        template: Value,
    },
    /// By createTask, with the decision task's scopes, as in 2016.
    Mustache {
        /// The definition, with `{{…}}` in its texts.
        template: Value,
    },
}

/// Why a file of actions can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CatalogError {
    /// It is no JSON.
    #[error("read actions.json: {0}")]
    Json(String),
    /// It is of another version.
    #[error("read actions.json: its version is {0}, and 1 is understood")]
    Version(String),
    /// Something is missing or not what it should be.
    #[error("read actions.json: {place}: {problem}")]
    Shape {
        /// Where, as in `actions[3].hookId`.
        place: String,
        /// What is wrong.
        problem: &'static str,
    },
    /// A variable hides what Taskcluster itself defines, so that two readers would render different things.
    #[error("read actions.json: its variable `{0}` hides Taskcluster's own")]
    Shadows(String),
}

/// Why no action can be asked for under a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChooseError {
    /// The push publishes none of that name.
    #[error("find the action `{name}`: this push publishes no such action")]
    Unknown {
        /// The name.
        name: String,
        /// Names that look most like it.
        nearest: Vec<String>,
    },
    /// It is for a task, and none was named.
    #[error("ask for `{0}`: it is for a task, and none was named")]
    NoTask(String),
    /// It is for the push as a whole.
    #[error("ask for `{0}`: it is for the push as a whole, not for a task of it")]
    Group(String),
    /// It is for other tasks.
    #[error("ask for `{0}`: it is not for tasks with such tags")]
    OtherTasks(String),
}

impl Catalog {
    /// Reads an actions.json that may have been written by anybody.
    ///
    /// # Errors
    /// If it is not version 1, an action of a known kind lacks something, or a variable hides what Taskcluster defines.
    pub fn read(text: &[u8]) -> Result<Self, CatalogError> {
        let file: Value = serde_json::from_slice(text).map_err(|error| CatalogError::Json(error.to_string()))?;
        let version = file.get("version").unwrap_or(&Value::Null);
        if version.as_f64() != Some(1.0) {
            return Err(CatalogError::Version(version.to_string().chars().take(40).collect()));
        }
        let variables = match file.get("variables") {
            Some(Value::Object(variables)) => variables.clone(),
            None | Some(Value::Null) => Map::new(),
            Some(_) => return Err(shape("variables", "an object is needed")),
        };
        if let Some(hidden) = BUILT_INS.iter().find(|name| variables.contains_key(**name)) {
            return Err(CatalogError::Shadows((*hidden).to_owned()));
        }
        let actions = file.get("actions").and_then(Value::as_array).ok_or(shape("actions", "a list is needed"))?;
        if actions.len() > MAX_ACTIONS {
            return Err(shape("actions", "these are too many"));
        }
        let mut offered = Vec::with_capacity(actions.len());
        for (at, action) in actions.iter().enumerate() {
            offered.extend(Offered::read(action, &format!("actions[{at}]"))?);
        }
        Ok(Self { variables, actions: offered, is_template: false })
    }

    /// The one action of a push that has only an action.yml, parsed: a definition that creates an action task.
    #[must_use]
    pub fn of_template(template: Value) -> Self {
        let way = if mustache::is_one(&template) { Way::Mustache { template } } else { Way::Task { template } };
        let action = Offered {
            name: mustache::ADD.to_owned(),
            title: "Add new jobs".to_owned(),
            description: String::new(),
            context: TagSets::default(),
            schema: Some(mustache::schema()),
            way,
        };
        Self { variables: Map::new(), actions: vec![action], is_template: true }
    }

    /// The action that is meant by a name, for a task with these tags, or for the push as a whole.
    ///
    /// # Errors
    /// If there is none, or it is for something else.
    pub fn choose(&self, name: &str, subject: Option<&Tags>) -> Result<&Offered, ChooseError> {
        let mut named = self.actions.iter().filter(|action| action.name == name).peekable();
        let Some(first) = named.peek().copied() else {
            let names: BTreeSet<&str> = self.actions.iter().map(|action| action.name.as_str()).collect();
            return Err(ChooseError::Unknown { name: name.to_owned(), nearest: nearest(name, names, NEAREST) });
        };
        named.find(|action| action.context.fits(subject)).ok_or_else(|| match subject {
            None => ChooseError::NoTask(name.to_owned()),
            Some(_) if first.context.fits(None) => ChooseError::Group(name.to_owned()),
            Some(_) => ChooseError::OtherTasks(name.to_owned()),
        })
    }

    /// Whether these are taskgraft's actions: they hold at least two that nobody else publishes under such names and
    /// callbacks, or are an action.yml of today. Then an action does what a preview says; else the preview is an estimate.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        if self.is_template {
            return self.actions.iter().all(|action| matches!(action.way, Way::Task { .. }));
        }
        let ours = |action: &&super::Action| {
            action.origin == Origin::Taskgraft
                && self
                    .actions
                    .iter()
                    .any(|other| other.name == action.name && other.callback() == Some(action.cb_name))
        };
        ACTIONS.iter().filter(ours).count() >= 2
    }
}

impl Offered {
    /// None for a kind that isn't known.
    fn read(action: &Value, place: &str) -> Result<Option<Self>, CatalogError> {
        let at = |field: &str, problem| shape(&format!("{place}.{field}"), problem);
        let text = |field: &str| match action.get(field) {
            Some(Value::String(text)) => Ok(text.clone()),
            Some(_) | None => Err(at(field, "a text is needed")),
        };
        let way = match action.get("kind").and_then(Value::as_str) {
            Some("hook") => Way::Hook {
                group: hook_name(text("hookGroupId")?).ok_or_else(|| at("hookGroupId", "this is no hook group"))?,
                id: hook_name(text("hookId")?).ok_or_else(|| at("hookId", "this is no hook"))?,
                payload: action.get("hookPayload").cloned().ok_or_else(|| at("hookPayload", "it is missing"))?,
            },
            Some("task") => {
                Way::Task { template: action.get("task").cloned().ok_or_else(|| at("task", "it is missing"))? }
            }
            Some(_) => return Ok(None),
            None => return Err(at("kind", "a text is needed")),
        };
        Ok(Some(Self {
            name: text("name")?,
            title: text("title").unwrap_or_default(),
            description: text("description").unwrap_or_default(),
            context: TagSets::read(action.get("context"))
                .map_err(|_| at("context", "it must be a list of tag sets: objects whose values are texts"))?,
            schema: action.get("schema").filter(|schema| !schema.is_null()).cloned(),
            way,
        }))
    }

    /// What the action task will call it, where the payload tells it as in-tree hooks take it.
    #[must_use]
    pub fn callback(&self) -> Option<&str> {
        match &self.way {
            Way::Hook { payload, .. } => payload.pointer("/decision/action/cb_name")?.as_str(),
            Way::Task { .. } | Way::Mustache { .. } => None,
        }
    }
}

/// A name that can be part of a scope without matching others.
fn hook_name(text: String) -> Option<String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'/');
    ((1..=MAX_HOOK).contains(&text.len()) && text.bytes().all(plain)).then_some(text)
}

fn shape(place: &str, problem: &'static str) -> CatalogError {
    CatalogError::Shape { place: place.to_owned(), problem }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn file(actions: Value) -> Vec<u8> {
        json!({"version": 1, "variables": {}, "actions": actions}).to_string().into_bytes()
    }

    fn hook(name: &str, context: Value) -> Value {
        json!({"kind": "hook", "name": name, "title": name, "description": "", "context": context,
               "hookGroupId": "project-lander", "hookId": "in-tree-action-3-generic/3353380a2b",
               "hookPayload": {"decision": {"action": {"cb_name": name}}}})
    }

    fn tags(pairs: &[(&str, &str)]) -> Tags {
        pairs.iter().map(|(tag, value)| ((*tag).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn of_several_with_one_name_the_first_that_fits_counts() {
        let mut last = hook("retrigger", json!([{}]));
        last["title"] = json!("last");
        let text = file(json!([
            {"kind": "from-the-future", "name": "retrigger"},
            hook("retrigger", json!([{"kind": "decision-task"}])),
            hook("retrigger", json!([{"kind": "test", "retrigger": "true"}, {"kind": "build"}])),
            last,
            hook("add-new-jobs", json!([])),
        ]));
        let catalog = Catalog::read(&text).unwrap();
        assert_eq!(catalog.actions.len(), 4);
        let chosen = |pairs: &[(&str, &str)]| {
            let found = catalog.choose("retrigger", Some(&tags(pairs))).unwrap();
            catalog.actions.iter().position(|action| std::ptr::eq(action, found)).unwrap()
        };
        assert_eq!(chosen(&[("kind", "decision-task"), ("more", "x")]), 0);
        assert_eq!(chosen(&[("kind", "test"), ("retrigger", "true")]), 1);
        assert_eq!(chosen(&[("kind", "build")]), 1);
        assert_eq!(chosen(&[("kind", "test")]), 2);
        assert_eq!(chosen(&[]), 2);
        assert!(catalog.choose("add-new-jobs", None).is_ok());
        let told = |name: &str, subject: Option<&Tags>| catalog.choose(name, subject).unwrap_err();
        assert_eq!(told("retrigger", None), ChooseError::NoTask("retrigger".into()));
        assert_eq!(told("add-new-jobs", Some(&Tags::new())), ChooseError::Group("add-new-jobs".into()));
        assert_eq!(
            told("add-new-job", None),
            ChooseError::Unknown { name: "add-new-job".into(), nearest: vec!["add-new-jobs".into()] }
        );
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let with = |field: &str, value: Value| {
            let mut action = hook("x", json!([]));
            action[field] = value;
            file(json!([hook("y", json!([])), action]))
        };
        let cases = [
            (b"{".to_vec(), "EOF"),
            (json!({"version": 2, "actions": []}).to_string().into_bytes(), "its version is 2"),
            (json!({"version": 1}).to_string().into_bytes(), "actions: a list"),
            (json!({"version": 1, "variables": [], "actions": []}).to_string().into_bytes(), "variables: an object"),
            (json!({"version": 1, "variables": {"input": 1}, "actions": []}).to_string().into_bytes(), "`input` hides"),
            (with("hookId", json!("a*")), "actions[1].hookId: this is no hook"),
            (with("hookGroupId", json!("")), "actions[1].hookGroupId"),
            (with("hookGroupId", json!(1)), "actions[1].hookGroupId: a text"),
            (with("context", json!({})), "actions[1].context"),
            (with("context", json!([{"kind": 1}])), "actions[1].context"),
            (with("kind", json!(null)), "actions[1].kind"),
            (with("name", json!(null)), "actions[1].name"),
        ];
        for (text, part) in cases {
            let error = Catalog::read(&text).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn actions_are_known_to_be_ours_by_those_that_only_we_have() {
        let of = |names: &[&str]| {
            let hooks: Vec<Value> = names.iter().map(|name| hook(name, json!([]))).collect();
            Catalog::read(&file(json!(hooks))).unwrap()
        };
        assert!(of(&["add-new-jobs", "run-missing-jobs", "add-matching-jobs"]).is_ours());
        assert!(!of(&["add-new-jobs", "backfill", "cancel-all"]).is_ours(), "others have a backfill too");
    }
}
