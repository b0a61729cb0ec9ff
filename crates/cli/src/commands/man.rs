//! `taskgraft man`.

use std::path::PathBuf;

use clap::CommandFactory as _;
use clap_mangen::Man;

use crate::commands::Cli;
use crate::exit::Failure;
use crate::output::Out;

/// Print the manual page, or write a page for each command
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  taskgraft man | man -l -
  taskgraft man --dir ~/.local/share/man/man1")]
pub(crate) struct Args {
    /// Write all pages into this directory (made if need be) rather than print the first
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub(crate) fn run(args: &Args, out: &Out) -> Result<(), Failure> {
    match &args.dir {
        Some(dir) => std::fs::create_dir_all(dir)
            .and_then(|()| clap_mangen::generate_to(Cli::command(), dir))
            .map_err(|why| Failure::other(format!("write manual pages to {}: {why}", dir.display()))),
        None => {
            let mut page = Vec::new();
            Man::new(Cli::command()).render(&mut page)?;
            Ok(out.raw(&page)?)
        }
    }
}
