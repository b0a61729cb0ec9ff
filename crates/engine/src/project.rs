//! A project's checkout, of which two files are read: `taskcluster/config.yml` and `.taskcluster.yml`.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use serde_json::Value;
use taskgraft_core::action::in_tree;
use taskgraft_core::morph::{GraphConfig, MorphError};

use crate::yaml::{self, YamlError};

/// Neither file may be larger, in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// Projects that promote releases describe those in a part of config.yml that is named like the action and its permission.
const PROMOTES: &str = "release-promotion";

/// What a checkout says about its project.
#[derive(Debug, Clone)]
pub struct Project {
    /// Such as `lander`: index paths, scheduler ids and the hooks' group are named after it.
    pub trust_domain: String,
    /// config.yml, for morphs.
    pub graph_config: GraphConfig,
    /// Callbacks of the actions that the project doesn't want to publish: `taskgraph.disabled-actions`.
    pub disabled_actions: Vec<String>,
    /// Whether Python code of the project may register actions that nobody else knows: `taskgraph.register`.
    pub registers: bool,
    /// The URLs of its repositories: each `default-repository` of `taskgraph.repositories`.
    pub repositories: Vec<String>,
    /// Permissions of its own actions, as far as config.yml tells.
    pub permissions: Vec<String>,
    /// Where [`Self::taskcluster_yml`] is looked for: the root's nearest ancestor that has one.
    file: Option<PathBuf>,
}

/// How pushes and actions become tasks.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskclusterYml {
    /// The file, parsed.
    pub content: Value,
    /// The first ten hexadecimal digits of its SHA-256, by which hooks are named.
    pub hash: String,
}

/// Why a checkout can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ProjectError {
    /// A file can't be read.
    #[error("read {}: {error}", .path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A file isn't what it should be.
    #[error("read {}: {why}", .path.display())]
    Content {
        /// Which.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// There is no .taskcluster.yml.
    #[error("find .taskcluster.yml: neither {} nor a directory above it has one", .0.display())]
    NoTaskclusterYml(PathBuf),
}

impl Project {
    /// Reads the project whose task graph is defined under `root`, which is most often `taskcluster` in a checkout.
    ///
    /// # Errors
    /// If config.yml can't be read, or names no trust domain.
    pub fn read(root: &Path) -> Result<Self, ProjectError> {
        let path = root.join("config.yml");
        let bad = |why: String| ProjectError::Content { path: path.clone(), why };
        let config = parse(&path, &read(&path)?)?;
        let taskgraph = config.get("taskgraph");
        let disabled = taskgraph.and_then(|part| part.get("disabled-actions")).unwrap_or(&Value::Null);
        let disabled_actions = match disabled {
            Value::Null => Some(Vec::new()),
            Value::Array(names) => names.iter().map(|name| name.as_str().map(str::to_owned)).collect(),
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => None,
        };
        let disabled_actions =
            disabled_actions.ok_or_else(|| bad("taskgraph.disabled-actions must be a list of texts".into()))?;
        let registers = taskgraph.and_then(|part| part.get("register")).is_some_and(|register| !register.is_null());
        let repositories = taskgraph.and_then(|part| part.get("repositories")).and_then(Value::as_object);
        let url = |repository: &Value| Some(repository.get("default-repository")?.as_str()?.to_owned());
        let repositories = repositories.into_iter().flat_map(|all| all.values()).filter_map(url).collect();
        let graph_config = GraphConfig::new(config).map_err(|error: MorphError| bad(error.to_string()))?;
        let trust_domain = graph_config.trust_domain().map_err(|error| bad(error.to_string()))?.to_owned();
        let permissions = graph_config.has(PROMOTES).then(|| PROMOTES.to_owned()).into_iter().collect();
        let file = find(root)?;
        Ok(Self { trust_domain, graph_config, disabled_actions, registers, repositories, permissions, file })
    }

    /// Reads `.taskcluster.yml`, which only publishing actions and making their hooks needs. It is the one in the
    /// root's nearest ancestor that has one; the reference looks in the repository's top directory.
    ///
    /// # Errors
    /// If there is none, or it is no YAML.
    pub fn taskcluster_yml(&self, root: &Path) -> Result<TaskclusterYml, ProjectError> {
        let path = self.file.as_ref().ok_or_else(|| ProjectError::NoTaskclusterYml(root.to_owned()))?;
        let bytes = read(path)?;
        Ok(TaskclusterYml { content: parse(path, &bytes)?, hash: in_tree::hook_hash(&bytes) })
    }
}

fn find(root: &Path) -> Result<Option<PathBuf>, ProjectError> {
    let absolute = std::path::absolute(root).map_err(|error| ProjectError::Io { path: root.to_owned(), error })?;
    let found = absolute.ancestors().map(|dir| dir.join(".taskcluster.yml")).find(|path| path.is_file());
    Ok(found)
}

fn read(path: &Path) -> Result<Vec<u8>, ProjectError> {
    let io = |error| ProjectError::Io { path: path.to_owned(), error };
    // A pipe would be waited for.
    if !path.metadata().map_err(io)?.is_file() {
        return Err(ProjectError::Content { path: path.to_owned(), why: "it is no file".to_owned() });
    }
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes)).map_err(io)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(ProjectError::Content { path: path.to_owned(), why: "it is larger than 1 MiB".to_owned() });
    }
    Ok(bytes)
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Value, ProjectError> {
    let bad = |why: String| ProjectError::Content { path: path.to_owned(), why };
    let text = std::str::from_utf8(bytes).map_err(|_| bad("it is not UTF-8".to_owned()))?;
    yaml::parse(text).map_err(|error: YamlError| bad(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn checkout(config: &str, taskcluster: Option<&str>) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("taskcluster")).unwrap();
        fs::write(dir.path().join("taskcluster/config.yml"), config).unwrap();
        if let Some(text) = taskcluster {
            fs::write(dir.path().join(".taskcluster.yml"), text).unwrap();
        }
        dir
    }

    #[test]
    fn two_files_are_enough() {
        let config = "trust-domain: lander\nrelease-promotion: {flavors: {}}\ntaskgraph:\n  disabled-actions: [rerun]\n  register: lander:register\n  \
                      repositories:\n    lander: {name: Lander, default-repository: 'https://github.com/example/lander'}\n";
        let dir = checkout(config, Some("version: 1\ntasks: []\n"));
        let root = dir.path().join("taskcluster");
        let project = Project::read(&root).unwrap();
        assert_eq!(project.trust_domain, "lander");
        assert_eq!(project.disabled_actions, ["rerun"]);
        assert_eq!(project.repositories, ["https://github.com/example/lander"]);
        assert!(project.registers);
        assert_eq!(project.permissions, ["release-promotion"]);
        let file = project.taskcluster_yml(&root).unwrap();
        assert_eq!(file.content["version"], 1);
        // printf 'version: 1\ntasks: []\n' | sha256sum
        assert_eq!(file.hash, "9b9a42ee35");
    }

    #[test]
    fn a_checkout_without_taskcluster_yml_has_a_trust_domain_all_the_same() {
        let dir = checkout("trust-domain: x\n", None);
        let project = Project::read(&dir.path().join("taskcluster")).unwrap();
        assert_eq!((project.trust_domain.as_str(), project.registers), ("x", false));
        assert!(project.permissions.is_empty());
        // Were there one above the temporary directory, it would be found.
        if project.file.is_none() {
            let error = project.taskcluster_yml(dir.path()).unwrap_err().to_string();
            assert!(error.starts_with("find .taskcluster.yml"), "{error}");
        }
    }

    #[test]
    fn what_is_wrong_names_the_file() {
        let absent = Project::read(Path::new("no/such/checkout")).unwrap_err().to_string();
        assert!(absent.starts_with("read no/such/checkout/config.yml: "), "{absent}");
        for (config, why) in [
            ("", "an object is needed"),
            ("trust-domain: [x]", "`trust-domain` must be a text"),
            ("trust-domain: x\ntaskgraph: {disabled-actions: rerun}", "must be a list of texts"),
            ("a: {", "not YAML"),
            (&"# long\n".repeat(200_000), "larger than 1 MiB"),
        ] {
            let dir = checkout(config, None);
            let error = Project::read(&dir.path().join("taskcluster")).unwrap_err().to_string();
            assert!(error.contains("config.yml") && error.contains(why), "{error}");
        }
    }
}
