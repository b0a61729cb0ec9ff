//! `{"task-reference": "…<build>…"}` and `{"artifact-reference": "…<build/public/x.zip>…"}`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::{Captures, Regex};
use serde_json::Value;

use super::{DefinitionError, rewrite};
use crate::ids::TaskId;

static TASK: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new("<([^>]+)>").ok());
static ARTIFACT: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new("<([^/]+)/([^>]+)>").ok());

/// Where artifacts are had from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArtifactUrls {
    /// The deployment's root URL.
    pub root: String,
    /// The proxy that adds a task's credentials, where there is one: private artifacts are had through it.
    pub proxy: Option<String>,
}

impl ArtifactUrls {
    /// The queue's URL of an artifact's latest version; a name outside `public/` needs credentials.
    #[must_use]
    pub fn url(&self, task_id: TaskId, name: &str) -> String {
        let root = match &self.proxy {
            Some(proxy) if !name.starts_with("public/") => proxy,
            Some(_) | None => &self.root,
        };
        format!("{}/api/queue/v1/task/{task_id}/artifacts/{name}", root.trim_end_matches('/'))
    }
}

/// What the names in references stand for.
#[derive(Debug, Clone, Copy)]
pub struct References<'a> {
    /// `<self>`.
    pub own: TaskId,
    /// `<decision>`.
    pub decision: TaskId,
    /// Every other name.
    pub dependencies: &'a BTreeMap<String, TaskId>,
    /// For artifact references.
    pub urls: &'a ArtifactUrls,
}

/// `definition` with every reference replaced. `<<>` stands for `<`.
///
/// # Errors
///
/// A name that stands for nothing, or a reference that is no text.
pub fn resolve_references(definition: &Value, references: &References<'_>) -> Result<Value, DefinitionError> {
    let task = |text: &str| replace_all(TASK.as_ref(), text, |found| references.task(&found[1]));
    let artifact = |text: &str| replace_all(ARTIFACT.as_ref(), text, |found| references.artifact(&found[1], &found[2]));
    rewrite(definition, &[("task-reference", &task), ("artifact-reference", &artifact)])
}

impl References<'_> {
    fn task(&self, name: &str) -> Result<String, DefinitionError> {
        match name {
            "self" => Ok(self.own.to_string()),
            "decision" => Ok(self.decision.to_string()),
            "<" if !self.dependencies.contains_key(name) => Ok("<".to_owned()),
            _ => self.dependency(name).map(|id| id.to_string()),
        }
    }

    fn artifact(&self, name: &str, path: &str) -> Result<String, DefinitionError> {
        let task_id = match name {
            "self" => return Err(DefinitionError::OwnArtifact),
            "decision" => self.decision,
            _ => self.dependency(name)?,
        };
        Ok(self.urls.url(task_id, path))
    }

    fn dependency(&self, name: &str) -> Result<TaskId, DefinitionError> {
        self.dependencies.get(name).copied().ok_or_else(|| DefinitionError::UnknownDependency(name.to_owned()))
    }
}

/// `text` with each match replaced; the first replacement that fails is the failure of all.
fn replace_all(
    pattern: Option<&Regex>,
    text: &str,
    mut replace: impl FnMut(&Captures<'_>) -> Result<String, DefinitionError>,
) -> Result<String, DefinitionError> {
    let mut out = String::with_capacity(text.len());
    let mut copied = 0;
    for found in pattern.into_iter().flat_map(|pattern| pattern.captures_iter(text)) {
        let Some(whole) = found.get(0) else { continue };
        out.push_str(&text[copied..whole.start()]);
        out.push_str(&replace(&found)?);
        copied = whole.end();
    }
    out.push_str(&text[copied..]);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn id(byte: u8) -> TaskId {
        TaskId::from_bytes([byte; 16])
    }

    fn resolve(definition: &Value) -> Result<Value, DefinitionError> {
        let dependencies = BTreeMap::from([("build".to_owned(), id(1)), ("a>b".to_owned(), id(2))]);
        let urls = ArtifactUrls { root: "https://tc.test/".into(), proxy: Some("http://proxy".into()) };
        resolve_references(
            definition,
            &References { own: id(8), decision: id(9), dependencies: &dependencies, urls: &urls },
        )
    }

    #[test]
    fn names_become_ids() {
        let definition = json!({
            "text": {"task-reference": "<build> <self> <decision> <<>b> < >"},
            "keys": {"task-reference": {"cache-<build>": {"task-reference": "<build>"}, "x": 1}},
            "two": {"task-reference": "<build>", "other": 1},
        });
        let (build, own, decision) = (id(1), id(8), id(9));
        assert_eq!(resolve(&json!({"task-reference": "< >"})), Err(DefinitionError::UnknownDependency(" ".into())));
        let mut expected = definition.clone();
        let mut definition = definition;
        definition["text"] = json!({"task-reference": "<build> <self> <decision> <<>b> <"});
        expected["text"] = json!(format!("{build} {own} {decision} <b> <"));
        let mut keys = serde_json::Map::new();
        keys.insert(format!("cache-{build}"), json!(build));
        keys.insert("x".into(), json!(1));
        expected["keys"] = Value::Object(keys);
        assert_eq!(resolve(&definition).unwrap(), expected);
    }

    #[test]
    fn private_artifacts_are_had_through_the_proxy() {
        let definition = json!({"artifact-reference": "<build/public/a b.zip>,<decision/private/x>"});
        let expected = format!(
            "https://tc.test/api/queue/v1/task/{}/artifacts/public/a b.zip,\
             http://proxy/api/queue/v1/task/{}/artifacts/private/x",
            id(1),
            id(9)
        );
        assert_eq!(resolve(&definition), Ok(json!(expected)));
    }

    #[test]
    fn what_stands_for_nothing_is_refused() {
        for (definition, error) in [
            (json!({"task-reference": "<nope>"}), DefinitionError::UnknownDependency("nope".into())),
            (json!({"artifact-reference": "<nope/x>"}), DefinitionError::UnknownDependency("nope".into())),
            (json!({"artifact-reference": "<a> <build/x>"}), DefinitionError::UnknownDependency("a> <build".into())),
            (json!({"artifact-reference": "<self/x>"}), DefinitionError::OwnArtifact),
            (json!([{"task-reference": 1}]), DefinitionError::NotText("task-reference")),
        ] {
            assert_eq!(resolve(&definition), Err(error));
        }
    }
}
