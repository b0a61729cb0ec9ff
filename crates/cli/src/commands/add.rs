//! `taskgraft add`.

use std::collections::BTreeSet;

use taskgraft_client::Client;
use taskgraft_core::frontier::{Frontier, Limits};
use taskgraft_core::plan::{MAX_NEW, Moved, Plan, Policy, Purpose, Refusal, Request, Role, moved};
use taskgraft_engine::trigger::{Ask, Offer, Prepared};
use taskgraft_engine::{Artifacts, Lookups, Planned, Plans, PlansError, Push};

use crate::asking::{self, Wishes};
use crate::commands::resume;
use crate::creating::{self, After};
use crate::env::Env;
use crate::exit::{Failure, Kind, NOTHING};
use crate::offer;
use crate::output::{self, Out};
use crate::progress::Busy;
use crate::through::Through;
use crate::{connect, push};

/// What a plan says already.
const OF_THE_PLAN: [&str; 8] =
    ["labels", "decision_id", "request_id", "times", "partial", "rerun_failed", "policy", "root"];

/// Add jobs to a push: plan, show, ask, create
///
/// It goes through the push's own action `add-new-jobs` where there is one, which takes only the right to trigger it:
/// the action task makes the same plan, and creates the jobs if the facts are still the same. With --direct, or where
/// the push publishes no such action, the jobs are created with your own credentials.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true).multiple(true).args(["labels", "plan"]))]
#[command(
    override_usage = "taskgraft add [OPTIONS] --decision-id <PUSH> <LABEL>...\n       taskgraft add [OPTIONS] --plan <HASH>"
)]
#[command(after_help = "Examples:
  taskgraft add test-linux64-unit-3 'package-*' --decision-id lander@a1b2c3d
  taskgraft add test-unit-3 --times 5 --wait --decision-id TADoGLV5QUWAYivg1ReyTw
  taskgraft add --plan 3f9c81aa27d0 --yes
  taskgraft add test-unit-3 --partial --direct --decision-id lander@a1b2c3d
  taskgraft add test-unit-3 --decision-id lander@a1b2c3d --request-id nightly-42 --yes")]
pub(crate) struct Args {
    #[command(flatten)]
    wishes: Wishes,
    /// The push: its decision task's id, the URL of a task or group, or PROJECT@REVISION
    #[arg(long, value_name = "PUSH", required_unless_present = "plan")]
    decision_id: Option<String>,
    /// Create the plan that `taskgraft plan` has shown; the beginning of its hash is enough
    #[arg(long, value_name = "HASH", conflicts_with_all = OF_THE_PLAN)]
    plan: Option<String>,
    /// Create the jobs with your own credentials, not through the push's action
    #[arg(long)]
    direct: bool,
    /// The most tasks to create with your own credentials; the push's action has its own bound
    #[arg(long, value_name = "N", default_value_t = MAX_NEW)]
    max_new_tasks: usize,
    /// Don't ask
    #[arg(short, long)]
    yes: bool,
    /// Follow the new jobs to their end; exit code 6 if not all of them become green
    #[arg(long)]
    wait: bool,
    /// Name the request: the same name with the same labels creates nothing twice [default: $TASK_ID, else a fresh one]
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
    /// Print what became of it as JSON
    #[arg(long)]
    json: bool,
}

/// One request on its way from the question to its tasks.
struct Asker<'a> {
    client: Client,
    artifacts: Artifacts,
    plans: Plans,
    push: Push,
    request: Request,
    policy: Policy,
    /// The push's actions, where the jobs are added through one of them.
    offer: Option<Offer>,
    args: &'a Args,
    env: &'a Env,
    out: &'a Out,
}

pub(crate) async fn run(args: &Args, env: &Env, out: &Out) -> Result<(), Failure> {
    let client = connect::writer(env)?;
    let plans = asking::plans(env)?;
    let shown = args.plan.as_deref().map(|hash| plans.find(hash)).transpose()?;
    let busy = Busy::with(out, "reading the push");
    let (push, artifacts) = match (&shown, &args.decision_id) {
        (Some(plan), _) => push::of_plan(&client, env, plan).await?,
        (None, Some(decision)) => push::load(args.wishes.policy.into(), &client, env, decision).await?,
        (None, None) => return Err(Failure::mistake("which push? --decision-id was not given").closing(NOTHING)),
    };
    drop(busy);
    let push = match &shown {
        Some(plan) => Push { graph_config: plan.index_tasks.clone(), ..push },
        None => args.wishes.configured(push)?,
    };
    let (request, policy) = match &shown {
        Some(plan) => (plan.request.clone(), plan.policy),
        None => {
            let id = asking::request_id(args.request_id.as_deref(), env.task_id.as_deref())?;
            (args.wishes.request(&push, id)?, args.wishes.policy.into())
        }
    };
    let offer = if args.direct { None } else { offer::offer_to_add(&client, &artifacts, &push, out).await? };
    let asker = Asker { client, artifacts, plans, push, request, policy, offer, args, env, out };
    let after = After { wait: args.wait, json: args.json };
    if let Some(plan) = asker.begun()? {
        out.note(&format!("request {} was begun before: finishing it", plan.request.id));
        return resume::finish(&asker.client, &asker.plans, plan, after, env, out).await;
    }
    if let Some(plan) = asker.offered()? {
        return resume::finish(&asker.client, &asker.plans, plan, after, env, out).await;
    }
    if let Some(through) = asker.through() {
        return asker.have_added(&through, shown, after).await;
    }
    let plan = asker.settle(shown).await?;
    let frontier = Frontier::new(plan, Limits::default())
        .map_err(|why| Failure::mistake(format!("failed to carry out the plan: {why}")).closing(NOTHING))?;
    asker.plans.save(frontier.plan())?;
    asker.plans.note(&frontier.report())?;
    out.note(&format!("request {}", frontier.plan().request.id));
    creating::carry_out(&asker.client, &asker.plans, frontier, after, out).await
}

impl Asker<'_> {
    /// The plan of an earlier try of this very request.
    fn begun(&self) -> Result<Option<Plan>, Failure> {
        let id = &self.request.id;
        match self.plans.begun(id)? {
            Some(plan) if plan.request != self.request => Err(PlansError::OtherRequest(id.clone()).into()),
            plan => Ok(plan),
        }
    }

    /// An unfinished request for the same push, if somebody wants to finish that one first.
    fn offered(&self) -> Result<Option<Plan>, Failure> {
        let Some(group) = self.push.group else { return Ok(None) };
        for plan in self.plans.unfinished(group)? {
            let (id, labels) = (&plan.request.id, plan.request.labels.join(" "));
            self.out.note(&format!("request {id} for this push stopped half way: {labels}"));
            if self.args.yes || !self.out.interactive() {
                self.out.note(&format!("  finish it with: taskgraft resume {id}"));
            } else if self.out.ask("Finish that one instead?")? {
                return Ok(Some(plan));
            }
        }
        Ok(None)
    }

    /// How the push is asked, where it is asked to add the jobs itself.
    fn through(&self) -> Option<Through<'_>> {
        let (client, artifacts, env, out) = (&self.client, &self.artifacts, self.env, self.out);
        self.offer.as_ref().map(|offer| Through { client, artifacts, offer, env, out })
    }

    /// Whether an earlier try may have used the request's id.
    fn may_be_known(&self) -> bool {
        self.args.plan.is_some() || self.args.request_id.is_some() || self.env.task_id.is_some()
    }

    /// Fails if the request asks for something that the push's action has no words for.
    fn can_be_said(&self) -> Result<(), Failure> {
        let asks = [
            (self.request.partial, "--partial"),
            (self.request.rerun_failed, "--rerun-failed"),
            (self.policy == Policy::Reference, "--policy reference"),
        ];
        let Some((_, option)) = asks.into_iter().find(|(asked, _)| *asked) else { return Ok(()) };
        Err(Failure::mistake(format!("the push's action can't be told {option}"))
            .note("say", "--direct")
            .closing(NOTHING))
    }

    /// Has the push's own action add the jobs, and follows that to its end.
    async fn have_added(&self, through: &Through<'_>, shown: Option<Plan>, after: After) -> Result<(), Failure> {
        self.can_be_said()?;
        if self.may_be_known() {
            let prepared = self.prepare(through, None).await?;
            if let Some(sent) = through.asked_before(&prepared).await? {
                return through.follow(&prepared, sent, after).await;
            }
        }
        let plan = self.settle(shown).await?;
        let prepared = self.prepare(through, Some(&plan)).await?;
        let sent = through.send(&prepared).await?;
        through.follow(&prepared, sent, after).await
    }

    /// What the push's action is asked for, with the plan that was shown.
    async fn prepare(&self, through: &Through<'_>, plan: Option<&Plan>) -> Result<Prepared, Failure> {
        let ask = Ask {
            action: offer::ADD.to_owned(),
            subject: None,
            input: serde_json::json!({"tasks": self.request.labels, "times": times(&self.request)}),
            key: self.request.id.to_string(),
            undone: 0,
            fresh: !self.may_be_known(),
            shown: plan.map(Plan::outline),
        };
        Ok(Prepared::new(through.client, through.offer, ask).await?)
    }

    async fn check_rights(&self, plan: &Plan) -> Result<(), Failure> {
        match self.through() {
            Some(through) => {
                let allowed = through.allowed(&self.prepare(&through, Some(plan)).await?).await;
                allowed.map_err(|failure| failure.note("or create them", "with your own rights: --direct"))
            }
            None => asking::check_scopes(&self.client, &self.artifacts, &self.push, plan, self.env).await,
        }
    }

    async fn plan(&self) -> Result<Planned, Failure> {
        self.bound(self.request.asked())?;
        let _busy = Busy::with(self.out, "looking up what ran already");
        let lookups = Lookups::Online(self.client.clone(), self.artifacts.clone());
        asking::plan(&lookups, &self.push, &self.request, self.policy).await
    }

    /// The plan that is to be carried out: shown, allowed, agreed to, and still right after that.
    async fn settle(&self, shown: Option<Plan>) -> Result<Plan, Failure> {
        let mut planned = self.plan().await?;
        if let Some(shown) = shown {
            let moved = moved(&shown, &planned.plan, &BTreeSet::new());
            self.tell_moved(&moved, &planned)?;
        }
        loop {
            self.show(&planned)?;
            self.refuse(&planned.plan)?;
            if planned.plan.tasks.is_empty() {
                return Ok(planned.plan);
            }
            self.check_rights(&planned.plan).await?;
            if self.args.yes {
                return Ok(planned.plan);
            }
            self.agree(&planned.plan)?;
            let again = self.plan().await?;
            let moved = moved(&planned.plan, &again.plan, &BTreeSet::new());
            planned = again;
            if moved.is_empty() {
                return Ok(planned.plan);
            }
            self.tell_moved(&moved, &planned)?;
        }
    }

    /// Says which verdicts are others now; with `--yes` that is the end, since nobody has agreed to the new plan.
    fn tell_moved(&self, moved: &[Moved], planned: &Planned) -> Result<(), Failure> {
        if moved.is_empty() {
            return Ok(());
        }
        if self.args.yes {
            self.show(planned)?;
            return Err(asking::moved(moved, planned.plan.request.group, planned.facts.now)
                .note("create this one", format!("taskgraft add {} …", self.request.labels.join(" ")))
                .closing(NOTHING));
        }
        self.out.note("meanwhile the plan has become another one:");
        Ok(())
    }

    fn show(&self, planned: &Planned) -> Result<(), Failure> {
        let text = output::plan::text(&asking::heading(&self.push), &planned.plan, planned.facts.now, self.out);
        if self.args.json {
            self.out.note(&text)
        } else {
            self.out.say(&text)?
        }
        asking::tell_notices(planned, self.out);
        if self.offer.as_ref().is_some_and(|offer| !offer.catalog.is_ours()) {
            self.out.note("note: this is an estimate: the push's actions are not taskgraft's, and may do it otherwise");
        }
        if self.offer.is_some() && planned.plan.tasks.iter().any(|task| matches!(task.role, Role::Index { .. })) {
            self.out.note(
                "note: the push's action makes index tasks only where its worker has the project's checkout; with --direct \
                 they are made with your own credentials",
            );
        }
        Ok(())
    }

    /// Refuses more new tasks than one request may create.
    fn bound(&self, tasks: u64) -> Result<(), Failure> {
        let most = self.args.max_new_tasks;
        if self.offer.is_some() || tasks <= most as u64 {
            return Ok(());
        }
        Err(Failure::mistake(format!("{tasks} new tasks are more than {most}"))
            .note("allow more", format!("--max-new-tasks {tasks}"))
            .closing(NOTHING))
    }

    fn refuse(&self, plan: &Plan) -> Result<(), Failure> {
        self.bound(plan.tasks.len() as u64)?;
        let refused: Vec<String> = plan.refused().map(|(label, why)| format!("{label}: {why}")).collect();
        if refused.is_empty() || self.request.partial {
            return Ok(());
        }
        let routes = plan.refused().any(|(_, why)| matches!(why, Refusal::TooManyRoutes { .. }));
        let root = routes && self.push.graph_config.is_none();
        Err(Failure::mistake(format!("{} of the jobs can't be had", refused.len()))
            .notes("they", refused)
            .notes(
                "in a checkout",
                root.then(|| "--root taskcluster: an index task takes what the queue doesn't".into()),
            )
            .note("go on without", "--partial")
            .closing(NOTHING))
    }

    fn agree(&self, plan: &Plan) -> Result<(), Failure> {
        if !self.out.interactive() {
            return Err(Failure::mistake("nobody is there to be asked: this is no terminal")
                .note("say", "--yes")
                .closing(NOTHING));
        }
        let tasks = if plan.tasks.len() == 1 { "task" } else { "tasks" };
        if self.out.ask(&format!("Create {} {tasks}?", plan.tasks.len()))? {
            return Ok(());
        }
        Err(Failure::new(Kind::Other, "you said no").closing(NOTHING))
    }
}

/// How many copies of each label are wanted.
fn times(request: &Request) -> u32 {
    match &request.purpose {
        Purpose::Add { rounds, .. } => rounds.first().map_or(1, |round| round.times),
        Purpose::Clone { .. } | Purpose::Optimize { .. } => 1,
    }
}
