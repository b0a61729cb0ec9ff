//! The commands, a file each.

mod action_callback;
mod action_task;
mod actions;
mod add;
mod backup;
mod cancel;
mod completions;
mod demo;
mod group;
mod labels;
mod listen;
mod man;
mod plan;
mod requests;
mod resume;
mod serve;
mod stored_graph;
mod task;
mod test_action_callback;
mod trigger;
mod up;
mod worker;

use clap::{ArgAction, Parser, Subcommand};

use crate::env::Env;
use crate::exit::Failure;
use crate::log::{self, Format};
use crate::output::Out;

/// Add jobs to a push that is already running.
///
/// taskgraft creates jobs that were not scheduled on a push, with the builds, toolchains and images they need, reusing
/// what already ran, in the push's own task group.
#[derive(Debug, Parser)]
#[command(name = "taskgraft", version, max_term_width = 100, subcommand_required = true, arg_required_else_help = true)]
#[command(after_help = "Exit codes: 0 done, 1 failed, 2 usage, 3 a mistake in what was asked, 4 no rights, 5 stopped \
                        half way (resume it), 6 followed jobs did not all become green, 7 the facts have moved.")]
pub(crate) struct Cli {
    /// Log what happens on the way, on standard error; twice for more
    #[arg(short, long, global = true, action = ArgAction::Count, display_order = 100)]
    pub(crate) verbose: u8,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Plan(plan::Args),
    Add(add::Args),
    Trigger(trigger::Args),
    Resume(resume::Args),
    Cancel(cancel::Args),
    Labels(labels::Args),
    Task(task::Args),
    Group(group::Args),
    ActionTask(action_task::Args),
    ActionCallback(action_callback::Args),
    TestActionCallback(test_action_callback::Args),
    Actions(actions::Args),
    Demo(demo::Args),
    Up(up::Args),
    Serve(serve::Args),
    Requests(requests::Args),
    Worker(worker::Args),
    Listen(listen::Args),
    Backup(backup::Args),
    Completions(completions::Args),
    Man(man::Args),
}

impl Command {
    /// Starts logging as the command wants it.
    pub(crate) fn start_log(&self, verbose: u8, filter: Option<&str>) {
        if matches!(self, Self::Serve(_) | Self::Up(_)) || matches!(self, Self::Listen(args) if args.is_live()) {
            // Their configuration says how.
            return;
        }
        // A worker has nothing to say but its log.
        let (says_all, format) =
            if let Self::Worker(args) = self { (true, args.log_format) } else { (false, Format::Text) };
        log::start(verbose, says_all, format, filter);
    }
}

/// Does what the command line says.
pub(crate) async fn run(command: Command, verbose: u8, env: &Env, out: &Out) -> Result<(), Failure> {
    match command {
        Command::Plan(args) => plan::run(args, env, out).await,
        Command::Add(args) => Box::pin(add::run(&args, env, out)).await,
        Command::Trigger(args) => trigger::run(&args, env, out).await,
        Command::Resume(args) => resume::run(&args, env, out).await,
        Command::Cancel(args) => cancel::run(&args, env, out).await,
        Command::Actions(args) => actions::run(args, env, out).await,
        Command::ActionCallback(args) => action_callback::run(args, env, out).await,
        Command::TestActionCallback(args) => test_action_callback::run(args, env, out).await,
        Command::ActionTask(args) => action_task::run(args, env, out).await,
        Command::Labels(args) => labels::run(&args, env, out).await,
        Command::Task(args) => task::run(&args, env, out).await,
        Command::Group(args) => group::run(&args, env, out).await,
        Command::Demo(args) => demo::run(&args, env, out).await,
        Command::Serve(args) => serve::run(args, verbose, env, out).await,
        Command::Up(args) => up::run(args, verbose, env, out).await,
        Command::Listen(args) => listen::run(&args, verbose, env, out).await,
        Command::Requests(args) => requests::run(&args, env, out).await,
        Command::Worker(args) => worker::run(args, env).await,
        Command::Backup(args) => backup::run(args, env, out).await,
        Command::Completions(args) => completions::run(&args, out),
        Command::Man(args) => man::run(&args, out),
    }
}
