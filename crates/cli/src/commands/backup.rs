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
}

pub(crate) async fn run(args: Args, env: &Env, out: &Out) -> Result<(), Failure> {
    let data_dir = embedded::data_dir(args.data_dir.as_deref(), env)?;
    let file = args.file.clone();
    let journal = Path::new(service::DIR).join(FILE);
    let made = tokio::task::spawn_blocking(move || backup::backup(&data_dir, &[&journal], &file)).await;
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
    if made.gone > 0 {
        out.note(&format!("{} artifacts expired meanwhile and are not in it", made.gone));
    }
    Ok(())
}
