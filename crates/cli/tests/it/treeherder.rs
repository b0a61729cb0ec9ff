//! The example of how a page adds jobs, with Taskcluster's official client for Python.

use std::process::Stdio;

use taskgraft_testkit::python::python;
use taskgraft_testkit::recorded::workspace;

use crate::hooked::{hooked, ours};
use crate::pushes::{DECISION, members};
use crate::run::Ran;
use crate::server::Up;

const WORKERS: [&str; 6] =
    ["--worker", "proj-lander/b-linux", "--worker", "proj-lander/t-linux", "--action-worker", "proj-lander/action"];

/// Runs the example to its end.
fn treeherder(up: &Up, args: &[&str]) -> Ran {
    let mut command = python();
    command.arg(workspace().join("examples/treeherder.py")).args(args);
    command.envs(up.variables.iter().map(|(name, value)| (name, value)));
    command.stdin(Stdio::null()).output().unwrap().into()
}

#[test]
fn a_click_that_triggers_the_hook_ends_with_green_jobs() {
    let up = Up::with(&WORKERS);
    hooked(&up, &ours().0);
    let ran = treeherder(&up, &["hook", DECISION, "lint-c", "--wait"]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    let id = members(&up)["lint-c"][0];
    assert!(ran.stdout.ends_with(&format!("lint-c {id} completed\n")), "{}", ran.stdout);
    let ran = treeherder(&up, &["hook", DECISION, "lint-cc"]);
    assert_eq!(ran.code, Some(1), "{}", ran.stdout);
    assert!(ran.stderr.contains("the action task failed"), "{}", ran.stderr);
}
