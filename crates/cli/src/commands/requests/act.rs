//! `taskgraft requests retry` and `cancel`: written into the journal, and carried out by the service that keeps it.

use std::time::Duration;

use serde::Serialize;
use taskgraft_core::ids::RequestId;
use taskgraft_service::journal::{Change, Journal, JournalError, Letter};
use taskgraft_service::{Event, Request, State, next};
use tokio::time::Instant;

use super::dead;
use crate::exit::{Failure, Kind};
use crate::output::Out;

/// Why something is done, for the audit log.
const BY_HAND: &str = "the command line";
/// The pause between two looks at a message.
const LOOK: Duration = Duration::from_millis(100);

/// Have requests or messages tried again that came to no good end
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A request that failed or was refused or cancelled begins anew, under the same id: what exists of \
it is found, and nothing is made twice; what was cancelled is made anew. A message that nobody understood is read once more.

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
    /// Wait so long until the service has done it, or read the message, and fail if it has not; at most a day
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(..=86_400))]
    wait: Option<u64>,
    /// Print how things stand as JSON
    #[arg(long)]
    json: bool,
}

/// How things stand, as data.
#[derive(Debug, Serialize)]
struct Told<'a> {
    requests: &'a [Request],
    /// As `requests dead` tells them.
    messages: Vec<dead::Told<'a>>,
}

pub(super) async fn retry(args: &Retry, journal: &Journal, out: &Out) -> Result<(), Failure> {
    let (ids, messages) = (once(&args.requests), once(&args.messages));
    check(&ids, &messages, journal).await?;
    // Somebody else may act in this moment, too.
    let half_way = |why: JournalError| Failure::from(why).closing("some of the others may be tried again");
    let mut requests = Vec::new();
    for id in &ids {
        requests.push(journal.apply(id, Event::Retried, by_hand()).await.map_err(half_way)?);
    }
    for message in &messages {
        journal.want_letter(*message, &local_user(), BY_HAND).await.map_err(half_way)?;
    }
    let end = args.then.end();
    let mut verdict = args.then.wait_for(journal, &mut requests, State::Done, end).await?;
    let mut letters = Vec::new();
    for message in &messages {
        let (letter, told) = args.then.wait_for_letter(journal, *message, end).await?;
        letters.push(letter);
        verdict = verdict.and(told);
    }
    if args.then.json {
        out.json(&Told { requests: &requests, messages: letters.iter().map(dead::Told::of).collect() })?;
    } else {
        say(&requests, "is to be tried again", out)?;
        letters.iter().try_for_each(|letter| out.say(&stands(letter)))?;
    }
    verdict
}

/// What was named, each once.
fn once<T: Clone + PartialEq>(named: &[T]) -> Vec<T> {
    let mut found: Vec<T> = Vec::new();
    for one in named {
        if !found.contains(one) {
            found.push(one.clone());
        }
    }
    found
}

/// That all of it can be tried again: nothing is changed before that is known.
async fn check(requests: &[RequestId], messages: &[i64], journal: &Journal) -> Result<(), Failure> {
    for id in requests {
        let request = whole(journal, id).await?;
        next(request.state, Event::Retried).map_err(JournalError::from)?;
    }
    for message in messages {
        if journal.letter(*message).await?.is_cut() {
            return Err(JournalError::Cut(*message).into());
        }
    }
    Ok(())
}

/// How a message stands, for people.
fn stands(letter: &Letter) -> String {
    let n = letter.n;
    match &letter.became {
        _ if letter.wanted => format!("message {n} is to be tried again"),
        Some(request) => format!("message {n} is request {request}"),
        None => format!("message {n} was read again, and still can't be understood"),
    }
}

pub(super) async fn cancel(args: &Cancel, journal: &Journal, out: &Out) -> Result<(), Failure> {
    // Whoever said once that they go too need not say it again.
    let change = Change { with_dependencies: args.with_dependencies.then_some(true), ..by_hand() };
    journal.apply(&args.request, Event::CancelAsked, change).await?;
    let mut requests = vec![whole(journal, &args.request).await?];
    let verdict = args.then.wait_for(journal, &mut requests, State::Cancelled, args.then.end()).await?;
    if args.then.json {
        out.json(&Told { requests: &requests, messages: Vec::new() })?;
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
    Change { by: Some(local_user()), why: Some(BY_HAND.to_owned()), ..Change::default() }
}

fn local_user() -> String {
    format!("local user {}", rustix::process::getuid().as_raw())
}

impl Then {
    /// Until when to wait, if that was asked for.
    fn end(&self) -> Option<Instant> {
        self.wait.map(|seconds| Instant::now() + Duration::from_secs(seconds))
    }

    /// Waits for the requests' ends, if that was asked for, and judges them.
    async fn wait_for(
        &self,
        journal: &Journal,
        requests: &mut [Request],
        good: State,
        end: Option<Instant>,
    ) -> Result<Result<(), Failure>, Failure> {
        let Some(end) = end else { return Ok(Ok(())) };
        for request in requests.iter_mut() {
            match tokio::time::timeout_at(end, ended(journal, &request.id)).await {
                Ok(ended) => *request = ended?,
                Err(_) => return Ok(Err(self.late(&format!("request {} has not ended", request.id)))),
            }
        }
        let bad = requests.iter().find(|request| request.state != good);
        Ok(bad.map_or(Ok(()), |request| {
            let why = request.error.clone().unwrap_or_default();
            Err(Failure::new(Kind::NotGreen, format!("request {} is {}: {why}", request.id, request.state)))
        }))
    }

    /// Waits until a message was read once more, if that was asked for, and judges what came of it.
    async fn wait_for_letter(
        &self,
        journal: &Journal,
        n: i64,
        end: Option<Instant>,
    ) -> Result<(Letter, Result<(), Failure>), Failure> {
        loop {
            let letter = journal.letter(n).await?;
            let Some(end) = end else { return Ok((letter, Ok(()))) };
            if !letter.wanted {
                let verdict = match &letter.became {
                    Some(_) => Ok(()),
                    None => {
                        let why = &letter.message.reason;
                        Err(Failure::new(Kind::NotGreen, format!("message {n} can't be understood: {why}")))
                    }
                };
                return Ok((letter, verdict));
            }
            if Instant::now() >= end {
                return Ok((letter, Err(self.late(&format!("message {n} was not read")))));
            }
            // Nobody is woken by what a service does with it.
            tokio::time::sleep_until(end.min(Instant::now() + LOOK)).await;
        }
    }

    fn late(&self, what: &str) -> Failure {
        let failure = Failure::other(format!("{what} in {} s", self.wait.unwrap_or_default()));
        failure.note("it may be", "that no service keeps this journal now")
    }
}

async fn whole(journal: &Journal, id: &RequestId) -> Result<Request, JournalError> {
    journal.get(id).await?.ok_or_else(|| JournalError::Unknown(id.clone()))
}

async fn ended(journal: &Journal, id: &RequestId) -> Result<Request, Failure> {
    let mut steps = journal.subscribe();
    loop {
        steps.mark_unchanged();
        let request = whole(journal, id).await?;
        if request.state.is_terminal() {
            return Ok(request);
        }
        // The journal is open as long as this is.
        let _ = steps.changed().await;
    }
}
