//! The command line: reads the environment, puts the other crates together, and says what became of it.

mod acting;
mod action_worker;
mod asking;
mod commands;
mod connect;
mod creating;
mod embedded;
mod env;
mod exit;
mod follow;
mod log;
mod offer;
mod output;
mod progress;
mod project;
mod push;
mod service;
mod signals;
mod through;

use std::process::ExitCode;

use clap::Parser as _;

use commands::Cli;
use env::Env;
use output::Out;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let env = Env::read();
    cli.command.start_log(cli.verbose, env.log.as_deref());
    let out = Out::new(&env);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(why) => return exit::Failure::other(format!("failed to start the runtime: {why}")).report(&out),
    };
    match runtime.block_on(commands::run(cli.command, cli.verbose, &env, &out)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(&out),
    }
}
