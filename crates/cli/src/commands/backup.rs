//! `taskgraft backup`.

use std::path::{Path, PathBuf};

use taskgraft_local::backup::{self, BackupError};
use taskgraft_service::journal::FILE;

use crate::embedded;
use crate::env::Env;
use crate::exit::{Failure, chain};
use crate::output::Out;
use crate::service;

/// Copy an embedded Taskcluster's data to one file, while it runs or not
///
/// The file is a tar archive; unpacked into an empty directory it is a data directory again. It holds secrets and is
/// readable by you only.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  taskgraft backup tc.tar
  taskgraft backup tc.tar --data-dir ./tc
  mkdir tc2 && tar -xf tc.tar -C tc2 && taskgraft up --data-dir tc2")]
pub(crate) struct Args {
    /// Where to; it must not exist yet
    file: PathBuf,
    /// The data directory [default: $XDG_DATA_HOME/taskgraft/up]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The configuration that `up` was given, where that names a journal: it is the one that comes along
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

pub(crate) async fn run(args: Args, env: &Env, out: &Out) -> Result<(), Failure> {
    let data_dir = embedded::data_dir(args.data_dir.as_deref(), env)?;
    let file = args.file.clone();
    let name = Path::new(service::DIR).join(FILE);
    let journal = journal(args.config.as_deref())?.unwrap_or_else(|| data_dir.join(&name));
    let with = if service::is_there(&journal)? { Some(journal.clone()) } else { None };
    let made = tokio::task::spawn_blocking(move || backup::backup(&data_dir, &[(&journal, &name)], &file)).await;
    let made = made.map_err(|why| Failure::other(chain(&why)))?.map_err(|why| {
        let message = chain(&why);
        match why {
            BackupError::NoData(_) => {
                Failure::mistake(message).note("say which", "--data-dir DIR, the one that `taskgraft up` was given")
            }
            BackupError::Exists(_) => Failure::mistake(message).note("instead", "another name: nothing is overwritten"),
            BackupError::File { .. } | BackupError::Database(_) => Failure::other(message),
        }
    })?;
    out.note(&format!("{}: {} bytes, {} artifacts", args.file.display(), made.bytes, made.artifacts));
    out.note(&match &with {
        Some(journal) => format!("the service's journal {} is in it", journal.display()),
        None => {
            "no journal is in it, as none is there; one that the configuration of `up` names comes along with --config"
                .to_owned()
        }
    });
    if made.gone > 0 {
        out.note(&format!("{} artifacts expired meanwhile and are not in it", made.gone));
    }
    Ok(())
}

/// The journal that a configuration names, which must be there.
fn journal(config: Option<&Path>) -> Result<Option<PathBuf>, Failure> {
    let Some(config) = config else { return Ok(None) };
    let journal = service::read(config)?.journal;
    match &journal {
        Some(file) if !service::is_there(file)? => {
            Err(Failure::mistake(format!("there is no journal at {}", file.display())))
        }
        Some(_) | None => Ok(journal),
    }
}
