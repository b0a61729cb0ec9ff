//! The Python that the tests need: the reference package and Taskcluster's official client.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::recorded::workspace;

/// A command that runs the tests' Python interpreter.
///
/// # Panics
///
/// There is none.
#[must_use]
pub fn python() -> Command {
    let interpreter =
        std::env::var_os("TASKGRAFT_PYTHON").map_or_else(|| workspace().join(".venv/bin/python"), PathBuf::from);
    assert!(interpreter.is_file(), "{} is not there: run `make venv`", interpreter.display());
    Command::new(interpreter)
}

/// A YAML document as JSON, by the parser that the reference uses.
///
/// # Panics
///
/// It can't be read.
#[must_use]
pub fn read_yaml(path: &std::path::Path) -> Value {
    let script = "import json, sys, yaml; json.dump(yaml.safe_load(open(sys.argv[1])), sys.stdout)";
    let output = python().args(["-c", script]).arg(path).stderr(Stdio::inherit()).output();
    let output = output.unwrap_or_else(|error| panic!("python: {error}"));
    assert!(output.status.success(), "{} can't be read", path.display());
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
