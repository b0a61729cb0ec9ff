//! `taskgraft requests retry` and `cancel`: written into the journal, and carried out by the service that keeps it.

use std::time::Duration;

use serde::Serialize;
use taskgraft_core::ids::RequestId;
use taskgraft_service::journal::{Change, Journal, JournalError};
use taskgraft_service::{Event, Request, State};

use crate::exit::{Failure, Kind};
use crate::output::Out;

/// Have requests or messages tried again that came to no good end
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A request that failed or was refused or cancelled begins anew, under the same id: what exists of \
it is found, and nothing is made twice. A message that nobody understood is read once more.

Examples:
  taskgraft requests retry R7Qm2dpaTTqn5JcG_bOa6Q
  taskgraft requests retry R7Qm2dpaTTqn5JcG_bOa6Q --wait 60
  taskgraft requests retry --message 17 --message 18"
)]
pub(super) struct Retry {
    /// The requests
    #[arg(value_name = "REQUEST", value_parser = super::id, required_unless_present = "messages")]
    requests: Vec<RequestId>,
    /// A message that nobody understood, by the number that `requests dead` shows
    #[arg(long = "message", value_name = "N")]
    messages: Vec<i64>,
    #[command(flatten)]
    then: Then,
}

/// Cancel a request: what it made and is unfinished
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Its action task is cancelled if it is unfinished, then its jobs. What other jobs may need as well \
stays, unless it is to go too; then what something outside the request waits for stays all the same.

Examples:
  taskgraft requests cancel R7Qm2dpaTTqn5JcG_bOa6Q
  taskgraft requests cancel R7Qm2dpaTTqn5JcG_bOa6Q --with-dependencies --wait 60"
)]
pub(super) struct Cancel {
    /// The request
    #[arg(value_parser = super::id)]
    request: RequestId,
    /// Cancel the builds and the like that only this request needed, too
    #[arg(long)]
    with_dependencies: bool,
    #[command(flatten)]
    then: Then,
}

/// What to do once it is written down.
#[derive(Debug, clap::Args)]
struct Then {
    /// Wait so long until the service has done it, and fail if it has not
    #[arg(long, value_name = "SECONDS")]
    wait: Option<u64>,
    /// Print how things stand as JSON
    #[arg(long)]
    json: bool,
}

/// How things stand, as data.
#[derive(Debug, Serialize)]
struct Told<'a> {
    requests: &'a [Request],
    messages: &'a [i64],
}

pub(super) async fn retry(args: &Retry, journal: &Journal, out: &Out) -> Result<(), Failure> {
    let mut requests = Vec::new();
    for id in &args.requests {
        requests.push(journal.apply(id, Event::Retried, by_hand()).await?);
    }
    for message in &args.messages {
        journal.want_letter(*message).await?;
    }
    let verdict = args.then.wait_for(journal, &mut requests, State::Done).await?;
    if args.then.json {
        out.json(&Told { requests: &requests, messages: &args.messages })?;
    } else {
        say(&requests, "is to be tried again", out)?;
        for message in &args.messages {
            out.say(&format!("message {message} is to be tried again"))?;
        }
    }
    verdict
}

pub(super) async fn cancel(args: &Cancel, journal: &Journal, out: &Out) -> Result<(), Failure> {
    // Whoever said once that they go too need not say it again.
    let change = Change { with_dependencies: args.with_dependencies.then_some(true), ..by_hand() };
    let mut requests = vec![journal.apply(&args.request, Event::CancelAsked, change).await?];
    let verdict = args.then.wait_for(journal, &mut requests, State::Cancelled).await?;
    if args.then.json {
        out.json(&Told { requests: &requests, messages: &[] })?;
    } else {
        say(&requests, "is to be cancelled", out)?;
    }
    verdict
}

fn say(requests: &[Request], to_be: &str, out: &Out) -> Result<(), Failure> {
    for request in requests {
        let stands = if request.state.is_terminal() { format!("is {}", request.state) } else { to_be.to_owned() };
        out.say(&format!("request {} {stands}", request.id))?;
    }
    Ok(())
}

/// Who does it, for the audit log.
fn by_hand() -> Change {
    let by = format!("local user {}", rustix::process::getuid().as_raw());
    Change { by: Some(by), why: Some("the command line".to_owned()), ..Change::default() }
}

impl Then {
    /// Waits for the requests' ends, if that was asked for, and judges them.
    async fn wait_for(
        &self,
        journal: &Journal,
        requests: &mut [Request],
        good: State,
    ) -> Result<Result<(), Failure>, Failure> {
        let Some(seconds) = self.wait else { return Ok(Ok(())) };
        let end = tokio::time::Instant::now() + Duration::from_secs(seconds);
        for request in requests.iter_mut() {
            match tokio::time::timeout_at(end, ended(journal, &request.id)).await {
                Ok(ended) => *request = ended?,
                Err(_) => {
                    let failure = Failure::other(format!("request {} has not ended in {seconds} s", request.id));
                    return Ok(Err(failure.note("it may be", "that no service keeps this journal now")));
                }
            }
        }
        let bad = requests.iter().find(|request| request.state != good);
        Ok(bad.map_or(Ok(()), |request| {
            let why = request.error.clone().unwrap_or_default();
            Err(Failure::new(Kind::NotGreen, format!("request {} is {}: {why}", request.id, request.state)))
        }))
    }
}

async fn ended(journal: &Journal, id: &RequestId) -> Result<Request, Failure> {
    let mut steps = journal.subscribe();
    loop {
        steps.mark_unchanged();
        let request = journal.get(id).await?.ok_or_else(|| JournalError::Unknown(id.clone()))?;
        if request.state.is_terminal() {
            return Ok(request);
        }
        // The journal is open as long as this is.
        let _ = steps.changed().await;
    }
}
