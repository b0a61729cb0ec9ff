//! What needs no Taskcluster: help, completions, manual pages.

use crate::run::{command, taskgraft};

/// The commands, as `--help` lists them.
fn commands() -> Vec<String> {
    let help = taskgraft(["--help"]).stdout;
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    // A long description goes on in lines of its own, further in.
    let listed = listed.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    listed.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help").map(str::to_owned).collect()
}

#[test]
fn every_command_has_help_with_examples() {
    let commands = commands();
    assert!(commands.len() > 1, "{commands:?}");
    for command in commands {
        let help = taskgraft([command.as_str(), "--help"]);
        assert_eq!(help.code, Some(0), "{command}");
        assert!(help.stdout.contains("Examples:"), "{command}: {}", help.stdout);
        assert!(help.stdout.contains(&format!("  taskgraft {command}")), "{command}: {}", help.stdout);
    }
}

#[test]
fn a_command_line_that_makes_no_sense_is_exit_code_2() {
    for args in [&["frobnicate"][..], &["completions", "tcsh"], &["man", "--dirr", "x"]] {
        let ran = taskgraft(args);
        assert_eq!(ran.code, Some(2), "{args:?}");
        assert!(ran.stdout.is_empty(), "{args:?}: {}", ran.stdout);
    }
}

#[test]
fn completions_and_manual_name_every_command() {
    let script = taskgraft(["completions", "bash"]).stdout;
    let page = taskgraft(["man"]).stdout;
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(taskgraft(["man".as_ref(), "--dir".as_ref(), dir.path().as_os_str()]).code, Some(0));
    for command in commands() {
        assert!(script.contains(&command), "{command}");
        assert!(page.contains(&format!("taskgraft\\-{}", command.replace('-', "\\-"))), "{command}: {page}");
        assert!(dir.path().join(format!("taskgraft-{command}.1")).exists(), "{command}");
    }
}

#[test]
fn a_reader_who_leaves_is_no_failure() {
    let mut child = command(["completions", "bash"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0));
}
