//! Messages gone through, recorded ones or those that come: what each asks for, whether it is let through, and what comes or would come of it.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Serialize, Serializer};
use taskgraft_core::pulse::Message;
use taskgraft_engine::action::Means;
use taskgraft_engine::{Artifacts, Push, Said};

use super::delivered::Delivered;
use super::intake::{Intake, Raw, Taken};
use super::policy::{self, Facts, Grant};
use super::rehearse::{jobs, rehearse, summary};
use super::resolver::{Found, ResolveError, Resolver};
use crate::asked::{Asked, PushName, Subject};
use crate::config::{Config, Project};
use crate::journal::{Journal, Received};

/// What is known of a line's message: always the same six fields.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Line {
    /// The line of the file, or which of the messages that came; from 1.
    pub line: u64,
    /// `add-new-jobs`, `push-action` or `job-action`; `unreadable` for what is no such message.
    pub kind: &'static str,
    /// What the message wants, whatever became of it; null for one that can't be read.
    pub asked: Option<Wanted>,
    /// What the policy says; null where none is configured, or there is nothing to judge.
    pub policy: Option<Judged>,
    /// What became of it.
    pub outcome: Outcome,
    /// Why, in a sentence.
    pub reason: Option<String>,
}

/// What a message wants, and who it says wants it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Wanted {
    /// Who asks.
    pub requester: String,
    /// For what.
    #[serde(flatten)]
    pub asked: Asked,
}

/// What the policy says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", rename_all = "lowercase")]
pub enum Judged {
    /// It is let through.
    Allowed {
        /// By which rule of the project, from 1.
        rule: usize,
        /// With which role.
        role: String,
    },
    /// It is not.
    Refused {
        /// Why not.
        why: String,
    },
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// It is no message that is known.
    Unreadable,
    /// It was understood, and there is no Taskcluster to look its push up on.
    Understood,
    /// Its push or job can't be found.
    Unresolved,
    /// It may not be done: by the policy, or since it is addressed to others than it speaks of.
    Refused,
    /// It can't be done on that push.
    Impossible,
    /// It could be done.
    Planned,
    /// It is in the journal now.
    Received,
    /// It was in the journal already.
    Known,
}

impl Outcome {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::Understood => "understood",
            Self::Unresolved => "unresolved",
            Self::Refused => "refused",
            Self::Impossible => "impossible",
            Self::Planned => "planned",
            Self::Received => "received",
            Self::Known => "known",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Outcome {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// Goes through messages.
pub struct Replay {
    intake: Intake,
    /// The projects that are configured; none where there is no configuration, and so no policy.
    projects: Option<BTreeMap<String, Project>>,
    then: Then,
}

/// What is done with a message that was understood.
pub enum Then {
    /// Nothing more.
    Nothing,
    /// Its push is looked up, and what would be done there is planned.
    Plan(Box<(Resolver, Means)>),
    /// It is written down, as if it had been delivered: whoever carries what the journal holds will do it.
    Receive(Journal),
}

/// How a message ended.
type End = (Outcome, Option<String>);

impl Replay {
    /// As configured.
    #[must_use]
    pub fn new(config: Option<Config>, then: Then) -> Self {
        let intake = config.as_ref().map(Intake::new).unwrap_or_default();
        Self { intake, projects: config.map(|config| config.project), then }
    }

    /// What there is to say about a line.
    pub async fn line(&self, line: u64, text: &[u8]) -> Line {
        match Delivered::read(text) {
            Ok(delivered) => self.delivered(line, &delivered).await,
            Err(why) => unreadable(line, why.to_owned()),
        }
    }

    /// What there is to say about a message; `line` is its number.
    pub async fn delivered(&self, line: u64, delivered: &Delivered<'_>) -> Line {
        let Delivered { exchange, routing_key, body } = delivered;
        let understood = self.intake.understand(exchange.as_deref(), routing_key.as_deref(), body);
        let (message, addressed) = match understood {
            Ok(understood) => understood,
            Err(why) => return unreadable(line, why.to_string()),
        };
        let taken = self.intake.take(
            &message,
            Raw {
                exchange: &message.exchange.name,
                routing_key: routing_key.as_deref().unwrap_or_default(),
                message_id: None,
                redelivered: false,
                body,
            },
        );
        let kind = message.kind().as_str();
        let wanted = Wanted { requester: message.requester.clone(), asked: taken.request.asked.clone() };
        let (policy, (outcome, reason)) = match addressed {
            Ok(()) => self.judge(&message, taken).await,
            Err(why) => (None, (Outcome::Refused, Some(why.to_string()))),
        };
        Line { line, kind, asked: Some(wanted), policy, outcome, reason }
    }

    fn project(&self, called: &str) -> Option<(&str, &Project)> {
        policy::project(self.projects.as_ref()?, called)
    }

    /// What the policy says, and what becomes of the message.
    async fn judge(&self, message: &Message, taken: Taken) -> (Option<Judged>, End) {
        let project = self.project(&message.project);
        let asked = &taken.request.asked;
        let allowed = |level, jobs| self.projects.as_ref().map(|_| allowed(message, asked, project, level, jobs));
        let first = allowed(None, policy::jobs(asked));
        let judged = first.as_ref().map(Judged::from);
        let refused =
            |why: &String| (Some(Judged::Refused { why: why.clone() }), (Outcome::Refused, Some(why.clone())));
        let plan = match (&self.then, &first) {
            // The policy is applied when it is carried out.
            (Then::Receive(journal), _) => return (judged, receive(journal, taken).await),
            (Then::Nothing | Then::Plan(_), Some(Err(why))) => return refused(why),
            (Then::Nothing, _) => return (judged, offline(asked, project)),
            (Then::Plan(plan), _) => plan.as_ref(),
        };
        let (resolver, means) = plan;
        let found = match resolver.find(asked).await {
            Ok(found) => found,
            Err(error) => return (judged, (Outcome::Unresolved, Some(failed(error)))),
        };
        let level = match self.ground(means, message, &found, project).await {
            Ok(level) => level,
            Err(end) => return (judged, end),
        };
        let plan = match rehearse(means, asked, &found, taken.request.id()).await {
            Ok(plan) => plan,
            Err(error) => return (judged, (Outcome::Impossible, Some(failed(error)))),
        };
        // Some find out on the push only how many jobs they ask for.
        let jobs = if policy::is_counted(asked) { policy::jobs(asked) } else { jobs(&plan) };
        match allowed(Some(&level), jobs) {
            Some(Err(why)) => refused(&why),
            decided => (decided.as_ref().map(Judged::from), (Outcome::Planned, Some(summary(&plan)))),
        }
    }

    /// The level of the push, once it is known to be the one that is meant.
    async fn ground(
        &self,
        means: &Means,
        message: &Message,
        found: &Found,
        project: Option<(&str, &Project)>,
    ) -> Result<String, End> {
        let artifacts = Artifacts::Queue(means.client.clone(), means.cache.clone());
        let push = Push::ground(&means.client, &artifacts, found.decision).await;
        let push = push.map_err(|error| (Outcome::Unresolved, Some(failed(error))))?;
        let name = project.map_or(message.project.as_str(), |(name, _)| name);
        found.is_of(name, &push.parameters).map_err(|error| (Outcome::Refused, Some(failed(error))))?;
        let said = project.map(|(_, project)| Said {
            level: Some(&project.level),
            trust_domain: project.trust_domain.as_deref(),
            repository: project.repository.as_deref(),
        });
        push.check(&said.unwrap_or_default()).map_err(|error| (Outcome::Refused, Some(failed(error))))?;
        push.parameters.level().map_err(|error| (Outcome::Unresolved, Some(failed(error))))
    }
}

fn unreadable(line: u64, why: String) -> Line {
    let outcome = Outcome::Unreadable;
    Line { line, kind: outcome.as_str(), asked: None, policy: None, outcome, reason: Some(why) }
}

fn failed(error: impl fmt::Display) -> String {
    format!("failed to {error}")
}

impl From<&Result<Grant, String>> for Judged {
    fn from(decided: &Result<Grant, String>) -> Self {
        match decided {
            Ok(grant) => Self::Allowed { rule: grant.rule, role: grant.role.clone() },
            Err(why) => Self::Refused { why: why.clone() },
        }
    }
}

/// Writes a message down, as the listener does.
async fn receive(journal: &Journal, taken: Taken) -> End {
    match taken.receive(journal).await {
        Ok(Received::New(request)) => (Outcome::Received, Some(format!("request {}", request.id))),
        Ok(Received::Known(request)) => (Outcome::Known, Some(format!("request {}, {}", request.id, request.state))),
        Ok(Received::Other(request)) => (
            Outcome::Impossible,
            Some(format!("its name is that of request {}, which asks for something else", request.id)),
        ),
        Err(error) => (Outcome::Impossible, Some(failed(error))),
    }
}

/// What the project's rules say.
fn allowed(
    message: &Message,
    asked: &Asked,
    project: Option<(&str, &Project)>,
    level: Option<&str>,
    jobs: u64,
) -> Result<Grant, String> {
    let Some((_, project)) = project else {
        return Err(format!("the project {} is not configured", message.project));
    };
    let facts =
        Facts { exchange: &message.exchange.name, requester: &message.requester, action: &asked.action, jobs, level };
    policy::decide(&project.pulse.allow, &facts).map_err(|why| why.to_string())
}

/// How far one comes with the message alone.
fn offline(asked: &Asked, project: Option<(&str, &Project)>) -> End {
    let number = match (&asked.push, &asked.subject) {
        (PushName::Resultset { project, id }, _) => Some(("push", project, *id)),
        (PushName::OfJob { project, id }, _) | (_, Some(Subject::Job { project, id })) => Some(("job", project, *id)),
        (PushName::Decision(_) | PushName::Revision { .. } | PushName::OfTask(_), _) => None,
    };
    let has_treeherder = project.is_some_and(|(_, project)| project.treeherder.is_some());
    match number {
        Some((what, project, id)) if !has_treeherder => {
            let error = ResolveError::NoTreeherder { what, project: project.clone(), id };
            (Outcome::Unresolved, Some(failed(error)))
        }
        Some((what, project, id)) => (
            Outcome::Unresolved,
            Some(format!("failed to find {what} {id} of {project}: there is no Taskcluster to ask")),
        ),
        None => (Outcome::Understood, Some("its push was not looked up: there is no Taskcluster to ask".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// What comes of a line without a Taskcluster.
    fn line(config: Option<&str>, text: &str) -> Value {
        let config = config.map(|text| Config::read(text).unwrap());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let line = runtime.block_on(Replay::new(config, Then::Nothing).line(3, text.as_bytes()));
        serde_json::to_value(line).unwrap()
    }

    const CANCEL: &str = r#"{"action": "cancel_all", "project": "try", "requester": "ann@lander.example", "resultset_id": "87376", "times": 1, "version": 1}"#;
    const RULES: &str = "[project.try]\nlevel = \"1\"\n[[project.try.pulse.allow]]\nexchanges = [\"*\"]\n\
                         requesters = [\"*@lander.example\"]\nactions = [\"ACTION\"]\nmax_jobs = 5\nrole = \"r\"\n";

    #[test]
    fn a_line_has_its_six_fields_whatever_it_holds() {
        for text in [CANCEL, "garbage", "{}", "{\"payload\": 1}"] {
            let line = line(None, text);
            let fields: Vec<&String> = line.as_object().unwrap().keys().collect();
            let mut sorted = fields.clone();
            sorted.sort();
            assert_eq!(sorted, ["asked", "kind", "line", "outcome", "policy", "reason"]);
        }
        let garbage = line(None, "garbage");
        assert_eq!((&garbage["kind"], &garbage["asked"]), (&json!("unreadable"), &Value::Null));
        assert!(garbage["reason"].as_str().unwrap().contains("not valid JSON"));
    }

    #[test]
    fn what_was_understood_is_said_whatever_becomes_of_it() {
        let wanted = json!({
            "requester": "ann@lander.example", "project": "try", "action": "cancel-all", "input": null,
            "push": {"resultset": {"project": "try", "id": 87376}},
        });
        let refusing = RULES.replace("ACTION", "retrigger");
        let allowing = RULES.replace("ACTION", "cancel-*");
        let elsewhere = RULES.replace("ACTION", "*").replace("project.try", "project.lander");
        let cases = [
            (None, "unresolved", "no Treeherder is configured", Value::Null),
            (Some(refusing.as_str()), "refused", "`actions` does not name cancel-all", json!("refused")),
            (Some(allowing.as_str()), "unresolved", "no Treeherder is configured", json!("allowed")),
            (Some(elsewhere.as_str()), "refused", "the project try is not configured", json!("refused")),
        ];
        for (config, outcome, reason, verdict) in cases {
            let line = line(config, CANCEL);
            assert_eq!(line["asked"], wanted, "{config:?}");
            assert_eq!(line["outcome"], outcome, "{config:?}");
            assert_eq!(line["policy"]["verdict"], verdict, "{config:?}");
            assert!(line["reason"].as_str().unwrap().contains(reason), "{line}");
        }
    }

    #[test]
    fn a_message_that_names_its_decision_task_is_understood_without_anybody() {
        let text = r#"{"exchange": "exchange/treeherder-stage/v1/resultset-runnable-job-actions", "routingKey": "try",
            "payload": {"version": 1, "project": "try", "requester": "ann", "resultset_id": 7,
                        "requested_jobs": ["a"], "decision_task_id": "AWMGHageTsSoYmoMR1_cRw"}}"#;
        let told = line(None, text);
        assert_eq!((&told["outcome"], &told["kind"]), (&json!("understood"), &json!("add-new-jobs")));
        assert_eq!(told["asked"]["push"], json!({"decision": "AWMGHageTsSoYmoMR1_cRw"}));
    }

    #[test]
    fn what_is_addressed_to_others_than_it_speaks_of_is_refused_and_understood() {
        let addressed = |exchange: &str, key: &str| {
            let config = RULES.replace("ACTION", "*");
            let payload: Value = serde_json::from_str(CANCEL).unwrap();
            let text = json!({"exchange": exchange, "routingKey": key, "payload": payload}).to_string();
            line(Some(&config), &text)
        };
        let exchange = |name: &str| format!("exchange/treeherder/v1/{name}");
        let right = addressed(&exchange("resultset-actions"), "try.cancel_all");
        assert_eq!((&right["outcome"], &right["policy"]["verdict"]), (&json!("unresolved"), &json!("allowed")));
        let cases = [
            (exchange("resultset-actions"), "autoland.cancel_all", "the routing key is `autoland.cancel_all`"),
            (exchange("job-actions"), "try.cancel_all", "of kind job-action, but this one is of kind push-action"),
            ("exchange/other/clicks".to_owned(), "try.cancel_all", "the exchange `exchange/other/clicks` is none of"),
        ];
        for (exchange, key, reason) in cases {
            let told = addressed(&exchange, key);
            assert_eq!((&told["kind"], &told["asked"]), (&right["kind"], &right["asked"]));
            assert_eq!((&told["outcome"], &told["policy"]), (&json!("refused"), &Value::Null));
            assert!(told["reason"].as_str().unwrap().contains(reason), "{told}");
        }
    }

    #[test]
    fn treeherders_name_of_a_project_may_be_another() {
        let config = RULES.replace("ACTION", "*").replace("project.try", "project.lander")
            + "[project.lander.treeherder]\nurl = \"https://treeherder.example.com\"\nproject = \"try\"\n";
        let line = line(Some(&config), CANCEL);
        assert_eq!(line["policy"]["verdict"], "allowed");
        assert!(line["reason"].as_str().unwrap().contains("no Taskcluster to ask"), "{line}");
    }
}
