//! One asking of an action: what was asked, and the way from there to a plan.

use serde_json::Value;
use taskgraft_core::action::deed::Deeds;
use taskgraft_core::action::reserved::{self, Reserved};
use taskgraft_core::action::{self, Action, Origin};
use taskgraft_core::ids::derive::BodyHash;
use taskgraft_core::ids::{RequestId, RequestKey, TaskId};
use taskgraft_core::json::to_string_sorted;
use taskgraft_core::plan::{Plan, Policy, Purpose, Refusal, Request, Round, Told, clone_of};
use taskgraft_core::scopes::satisfies;

use super::ask::ActionAsk;
use super::error::ActionError;
use super::first;
use super::gather::{Asked, Gathered, gather};
use super::perform::Terms;
use super::run::{Keep, Means, OwnTask, admit, bound, still_right};
use super::tend::{Tending, look};
use super::words::say_earlier;
use crate::authority::{self, AuthorityError};
use crate::planner::{EarlierWork, PlannerError, earlier_work, first_facts, plan_knowing};
use crate::push::{Push, PushError};
use crate::recheck::{existing, is_open};
use crate::reference;

/// An action that is asked for.
pub(super) struct Asking<'a> {
    means: &'a Means,
    terms: &'a Terms,
    action: &'static Action,
    group: TaskId,
    task: Option<TaskId>,
    /// Validated, its defaults filled in; under the reference's rules as it came.
    input: Value,
    reserved: Option<Reserved>,
    /// Whether the key is one that may stand for something else.
    open: bool,
    /// Everything of the request is derived from it.
    id: RequestId,
    own: Option<OwnTask>,
}

impl<'a> Asking<'a> {
    /// What was asked, understood.
    ///
    /// # Errors
    /// An action that there is none of, or an input that it doesn't take.
    pub(super) fn new(
        means: &'a Means,
        ask: &ActionAsk,
        terms: &'a Terms,
        own: Option<OwnTask>,
    ) -> Result<Self, ActionError> {
        // The reference knows only its own, and its rules don't check inputs.
        let is_known = |action: &&Action| terms.policy == Policy::Graft || action.origin == Origin::Reference;
        let action = action::by_callback(&ask.callback).filter(is_known);
        let action = action.ok_or_else(|| ActionError::UnknownAction(ask.callback.clone()))?;
        let (input, reserved) = reserved::split_off(ask.input.clone())?;
        let open = match &reserved {
            Some(reserved) => !reserved.is_sealed(ask.task, &input)?,
            None => false,
        };
        let input = match terms.policy {
            Policy::Graft => action.input(input)?,
            Policy::Reference => input,
        };
        let id = match &reserved {
            Some(reserved) => {
                keyed(own.as_ref().and_then(|own| asker(&own.task.extra)), ask.group, action, &reserved.key)
            }
            None => terms.request.clone(),
        };
        Ok(Self { means, terms, action, group: ask.group, task: ask.task, input, reserved, open, id, own })
    }

    /// Checks that what the request's key stands for is this.
    ///
    /// # Errors
    /// If an earlier action task carries it and was told something else, or that can't be looked up.
    pub(super) async fn key_is_ours(&self) -> Result<(), ActionError> {
        let (Some(reserved), Some(own), true) = (&self.reserved, &self.own, self.open) else { return Ok(()) };
        let carried = |extra: &Value, ask: ActionAsk| {
            let action = action::by_callback(&ask.callback)?;
            let key = reserved::key_of(&ask.input)?;
            let is_ours = keyed(asker(extra), ask.group, action, key) == self.id;
            is_ours.then(|| self.is_told(action, ask))
        };
        match first::before(&self.means.client, self.group, own.run.task, carried).await? {
            Some((task, false)) => Err(ActionError::OtherInput { key: reserved.key.clone(), task }),
            Some((_, true)) | None => Ok(()),
        }
    }

    /// Whether that is the same as what was asked.
    fn is_told(&self, action: &Action, ask: ActionAsk) -> bool {
        let Ok((input, _)) = reserved::split_off(ask.input) else { return false };
        let input = match self.terms.policy {
            Policy::Graft => action.input(input).ok(),
            Policy::Reference => Some(input),
        };
        ask.task == self.task && input.is_some_and(|input| input == self.input)
    }

    /// What of the action's role an action task must hold.
    pub(super) fn permission(&self) -> &'static str {
        self.action.permission
    }

    fn told(&self) -> Told {
        let input = BodyHash::of(to_string_sorted(&self.input).as_bytes());
        Told { action: self.action.cb_name.to_owned(), task: self.task, input }
    }

    /// The plan that an earlier try of this left, if it may still be finished.
    ///
    /// # Errors
    /// If it is for something else, or the facts have moved.
    pub(super) async fn taken_up(&self, keep: &Keep, log: &mut impl FnMut(&str)) -> Result<Option<Plan>, ActionError> {
        let Some(plan) = keep.taken_up(self.means, &self.id).await? else { return Ok(None) };
        let is_ours = plan.request.id == self.id && plan.request.told.as_ref() == Some(&self.told());
        if !is_ours || plan.policy != self.terms.policy {
            return Err(ActionError::OtherRequest(plan.request.id));
        }
        if plan.policy == Policy::Graft {
            // Whoever may write the run's artifacts could have left a plan for anywhere.
            let push = Push::ground(&self.means.client, &self.means.artifacts(), self.group).await?;
            self.may_act(&push)?;
            if (plan.request.decision, plan.request.group) != (push.decision, push.group) {
                return Err(ActionError::OtherRequest(plan.request.id));
            }
        }
        say_earlier(&plan, &self.means.client, log);
        for part in plan.clone().parts() {
            // What is no addition was decided for good: a clone is of what was there.
            if part.request.rounds().is_empty() || !is_open(&part, &existing(&self.means.client, &part).await?) {
                continue;
            }
            let push = match (part.request.decision, self.terms.policy) {
                (Some(decision), Policy::Graft) => self.configured(self.load(decision).await?)?,
                (_, _) => self.push(None).await?,
            };
            still_right(self.means, &push, &part).await?;
        }
        Ok(Some(plan))
    }

    async fn load(&self, decision: TaskId) -> Result<Push, ActionError> {
        Ok(Push::load(&self.means.client, &self.means.artifacts(), decision).await?)
    }

    /// The push that the action was asked for, once it is known that this task may act there. Its graph is read only if
    /// the action needs that. Under the reference's rules `permission` is the one whose role the task must hold.
    ///
    /// # Errors
    /// If something can't be had, or doesn't belong together.
    pub(super) async fn push(&self, permission: Option<&str>) -> Result<Push, ActionError> {
        let (client, artifacts) = (&self.means.client, self.means.artifacts());
        match self.terms.policy {
            Policy::Graft => {
                let push = if self.action.needs.graph {
                    self.load(self.group).await?
                } else {
                    Push::ground(client, &artifacts, self.group).await?
                };
                self.may_act(&push)?;
                self.configured(push)
            }
            Policy::Reference => {
                let domain = self.trust_domain().await?;
                let push = if self.action.needs.graph {
                    reference::load(client, &artifacts, self.group, &domain, permission).await?
                } else {
                    reference::ground(client, &artifacts, self.group, &domain, permission).await?
                };
                Ok(push)
            }
        }
    }

    /// With what the checkout says, which must be of the same project.
    fn configured(&self, push: Push) -> Result<Push, ActionError> {
        Ok(match &self.terms.project {
            Some(project) => push.of_project(project)?,
            None => push,
        })
    }

    /// The checkout's; without one, what the decision task's schedulerId says.
    async fn trust_domain(&self) -> Result<String, ActionError> {
        if let Some(project) = &self.terms.project {
            return Ok(project.trust_domain.clone());
        }
        let scheduler = self.means.client.queue().task(self.group).await.map_err(PushError::Client)?.scheduler_id;
        match authority::trust_domain(&scheduler) {
            Some((domain, _)) => Ok(domain.to_owned()),
            None => Err(AuthorityError::Scheduler { decision: self.group, scheduler }.into()),
        }
    }

    /// The action task must be of the group that it acts on, and of its repository. For an action that not everybody may
    /// run it must hold the role of that action, as the reference has it.
    fn may_act(&self, push: &Push) -> Result<(), ActionError> {
        let Some(own) = &self.own else { return Ok(()) };
        authority::check_action(own.run.task, &own.task, self.group, &push.parameters)?;
        if self.action.permission == action::GENERIC {
            return Ok(());
        }
        let wanted = authority::action_roles(&push.parameters, self.action.permission)?;
        if wanted.iter().any(|role| satisfies(&own.task.scopes, role)) {
            return Ok(());
        }
        Err(AuthorityError::Role(wanted).into())
    }

    /// The action task must be of the repository that another push, which jobs are to join, was pushed to.
    fn may_act_elsewhere(&self, push: &Push) -> Result<(), AuthorityError> {
        let Some(own) = self.own.as_ref().filter(|_| self.terms.policy == Policy::Graft) else { return Ok(()) };
        authority::check_head(own.run.task, &own.task.scopes, &push.parameters)
    }

    /// What is to be done, all of which can be had and may be done.
    ///
    /// # Errors
    /// If the action decides that nothing will be done, there is no plan, or it is another than the one that was shown.
    pub(super) async fn plan(&self, push: &Push, log: &mut impl FnMut(&str)) -> Result<Plan, ActionError> {
        let (plan, tending) = self.decided(push, log).await?;
        if let Some(reserved) = &self.reserved {
            reserved.agrees(&plan.outline()).map_err(|strayed| match unroutable(&plan) {
                none if none.is_empty() => ActionError::Strayed(strayed),
                // Whoever was shown the plan has a checkout, and it is not here: no fact has moved.
                labels => ActionError::Refused(labels),
            })?;
        }
        admit(self.means, &plan, self.terms.max_new).await?;
        if self.terms.policy == Policy::Graft {
            tending.admit(&self.means.client).await?;
        }
        Ok(plan)
    }

    /// The same without asking whether that may be done.
    ///
    /// # Errors
    /// As [`Asking::plan`].
    pub(super) async fn rehearsed(&self, push: &Push, log: &mut impl FnMut(&str)) -> Result<Plan, ActionError> {
        Ok(self.decided(push, log).await?.0)
    }

    async fn decided(&self, push: &Push, log: &mut impl FnMut(&str)) -> Result<(Plan, Tending), ActionError> {
        let (client, policy) = (&self.means.client, self.terms.policy);
        let known = if self.action.needs.graph {
            earlier_work(&self.means.lookups(), push, self.terms.action_task, policy).await?
        } else {
            EarlierWork::default()
        };
        let asked = Asked { needs: self.action.needs, task: self.task, input: &self.input };
        let gathered = gather(client, &self.means.artifacts(), push, asked).await?;
        let deeds = (self.action.decide)(&gathered.view(policy, self.group, push, &known.sources), &self.input)?;
        for line in &deeds.notes {
            log(line);
        }
        for notice in &known.notices {
            log(&format!("warning: {notice}"));
        }
        bound(asked_for(&deeds), self.terms.max_new)?;
        let tending = look(client, policy, &deeds, self.group, self.terms.action_task).await?;
        for line in &tending.notes {
            log(line);
        }
        let mut plan = self.made(push, &deeds, &gathered, known).await?;
        plan.tend.clone_from(&tending.tend);
        plan.elsewhere = self.elsewhere(&deeds, &gathered, log).await?;
        Ok((plan, tending))
    }

    /// The plans of what is created on other pushes. One that can't be had is told, and stops the others only if there are
    /// none.
    async fn elsewhere(
        &self,
        deeds: &Deeds,
        gathered: &Gathered,
        log: &mut impl FnMut(&str),
    ) -> Result<Vec<Plan>, ActionError> {
        let mut plans = Vec::new();
        let mut left_out = Vec::new();
        for elsewhere in &deeds.elsewhere {
            let Some(push) = gathered.pushes.get(&elsewhere.decision) else { continue };
            if let Err(why) = self.may_act_elsewhere(push) {
                log(&format!("nothing is made on the push of {}: failed to {why}", elsewhere.decision));
                left_out.push((elsewhere.decision.to_string(), why.to_string()));
                continue;
            }
            let why = match self.made_elsewhere(push, &elsewhere.rounds).await {
                Ok(plan) => {
                    let refused = plan.words(self.means.client.clock().now()).refused;
                    let Some(refused) = refused.into_iter().next() else {
                        plans.push(plan);
                        continue;
                    };
                    format!("{}: {}", refused.label, refused.why)
                }
                Err(error) if error.is_of_the_push() => error.to_string(),
                Err(error) => return Err(error.into()),
            };
            log(&format!("nothing is made on the push of {}: {why}", elsewhere.decision));
            left_out.push((elsewhere.decision.to_string(), why));
        }
        if plans.is_empty() && deeds.rounds.is_empty() && !left_out.is_empty() {
            return Err(ActionError::Refused(left_out));
        }
        Ok(plans)
    }

    /// The plan of what is created on the push itself.
    async fn made(
        &self,
        push: &Push,
        deeds: &Deeds,
        gathered: &Gathered,
        known: EarlierWork,
    ) -> Result<Plan, ActionError> {
        let (lookups, policy) = (self.means.lookups(), self.terms.policy);
        let mut request = self.request(self.id.clone(), push);
        if let (Some(of), Some(definition)) = (deeds.clone, gathered.definition()) {
            request.purpose = Purpose::Clone { of };
            if policy == Policy::Reference {
                // It makes the clone in whatever group the task is.
                request.group = definition.get("taskGroupId").and_then(Value::as_str).and_then(|id| id.parse().ok());
            }
            let facts = first_facts(&lookups, push, policy);
            return Ok(clone_of(&request, definition, &facts, policy).map_err(PlannerError::Plan)?);
        }
        request = request.in_rounds(deeds.rounds.clone(), deeds.numbered);
        if deeds.rounds.is_empty() {
            return Ok(Plan::bare(&request, &first_facts(&lookups, push, policy), policy));
        }
        Ok(plan_knowing(&lookups, push, &request, policy, Some(known)).await?.plan)
    }

    async fn made_elsewhere(&self, push: &Push, rounds: &[Round]) -> Result<Plan, PlannerError> {
        let key = RequestKey::Part { request: self.id.clone(), group: push.group.unwrap_or(self.group) };
        let request = self.request(key.id(), push).in_rounds(rounds.to_vec(), Default::default());
        Ok(plan_knowing(&self.means.lookups(), push, &request, self.terms.policy, None).await?.plan)
    }

    fn request(&self, id: RequestId, push: &Push) -> Request {
        let request = Request::add(id, push.decision, push.group, &[]);
        Request { action_task: self.terms.action_task, told: Some(self.told()), ..request }
    }
}

/// The labels that can't be had because an index task would have to take some of their routes, with that reason.
fn unroutable(plan: &Plan) -> Vec<(String, String)> {
    let refused = plan.refused().filter(|(_, why)| matches!(why, Refusal::TooManyRoutes { .. }));
    let told = |why: &Refusal| format!("{why}; an index task needs the project's checkout, which is not here");
    refused.map(|(label, why)| (label.to_owned(), told(why))).collect()
}

/// How many new tasks the deeds come to at least.
fn asked_for(deeds: &Deeds) -> u64 {
    let rounds = deeds.rounds.iter().chain(deeds.elsewhere.iter().flat_map(|elsewhere| &elsewhere.rounds));
    rounds.map(|round| (round.labels.len() as u64).saturating_mul(round.times.into())).fold(0, u64::saturating_add)
}

/// Who asked for an action, as its action task's `extra` says.
fn asker(extra: &Value) -> Option<&str> {
    extra.pointer("/action/context/clientId").and_then(Value::as_str)
}

/// The id of a request that has a key.
fn keyed(asker: Option<&str>, group: TaskId, action: &Action, key: &str) -> RequestId {
    let (client_id, action) = (asker.unwrap_or_default().to_owned(), action.name.to_owned());
    RequestKey::Requester { client_id, group, action, key: key.to_owned() }.id()
}
