//! `--dry-run` without a file: messages are told as they come, and left to whoever takes them.

use std::path::Path;

use taskgraft_service::pulse::replay::Replay;
use taskgraft_service::pulse::{ListenError, overhear};

use super::replay::plan;
use super::teller::Teller;
use crate::env::Env;
use crate::exit::{Failure, NOTHING, chain};
use crate::output::Out;
use crate::service;
use crate::signals::Stop;

pub(super) async fn run(path: &Path, json: bool, env: &Env, out: &Out) -> Result<(), Failure> {
    // Before anything starts: a signal that comes meanwhile is kept.
    let mut stop = Stop::listen()?;
    let config = service::read(path)?;
    service::tell_exposed(&config, out);
    service::refuse(service::without_pulse_password(&config, env).into_iter().collect())?;
    let failed = |why: &dyn std::error::Error| Failure::other(format!("failed to {}", chain(why)));
    let mut messages = overhear(&config, &service::secrets(&config, env)).map_err(|why| failed(&why))?;
    let then = plan(Some(&config), env)?;
    let replay = Replay::new(Some(config), then);
    let mut teller = Teller::new(out, json);
    out.note(&format!("looking at what comes, as {} tells, and leaving it; Ctrl-C stops it", path.display()));
    let telling = async {
        for number in 1.. {
            let delivery = messages.next().await.map_err(ListenError::from).map_err(|why| failed(&why))?;
            teller.tell(&replay.delivered(number, &(&delivery).into()).await)?;
            // If the connection is gone, so is the queue, and nothing of it comes again.
            delivery.ack().await;
        }
        Ok::<(), Failure>(())
    };
    tokio::select! {
        ended = telling => ended?,
        // What is being looked at is left: nothing was begun.
        () = stop.asked() => {}
    }
    messages.close().await;
    teller.end(NOTHING)
}
