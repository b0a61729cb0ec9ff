//! What morphs need of a project's graph configuration.

use std::collections::BTreeSet;

use regex::Regex;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::MorphError;

/// A task queue, by its two names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct WorkerType {
    /// The first part of the task queue id.
    pub provisioner_id: String,
    /// The second part.
    pub worker_type: String,
}

/// The task queues of a project's worker aliases.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WorkerTypes {
    /// Those that are written down.
    pub queues: BTreeSet<WorkerType>,
    /// Aliases that are expressions and give their queues the name that they are used by.
    pub open: BTreeSet<String>,
}

/// A typed view of a project's `taskcluster/config.yml`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct GraphConfig(Map<String, Value>);

impl GraphConfig {
    /// Takes an object; what is in it is looked at when it is used.
    ///
    /// # Errors
    ///
    /// Not an object.
    pub fn new(value: Value) -> Result<Self, MorphError> {
        match value {
            Value::Object(fields) => Ok(Self(fields)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                Err(MorphError::Config("an object is needed".to_owned()))
            }
        }
    }

    /// The part of it that index tasks are made with.
    #[must_use]
    pub fn for_index_tasks(&self) -> Self {
        let below = |top: &str, name: &str| Some(json!({name: self.0.get(top)?.get(name)?}));
        let parts = [
            ("trust-domain", self.0.get("trust-domain").cloned()),
            ("workers", below("workers", "aliases")),
            ("taskgraph", below("taskgraph", "index-path-regexes")),
        ];
        Self(parts.into_iter().filter_map(|(name, part)| Some((name.to_owned(), part?))).collect())
    }

    /// The project's trust domain, which index paths and scheduler ids begin with.
    ///
    /// # Errors
    ///
    /// It is absent or no text.
    pub fn trust_domain(&self) -> Result<&str, MorphError> {
        let domain = self.0.get("trust-domain").and_then(Value::as_str);
        domain.ok_or_else(|| MorphError::Config("`trust-domain` must be a text".to_owned()))
    }

    /// Expressions that shorten index paths in scopes: what their first group matches is kept, the rest becomes `*`.
    pub(super) fn index_path_regexes(&self) -> Result<Vec<Regex>, MorphError> {
        let domain = regex::escape(self.trust_domain()?);
        let more = self.0.get("taskgraph").and_then(|taskgraph| taskgraph.get("index-path-regexes"));
        let more = more.and_then(Value::as_array).into_iter().flatten();
        let patterns = more.map(|pattern| pattern.as_str().unwrap_or_default().to_owned());
        let patterns = std::iter::once(format!(r"({domain}\.v2\.[^.]*\.).*")).chain(patterns);
        let compiled = patterns.map(|pattern| match Regex::new(&format!("^(?:{pattern})")) {
            Ok(regex) if regex.captures_len() > 1 => Ok(regex),
            Ok(_) | Err(_) => Err(MorphError::IndexPathRegex(pattern)),
        });
        compiled.collect()
    }

    /// The task queue that an alias stands for at one level.
    ///
    /// # Errors
    ///
    /// No or more than one alias matches, or it isn't as the reference wants it.
    pub fn worker_type(&self, alias: &str, level: &str) -> Result<WorkerType, MorphError> {
        let aliases = self.aliases();
        let aliases = aliases.ok_or_else(|| MorphError::Config("`workers.aliases` must be an object".to_owned()))?;
        self.queue(one_match(aliases, alias, "workers.aliases")?, alias, level)
    }

    /// The task queues of all worker aliases that are `wanted` for their implementation and operating system, at these
    /// levels.
    ///
    /// # Errors
    ///
    /// An alias isn't as the reference wants it.
    pub fn worker_types(
        &self,
        levels: &[&str],
        wanted: impl Fn(&str, &str) -> bool,
    ) -> Result<WorkerTypes, MorphError> {
        let mut found = WorkerTypes::default();
        for (alias, worker) in self.aliases().into_iter().flatten() {
            let text = |name: &str| worker.get(name).and_then(Value::as_str).unwrap_or_default();
            if !wanted(text("implementation"), text("os")) {
                continue;
            }
            for level in levels {
                let queue = self.queue(worker, alias, level)?;
                // What an expression stands for is known only to those who use it.
                let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
                let named = *alias != "default" && alias.chars().all(is_name);
                if named || self.queue(worker, "", level)? == queue {
                    found.queues.insert(queue);
                } else {
                    found.open.insert(alias.clone());
                }
            }
        }
        Ok(found)
    }

    fn aliases(&self) -> Option<&Map<String, Value>> {
        self.0.get("workers")?.get("aliases")?.as_object()
    }

    /// The task queue of the alias that is defined like this.
    fn queue(&self, worker: &Value, alias: &str, level: &str) -> Result<WorkerType, MorphError> {
        let text = |name: &str| -> Result<String, MorphError> {
            let value =
                worker.get(name).ok_or_else(|| MorphError::Config(format!("worker `{alias}` has no `{name}`")))?;
            let value = keyed_by_level(value, level, name)?;
            let text = value.as_str().ok_or_else(|| MorphError::Config(format!("`{name}` must be a text")))?;
            let text = text.replace("{alias}", alias).replace("{level}", level);
            Ok(text.replace("{trust-domain}", self.trust_domain()?))
        };
        Ok(WorkerType { provisioner_id: text("provisioner")?, worker_type: text("worker-type")? })
    }

    /// Whether there is something of this name at the top.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|part| !part.is_null())
    }
}

/// Follows `{"by-level": {…}}`, nested as deep as it may be; any other `by-…` has no key here and takes its default.
fn keyed_by_level<'a>(mut value: &'a Value, level: &str, item: &str) -> Result<&'a Value, MorphError> {
    while let Some((key, alternatives)) =
        value.as_object().filter(|fields| fields.len() == 1).and_then(|fields| fields.iter().next())
    {
        let Some(key) = key.strip_prefix("by-") else { break };
        let alternatives = alternatives.as_object();
        let alternatives =
            alternatives.ok_or_else(|| MorphError::Config(format!("`{item}`: by-{key} needs an object")))?;
        value = match key {
            "level" => one_match(alternatives, level, item)?,
            _ => alternatives.get("default").ok_or_else(|| MorphError::Config(format!("`{item}`: no default")))?,
        };
    }
    Ok(value)
}

/// The alternative for `key`: its own, else the only one whose expression matches all of it, else the default.
fn one_match<'a>(alternatives: &'a Map<String, Value>, key: &str, item: &str) -> Result<&'a Value, MorphError> {
    if let Some(exact) = alternatives.get(key) {
        return Ok(exact);
    }
    // As in the reference, which appends the `$` to whatever the expression is.
    let matches = |pattern: &str| Regex::new(&format!("^(?:{pattern}$)")).is_ok_and(|regex| regex.is_match(key));
    let mut matching = alternatives.iter().filter(|(pattern, _)| matches(pattern)).map(|(_, value)| value);
    match (matching.next(), matching.next()) {
        (Some(only), None) => Ok(only),
        (Some(_), Some(_)) => Err(MorphError::Config(format!("`{item}`: more than one alternative matches `{key}`"))),
        (None, _) => {
            let default = alternatives.get("default");
            default.ok_or_else(|| MorphError::Config(format!("`{item}`: nothing matches `{key}`")))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn aliases_are_found_as_in_the_reference() {
        let config = GraphConfig::new(json!({"trust-domain": "lander", "workers": {"aliases": {
            "misc": {"provisioner": "{trust-domain}-{level}", "worker-type": {"by-level": {"3": "{alias}", "default": "t"}}},
            "b-.*": {"provisioner": "p", "worker-type": {"by-project": {"x": "y", "default": "z"}}},
            "b-[xy]": {"provisioner": "p", "worker-type": "w"},
        }}}))
        .unwrap();
        let found = |alias, level| {
            config.worker_type(alias, level).ok().map(|found| format!("{}/{}", found.provisioner_id, found.worker_type))
        };
        assert_eq!(found("misc", "3").as_deref(), Some("lander-3/misc"));
        assert_eq!(found("misc", "1").as_deref(), Some("lander-1/t"));
        assert_eq!(found("b-linux", "1").as_deref(), Some("p/z"));
        assert_eq!(found("b-x", "1"), None);
        assert_eq!(found("other", "1"), None);
    }

    #[test]
    fn the_queues_of_all_aliases_are_those_that_each_one_alone_has() {
        let worker = |provisioner: &str, worker_type: Value, implementation: &str, os: &str| json!({"provisioner": provisioner, "worker-type": worker_type, "implementation": implementation, "os": os});
        let by_level = json!({"by-level": {"3": "three", "default": "t"}});
        let config = GraphConfig::new(json!({"trust-domain": "lander", "workers": {"aliases": {
            "b-linux": worker("{trust-domain}-{level}", json!("{alias}"), "docker-worker", "linux"),
            "t-linux": worker("p", by_level, "generic-worker", "linux"),
            "b-win": worker("p", json!("w"), "generic-worker", "windows"),
            "t-.*": worker("p", json!("{alias}"), "generic-worker", "linux"),
            "b-.*": worker("p", json!("any"), "generic-worker", "linux"),
            "default": worker("p", json!("{alias}-{level}"), "generic-worker", "linux"),
        }}}))
        .unwrap();
        let found = config.worker_types(&["1", "3"], |_, os| os == "linux").unwrap();
        let queues: Vec<String> =
            found.queues.iter().map(|queue| format!("{}/{}", queue.provisioner_id, queue.worker_type)).collect();
        assert_eq!(queues, ["lander-1/b-linux", "lander-3/b-linux", "p/any", "p/t", "p/three"]);
        assert_eq!(found.open.iter().collect::<Vec<_>>(), ["default", "t-.*"]);
        for (alias, level) in [("b-linux", "1"), ("b-linux", "3"), ("t-linux", "3")] {
            assert!(found.queues.contains(&config.worker_type(alias, level).unwrap()), "{alias} {level}");
        }
        assert_eq!(GraphConfig::default().worker_types(&["1"], |_, _| true).unwrap(), WorkerTypes::default());
        let broken = GraphConfig::new(json!({"trust-domain": "x", "workers": {"aliases": {"a": {}}}})).unwrap();
        assert!(broken.worker_types(&["1"], |_, _| true).unwrap_err().to_string().contains("`a` has no"));
    }
}
