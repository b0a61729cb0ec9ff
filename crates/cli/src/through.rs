//! Going through a push's own action: asking for it, following the action task to its end, and telling what came of it.

use serde::Serialize;
use taskgraft_client::Client;
use taskgraft_core::action::catalog::ChooseError;
use taskgraft_core::ids::TaskId;
use taskgraft_core::plan::{Care, Plan};
use taskgraft_core::report::{Report, TendOutcome};
use taskgraft_engine::action::ActionReport;
use taskgraft_engine::trigger::{
    self, FindError, Left, LeftError, Offer, Outcome, PrepareError, Prepared, RightsError, SendError, Sent,
};
use taskgraft_engine::{Artifacts, End, FetchError, Followed, PlansError};

use crate::asking;
use crate::connect;
use crate::creating::{self, After};
use crate::env::Env;
use crate::exit::{Failure, Kind, NOTHING};
use crate::follow::{self, Ended};
use crate::offer;
use crate::output::{self, Out};
use crate::progress::Progress;
use crate::signals::Stop;

/// An action on its way.
pub(crate) struct Through<'a> {
    pub(crate) client: &'a Client,
    pub(crate) artifacts: &'a Artifacts,
    pub(crate) offer: &'a Offer,
    pub(crate) env: &'a Env,
    pub(crate) out: &'a Out,
}

/// All of it, as data.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Told<'a> {
    action: &'a str,
    action_task: TaskId,
    /// The requester's name for the request.
    key: &'a str,
    /// It was made by an earlier try with the same key.
    found: bool,
    /// What the action task says that it did, where it was followed and is taskgraft's.
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<&'a ActionReport>,
    /// How the jobs ended, where they were followed.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<Vec<Ended>>,
}

impl Through<'_> {
    /// Fails if the push may not have it done, or the credentials may not ask for it: with all that is missing.
    pub(crate) async fn allowed(&self, prepared: &Prepared) -> Result<(), Failure> {
        match trigger::check(self.client, self.offer, prepared).await {
            Ok(()) => Ok(()),
            Err(RightsError::Asker(scopes)) => {
                let who = connect::who(self.env);
                let text = format!("these credentials ({who}) can't ask for the action `{}`", prepared.action);
                let failure = Failure::new(Kind::NoRights, text).notes("missing", scopes.iter().cloned());
                Err(offer::granted(self.client, failure, scopes.iter().map(String::as_str)).await.closing(NOTHING))
            }
            Err(error @ RightsError::Push { .. }) => Err(Failure::mistake(format!("failed to {error}"))
                .note(
                    "it means",
                    "the push names a hook that it may not name: whoever made it can't be trusted with it",
                )
                .closing(NOTHING)),
            Err(RightsError::Prepare(error)) => Err(error.into()),
            Err(RightsError::Client(error)) => Err(Failure::from(error).closing(NOTHING)),
        }
    }

    /// What came of an earlier try under the same name, unless that has failed.
    pub(crate) async fn asked_before(&self, prepared: &Prepared) -> Result<Option<Sent>, Failure> {
        let earlier = trigger::earlier(self.client, self.offer, prepared).await;
        let earlier = earlier.map_err(|error| self.unsent(error, prepared))?;
        if let Some(sent) = earlier {
            self.out.note(&format!("request {} was asked for before: action task {}", prepared.key, sent.task()));
        }
        Ok(earlier)
    }

    /// Asks for the action.
    pub(crate) async fn send(&self, prepared: &Prepared) -> Result<Sent, Failure> {
        let sent = trigger::send(self.client, self.offer, prepared).await;
        let sent = sent.map_err(|error| self.unsent(error, prepared))?;
        self.out.note(&format!("request {}: action task {}", prepared.key, sent.task()));
        Ok(sent)
    }

    pub(crate) fn unsent(&self, error: SendError, prepared: &Prepared) -> Failure {
        let message = format!("failed to {error}");
        match error {
            SendError::Unclear(_) | SendError::Lost(_) => {
                let failure = Failure::new(Kind::HalfWay, message)
                    .note("it may exist", format!("taskgraft group {}", self.offer.group));
                if prepared.settles() {
                    failure.note("go on", format!("the same command with --request-id {} does it once", prepared.key))
                } else {
                    failure.note("or not", "then the same command asks for it; if it exists, that does it twice")
                }
            }
            SendError::Refused(error) => {
                let missing = error.is_not_found();
                let failure = Failure::from(error).closing(NOTHING);
                if missing { failure.note("it means", "the push names a hook that is not there") } else { failure }
            }
            SendError::Unsearched(FindError::Client(error)) => Failure::from(error).closing(NOTHING),
            SendError::Unsearched(FindError::Large(_)) => Failure::mistake(message)
                .note("use", "no --request-id, if nobody has asked for this before")
                .closing(NOTHING),
            SendError::Prepare(error) => error.into(),
            SendError::OtherRequest { .. } => {
                Failure::mistake(message).note("use", "another --request-id").closing(NOTHING)
            }
            SendError::Nothing | SendError::NoFreeId => Failure::other(message).closing(NOTHING),
            SendError::Proxy => Failure::mistake(message).closing(NOTHING),
        }
    }

    /// Follows the action task to its end, and its jobs as well if that was asked for; tells what came of it.
    pub(crate) async fn follow(&self, prepared: &Prepared, sent: Sent, after: After) -> Result<(), Failure> {
        let task = sent.task();
        let mut stop = Stop::listen()?;
        let action = [Followed { label: prepared.action.clone(), id: task }];
        let progress = Progress::new(self.out, 1);
        let ends = tokio::select! {
            ends = follow::follow(self.client, &action, &progress) => ends?,
            () = stop.asked() => return Err(creating::left_alone(self.offer.group)),
        };
        drop(progress);
        let left = Left::of(self.client, self.artifacts, task).await?;
        let mut verdict = self.judge(task, ends.first().copied(), &left).await;
        if prepared.carries_key && prepared.ours {
            let again =
                format!("the same command with --request-id {} does what is missing, nothing twice", prepared.key);
            verdict = verdict.map_err(|failure| failure.note("ask again", again));
        }
        if let Some(report) = &left.report {
            self.keep(task, report).await?;
            for request in report.requests.iter().filter(|_| !after.json) {
                self.say(task, request)?;
            }
        } else if verdict.is_ok() && !after.json {
            self.out.say(&format!("the action task made {} jobs", left.jobs.len()))?;
        }
        let mut ended = None;
        if after.wait && verdict.is_ok() && !left.jobs.is_empty() {
            let progress = Progress::new(self.out, left.jobs.len());
            let ends = tokio::select! {
                ends = follow::follow(self.client, &left.jobs, &progress) => ends?,
                () = stop.asked() => return Err(creating::left_alone(self.offer.group)),
            };
            drop(progress);
            verdict = follow::judge(&left.jobs, &ends);
            ended = Some(Ended::of(&left.jobs, &ends));
            if !after.json && verdict.is_ok() {
                self.out.say(&format!("followed to green: {0} of {0}", left.jobs.len()))?;
            }
        }
        if after.json {
            self.out.json(&told(prepared, sent, left.report.as_ref(), ended))?;
        }
        verdict
    }

    /// Tells only that it was asked for.
    pub(crate) fn tell(&self, prepared: &Prepared, sent: Sent, json: bool) -> Result<(), Failure> {
        if json {
            return Ok(self.out.json(&told(prepared, sent, None, None))?);
        }
        let task = sent.task();
        Ok(self.out.say(&format!("`{}` is asked for: taskgraft task {task} --log --follow", prepared.action))?)
    }

    /// What a request made, ran again and cancelled.
    fn say(&self, task: TaskId, request: &Report) -> Result<(), Failure> {
        if !request.tasks.is_empty() {
            self.out.say(&creating::summary(request, ""))?;
        } else if request.tended.is_empty() {
            self.out.say(&format!("nothing was to be done; why: taskgraft task {task} --log"))?;
        }
        for (care, words) in [(Care::Rerun, "run again"), (Care::Cancel, "cancelled")] {
            let tended = request.tended.iter().filter(|tend| tend.care == care && tend.outcome == TendOutcome::Done);
            let names: Vec<String> = tended.map(trigger::name).collect();
            if let Some(names) = output::repeated(names.iter().map(String::as_str)) {
                self.out.say(&format!("{words}: {names}"))?;
            }
        }
        Ok(())
    }

    /// What is to be said if the action task did not do what it was asked for.
    pub(crate) async fn judge(&self, task: TaskId, end: Option<End>, left: &Left) -> Result<(), Failure> {
        let look = format!("taskgraft task {task} --log");
        match left.outcome(end) {
            Outcome::Good => Ok(()),
            Outcome::Fell(request) => {
                creating::judge_outcome(request).map_err(|failure| failure.note("look at it", look))
            }
            Outcome::NotGreen(end) => {
                let (lines, moved) = trigger::last_lines(self.artifacts, task).await;
                let state = end.map_or("unresolved", End::as_str);
                let failure = if moved {
                    let text = "the facts have moved since the plan was shown: the action task made nothing";
                    Failure::new(Kind::Moved, text)
                } else {
                    Failure::new(Kind::NotGreen, format!("the action task is {state}"))
                };
                Err(failure.notes("its log", lines).note("look at it", look))
            }
        }
    }

    /// Keeps what the action task planned and did, so that `cancel` knows the request.
    async fn keep(&self, task: TaskId, report: &ActionReport) -> Result<(), Failure> {
        let plan = trigger::left(self.artifacts, task, "public/plan.json").await.ok().flatten();
        let plan = plan.and_then(|text| Plan::read(&text).ok());
        if let (Some(plan), [request]) = (plan, report.requests.as_slice())
            && plan.request.id == request.request
        {
            let plans = asking::plans(self.env)?;
            match plans.save(&plan) {
                // An earlier action task of this name left a plan that names that one, and makes the same.
                Ok(_) | Err(PlansError::OtherRequest(_)) => plans.note(request)?,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

fn told<'a>(
    prepared: &'a Prepared,
    sent: Sent,
    report: Option<&'a ActionReport>,
    ended: Option<Vec<Ended>>,
) -> Told<'a> {
    let found = matches!(sent, Sent::Found(_));
    Told { action: &prepared.action, action_task: sent.task(), key: &prepared.key, found, report, ended }
}

impl From<FetchError> for Failure {
    fn from(error: FetchError) -> Self {
        Self::other(format!("failed to {error}"))
    }
}

impl From<LeftError> for Failure {
    fn from(error: LeftError) -> Self {
        match error {
            LeftError::Fetch(error) => error.into(),
            LeftError::Client(error) => error.into(),
        }
    }
}

impl From<PrepareError> for Failure {
    fn from(error: PrepareError) -> Self {
        let message = format!("failed to {error}");
        match error {
            PrepareError::Client(error) => error.into(),
            PrepareError::Choose(ChooseError::Unknown { nearest, .. }) => {
                Self::mistake(message).notes("did you mean", nearest)
            }
            PrepareError::Choose(ChooseError::NoTask(_)) => Self::mistake(message).note("name it", "--task-id"),
            PrepareError::Choose(ChooseError::Group(_)) => Self::mistake(message).note("leave out", "--task-id"),
            PrepareError::Choose(ChooseError::OtherTasks(_))
            | PrepareError::Elsewhere { .. }
            | PrepareError::Input(_)
            | PrepareError::NoInput(_)
            | PrepareError::Reserved
            | PrepareError::Key(_)
            | PrepareError::Long(..)
            | PrepareError::Twice(_)
            | PrepareError::Render { .. }
            | PrepareError::Mustache(_) => Self::mistake(message),
        }
        .closing(NOTHING)
    }
}
