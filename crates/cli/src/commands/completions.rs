//! `taskgraft completions`.

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::commands::Cli;
use crate::exit::Failure;
use crate::output::Out;

/// Print a script that completes taskgraft's command line in a shell
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  taskgraft completions bash > ~/.local/share/bash-completion/completions/taskgraft
  taskgraft completions fish > ~/.config/fish/completions/taskgraft.fish
  taskgraft completions zsh > \"${fpath[1]}/_taskgraft\"")]
pub(crate) struct Args {
    /// The shell
    shell: Shell,
}

pub(crate) fn run(args: &Args, out: &Out) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "taskgraft", &mut script);
    Ok(out.raw(&script)?)
}
