//! From what somebody asks for to what is sent: the action chosen, its input checked, its template rendered.

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use taskgraft_client::Client;
use taskgraft_core::action::by_callback;
use taskgraft_core::action::catalog::{ChooseError, Offered, Way};
use taskgraft_core::action::mustache::{self, MustacheError};
use taskgraft_core::action::render::{RenderError, Template, render};
use taskgraft_core::action::reserved::{self, Reserved, ReservedError};
use taskgraft_core::action::schema::{self, InputError, MAX_INPUT_BYTES};
use taskgraft_core::api::queue::TaskDefinition;
use taskgraft_core::ids::TaskId;
use taskgraft_core::plan::Outline;

use super::offer::Offer;

/// The most bytes of input that go to somebody else's action. Its worker starts a process with it as one environment
/// variable, of which Linux takes 128 KiB, name and all. Ours reads it from the payload.
const MAX_VARIABLE: usize = 120 << 10;
/// The most bytes that an input may take up in an action task, of the 10 MiB that a queue takes of one. It is there twice: in
/// `extra.action.context`, and in the environment as a text.
const MAX_IN_TASK: usize = (10 << 20) - (256 << 10);

/// What somebody asks for.
#[derive(Debug, Clone)]
pub struct Ask {
    /// The action's name.
    pub action: String,
    /// The task that it is for; none for the push as a whole.
    pub subject: Option<TaskId>,
    /// Its input; null for none.
    pub input: Value,
    /// The asker's name for the request: the same one does the work once.
    pub key: String,
    /// How often what came of it was undone. Then it goes by another name each time, so that all of it is made anew.
    pub undone: u32,
    /// Whether that name stands for this and nothing else, whatever happens: it was drawn for it, or whoever asks sees to
    /// that. It is then sealed, and nobody has to search a group for what else it may have been used for.
    pub fresh: bool,
    /// The outline of the plan that the asker was shown.
    pub shown: Option<Outline>,
}

/// Something to send.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// The action's name.
    pub action: String,
    /// The task that it is for; none for the push as a whole.
    pub subject: Option<TaskId>,
    /// The name of the request, which the asker uses to ask for it again.
    pub key: String,
    /// The names that it went by before, each until what came of it was undone.
    pub undone: Vec<String>,
    /// The validated input, defaults filled in, as it is sent.
    pub input: Value,
    /// Whether the input carries the key, so that what comes of it can be found again.
    pub carries_key: bool,
    /// Whether the action is taskgraft's: then two action tasks that carry one key do its work once.
    pub ours: bool,
    /// What is sent.
    pub sending: Sending,
}

/// What is sent.
#[derive(Debug, Clone)]
pub enum Sending {
    /// triggerHook.
    Hook {
        /// The hook's group.
        group: String,
        /// The hook.
        id: String,
        /// The rendered payload.
        payload: Value,
    },
    /// createTask, under an id that is chosen by us.
    Task(Definition),
}

/// A definition of an action task that lacks its own id.
#[derive(Debug, Clone)]
pub struct Definition {
    way: Way,
    context: Map<String, Value>,
    decision: TaskId,
    input: Value,
}

/// Why nothing can be sent.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// There is no such action for this.
    #[error(transparent)]
    Choose(#[from] ChooseError),
    /// The task is another push's.
    #[error("ask for an action on {task}: it is of the group {theirs}, not of {group}")]
    Elsewhere {
        /// The task.
        task: TaskId,
        /// Its group.
        theirs: TaskId,
        /// The push's.
        group: TaskId,
    },
    /// The input is not what the action takes.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The action takes none.
    #[error("give `{0}` an input: it takes none")]
    NoInput(String),
    /// The input uses a key that is not free.
    #[error("give it this input: the key `{}` is reserved", reserved::KEY)]
    Reserved,
    /// The key can't be one.
    #[error(transparent)]
    Key(#[from] ReservedError),
    /// The input is too long for whoever runs the action.
    #[error("give it this input: {0} bytes are too many, this action takes {1}")]
    Long(usize, usize),
    /// The input is too long for an action task.
    #[error("give it this input: it is in an action task twice, which {0} bytes are too many for: {MAX_IN_TASK} fit")]
    Twice(usize),
    /// What the push publishes can't be rendered.
    #[error("fill in the push's template for `{action}`: {error}")]
    Render {
        /// The action.
        action: String,
        /// What happened.
        error: RenderError,
    },
    /// The push's action.yml can't say this.
    #[error(transparent)]
    Mustache(#[from] MustacheError),
    /// Taskcluster didn't answer.
    #[error("look up the task: failed to {0}")]
    Client(#[from] taskgraft_client::Error),
}

impl Prepared {
    /// What asking for this comes to.
    ///
    /// # Errors
    /// If the push offers no such action, or the input isn't one for it.
    pub async fn new(client: &Client, offer: &Offer, ask: Ask) -> Result<Self, PrepareError> {
        let now = client.clock().now();
        let subject = match ask.subject {
            Some(id) => Some((id, client.queue().task_as::<Value>(id).await?)),
            None => None,
        };
        Self::on(offer, ask, subject, now)
    }

    fn on(offer: &Offer, ask: Ask, subject: Option<(TaskId, Value)>, now: Timestamp) -> Result<Self, PrepareError> {
        let definition = subject.as_ref().map(|(id, task)| member(*id, task, offer.group)).transpose()?;
        let chosen = offer.catalog.choose(&ask.action, definition.as_ref().map(|task| &task.tags))?;
        let ours = offer.catalog.is_ours();
        let input = checked(chosen, ask.input, ours)?;
        let time = |n| named(&time(&ask.key, n), ask.fresh, ask.subject, &input);
        let undone = (0..ask.undone).map(|n| Ok(time(n)?.key)).collect::<Result<_, ReservedError>>()?;
        let reserved = time(ask.undone)?;
        let key = reserved.key.clone();
        let reserved = match ask.shown {
            Some(outline) => reserved.shown(outline),
            None => reserved,
        };
        let (input, carries_key) = carrying(chosen, input, &reserved, ours);
        bound(&input, ours)?;
        let mut context = offer.catalog.variables.clone();
        context.insert("taskGroupId".to_owned(), json!(offer.group));
        context.insert("taskId".to_owned(), json!(ask.subject));
        context.insert("input".to_owned(), input.clone());
        let sending = match &chosen.way {
            Way::Hook { group, id, payload } => {
                let payload = filled(&chosen.name, payload, Value::Object(context), now)?;
                Sending::Hook { group: group.clone(), id: id.clone(), payload }
            }
            way @ (Way::Task { .. } | Way::Mustache { .. }) => {
                context.insert("task".to_owned(), subject.map_or(Value::Null, |(_, task)| task));
                let (way, input) = (way.clone(), input.clone());
                Sending::Task(Definition { way, context, decision: offer.decision, input })
            }
        };
        Ok(Self { action: ask.action, subject: ask.subject, key, undone, input, carries_key, ours, sending })
    }
}

impl Prepared {
    /// Whether sending it again under the same key does the work once, whatever came of it before: the action task's id
    /// follows from the key, or the action is ours and is told the key.
    #[must_use]
    pub fn settles(&self) -> bool {
        matches!(self.sending, Sending::Task(_)) || (self.carries_key && self.ours)
    }

    /// Whether an action task that came of it can be told from others: by its id, or by the key in its input.
    #[must_use]
    pub fn can_be_found(&self) -> bool {
        matches!(self.sending, Sending::Task(_)) || self.carries_key
    }
}

impl Definition {
    /// The definition of the action task `id`, created `now`.
    ///
    /// # Errors
    /// If the push's template can't be rendered.
    pub fn of(&self, action: &str, id: TaskId, now: Timestamp) -> Result<Value, PrepareError> {
        match &self.way {
            Way::Hook { payload: template, .. } | Way::Task { template } => {
                let mut context = self.context.clone();
                context.insert("ownTaskId".to_owned(), json!(id));
                filled(action, template, Value::Object(context), now)
            }
            Way::Mustache { template } => Ok(mustache::fill(template, self.decision, &self.input, now)?),
        }
    }
}

/// Refuses an input that an action task can't hold, or can't be run with.
fn bound(input: &Value, ours: bool) -> Result<(), PrepareError> {
    let text = input.to_string();
    let (length, most) = (text.len(), if ours { MAX_INPUT_BYTES } else { MAX_VARIABLE });
    if length > most {
        return Err(PrepareError::Long(length, most));
    }
    let twice = length + Value::String(text).to_string().len();
    if twice > MAX_IN_TASK { Err(PrepareError::Twice(twice)) } else { Ok(()) }
}

/// The task's definition, if it is of this group.
fn member(id: TaskId, task: &Value, group: TaskId) -> Result<TaskDefinition, PrepareError> {
    let unreadable = |error: serde_json::Error| {
        PrepareError::Client(taskgraft_client::Error::Unreadable { call: "task", why: error.to_string() })
    };
    let definition: TaskDefinition = serde_json::from_value(task.clone()).map_err(unreadable)?;
    let theirs = definition.task_group_id;
    if theirs == group { Ok(definition) } else { Err(PrepareError::Elsewhere { task: id, theirs, group }) }
}

/// What goes by `key` after it was undone so often.
fn time(key: &str, undone: u32) -> String {
    if undone == 0 { key.to_owned() } else { format!("{key}.undone.{undone}") }
}

/// The key, sealed if it is fresh.
fn named(key: &str, fresh: bool, subject: Option<TaskId>, input: &Value) -> Result<Reserved, ReservedError> {
    if fresh {
        return Reserved::sealed(key, subject, input);
    }
    let reserved = Reserved::keyed(key)?;
    reserved.is_sealed(subject, input)?;
    Ok(reserved)
}

/// The input with its defaults, if the action takes it. taskgraft's own action tasks refuse keys that they don't know,
/// whatever the published schema says: better said here.
fn checked(action: &Offered, input: Value, ours: bool) -> Result<Value, PrepareError> {
    if input.get(reserved::KEY).is_some() {
        return Err(PrepareError::Reserved);
    }
    let known = action.callback().filter(|_| ours).and_then(by_callback);
    if let Some(known) = known.filter(|known| known.schema.map(|schema| schema()) == action.schema) {
        return Ok(known.input(input)?);
    }
    match &action.schema {
        Some(schema) => Ok(schema::validate(schema, input)?),
        None if input.is_null() || input.as_object().is_some_and(Map::is_empty) => Ok(input),
        None => Err(PrepareError::NoInput(action.name.clone())),
    }
}

/// The input with what travels beside it, and whether it could be put there. Our own actions take it off before they
/// look; others ignore what they don't know, unless their schema forbids it.
fn carrying(action: &Offered, input: Value, reserved: &Reserved, ours: bool) -> (Value, bool) {
    if matches!(action.way, Way::Mustache { .. }) {
        return (input, false);
    }
    let with = reserved::add(input.clone(), reserved);
    let allowed = |with: &Value| match &action.schema {
        Some(schema) if !ours => schema::validate(schema, with.clone()).is_ok_and(|taken| taken == *with),
        Some(_) | None => true,
    };
    match with.filter(allowed) {
        Some(with) => (with, true),
        None => (input, false),
    }
}

fn filled(action: &str, template: &Value, context: Value, now: Timestamp) -> Result<Value, PrepareError> {
    let rendered = Template::check(template).and_then(|template| render(&template, &context, now));
    rendered.map_err(|error| PrepareError::Render { action: action.to_owned(), error })
}

#[cfg(test)]
mod tests {
    use super::*;
    use taskgraft_core::action::catalog::Catalog;

    /// A push's actions: `poke` for the group, with this schema, and whatever makes them ours.
    fn offer(schema: &Value, ours: bool) -> Offer {
        let hook = |name: &str, schema: &Value| {
            json!({"kind": "hook", "name": name, "context": [], "hookGroupId": "g", "hookId": "h", "schema": schema,
                   "hookPayload": {"decision": {"action": {"cb_name": name}}, "user": {"$eval": "input"}}})
        };
        let mut actions = vec![hook("poke", schema), hook("add-new-jobs", &add())];
        if ours {
            actions.extend([hook("run-missing-jobs", &json!(null)), hook("add-matching-jobs", &json!(null))]);
        }
        let file = json!({"version": 1, "actions": actions}).to_string();
        let decision = TaskId::from_bytes([1; 16]);
        Offer { decision, group: decision, scopes: Vec::new(), catalog: Catalog::read(file.as_bytes()).unwrap() }
    }

    fn add() -> Value {
        by_callback("add-new-jobs").and_then(|action| action.schema).unwrap()()
    }

    fn asked(offer: &Offer, action: &str, input: Value) -> Result<Prepared, PrepareError> {
        let shown = serde_json::from_value(json!({"lint": "new"})).unwrap();
        let ask = Ask {
            action: action.to_owned(),
            subject: None,
            input,
            key: "k".to_owned(),
            undone: 0,
            fresh: false,
            shown: Some(shown),
        };
        Prepared::on(offer, ask, None, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn a_name_and_a_plan_travel_where_they_are_let() {
        let open = json!({"type": "object"});
        let shut = json!({"type": "object", "additionalProperties": false});
        let of_names = json!({"type": "object", "propertyNames": {"maxLength": 3}});
        let no_object = json!({"type": "array"});
        let cases = [
            (&open, json!({}), false, true),
            (&Value::Null, Value::Null, false, true),
            (&shut, json!({}), false, false),
            (&of_names, json!({}), false, false),
            (&no_object, json!([]), false, false),
            (&shut, json!({}), true, true),
        ];
        for (schema, input, ours, carries) in cases {
            let prepared = asked(&offer(schema, ours), "poke", input.clone()).unwrap();
            assert_eq!(prepared.carries_key, carries, "{schema}");
            let reserved = &prepared.input[reserved::KEY];
            assert_eq!((reserved.is_object(), reserved.get("plan").is_some()), (carries, carries), "{schema}");
            let Sending::Hook { payload, .. } = prepared.sending else { panic!("a hook") };
            assert_eq!(payload["user"], prepared.input);
        }
    }

    #[test]
    fn what_was_undone_goes_by_another_name_each_time_and_is_known_by_all() {
        let offer = offer(&Value::Null, true);
        let times: Vec<Prepared> = (0..3)
            .map(|undone| {
                let (key, input) = ("R".to_owned(), json!({"tasks": ["x"]}));
                let ask = Ask {
                    action: "add-new-jobs".to_owned(),
                    subject: None,
                    input,
                    key,
                    undone,
                    fresh: true,
                    shown: None,
                };
                Prepared::on(&offer, ask, None, Timestamp::UNIX_EPOCH).unwrap()
            })
            .collect();
        let keys: Vec<String> = times.iter().map(|time| time.key.clone()).collect();
        assert!(keys[0].starts_with("R.for.") && keys[2].starts_with("R.undone.2.for."), "{keys:?}");
        for (n, time) in times.iter().enumerate() {
            assert_eq!((reserved::key_of(&time.input), &time.undone[..]), (Some(keys[n].as_str()), &keys[..n]));
        }
    }

    #[test]
    fn an_input_is_as_long_as_the_action_task_and_whoever_runs_it_can_take() {
        let long = |bytes: usize, ours| {
            asked(&offer(&Value::Null, ours), "add-new-jobs", json!({"tasks": ["x".repeat(bytes)]}))
        };
        for (bytes, ours, refused) in [
            (110 << 10, false, None),
            (130 << 10, false, Some("this action takes 122880")),
            (1 << 20, true, None),
            (4 << 20, true, None),
            (5 << 20, true, Some("it is in an action task twice")),
            (9 << 20, true, Some("8 MiB")),
        ] {
            let why = long(bytes, ours).err().map(|error| error.to_string());
            assert_eq!(why.is_some(), refused.is_some(), "{bytes}: {why:?}");
            assert!(why.unwrap_or_default().contains(refused.unwrap_or_default()), "{bytes}");
        }
        // Quotes are escaped in the text.
        let quotes = asked(&offer(&Value::Null, true), "add-new-jobs", json!({"tasks": ["\"".repeat(2 << 20)]}));
        assert!(matches!(quotes, Err(PrepareError::Twice(_))), "{:?}", quotes.err());
    }

    #[test]
    fn our_own_actions_refuse_here_what_they_would_refuse_there() {
        let odd = json!({"tasks": ["x"], "tiems": 2});
        let refused = asked(&offer(&Value::Null, true), "add-new-jobs", odd.clone()).unwrap_err();
        assert!(refused.to_string().contains("tiems"), "{refused}");
        assert!(asked(&offer(&Value::Null, false), "add-new-jobs", odd).is_ok(), "others may know more");
    }
}
