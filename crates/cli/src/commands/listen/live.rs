//! Listening: messages out of the broker's queues into the journal.

use std::path::Path;

use taskgraft_service::pulse::Listener;
use tokio::sync::watch;

use crate::env::Env;
use crate::exit::{Failure, chain};
use crate::output::Out;
use crate::service;
use crate::signals::Stop;

pub(super) async fn run(path: &Path, verbose: u8, env: &Env, out: &Out) -> Result<(), Failure> {
    // Before anything starts: a signal that comes meanwhile is kept.
    let mut stop = Stop::listen()?;
    let config = service::read(path)?;
    service::tell_exposed(&config, out);
    service::refuse(service::without_pulse_password(&config, env).into_iter().collect())?;
    let keeper = service::start_log(&config, verbose, true, env);
    let journal = super::journal(&config, path).await?;
    let failed = |why| Failure::other(format!("failed to {}", chain(&why)));
    let listener = Listener::new(&config, &service::secrets(&config, env)).map_err(failed)?;
    let counters = listener.counters();
    let (end, ending) = watch::channel(false);
    let mut quiet = ending.clone();
    let keeping = tokio::spawn(keeper.run(journal.clone(), async move { drop(quiet.wait_for(|quiet| *quiet).await) }));
    let mut listening = tokio::spawn(listener.run(journal, ending));
    out.note(&format!("listening as {} tells; Ctrl-C stops it", path.display()));
    let ended = tokio::select! {
        () = stop.asked() => {
            end.send_replace(true);
            tokio::select! {
                ended = &mut listening => ended,
                () = stop.asked() => return Ok(()),
            }
        }
        ended = &mut listening => ended,
    };
    end.send_replace(true);
    // A panic in there was logged; the lines of requests are all that it keeps.
    let _ = keeping.await;
    let counted = counters.now();
    out.note(&format!(
        "{} received, {} known before, {} not understood",
        counted.received, counted.known, counted.dead
    ));
    match ended {
        Ok(ended) => ended.map_err(failed),
        Err(why) => Err(Failure::other(chain(&why))),
    }
}
