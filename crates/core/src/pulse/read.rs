//! From bytes to a message.

use super::exchange::{Exchange, Kind};
use super::field::{Fields, shown};
use super::guid;
use super::message::{Job, JobAction, Message, Push, PushAction, Wants};
use crate::ids::TaskId;

/// The largest body that is read, in bytes: a hundred times the largest that was recorded.
pub const MAX_BODY_BYTES: usize = 2 << 20;
/// The most jobs that one message may ask for.
pub const MAX_JOBS: usize = 10_000;
/// The most characters of a job's name. The longest builder name that was recorded has 77.
pub const MAX_JOB_CHARS: usize = 512;
/// How many times all performance jobs may be run: as often as the action `add-matching-jobs` does.
pub const MAX_TIMES: u64 = 100;
/// The most characters of a project's name, as in Treeherder's URLs.
const MAX_PROJECT: usize = 50;
/// The most characters of an email address are 254.
const MAX_REQUESTER: usize = 255;
/// The most characters of other texts.
const MAX_TEXT: usize = 128;

/// Why a message can't be understood. Shows nothing of it that could upset a terminal or a log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Too many bytes.
    #[error("the message has {0} bytes; {MAX_BODY_BYTES} are the most that is read")]
    TooLarge(usize),
    /// The body is no JSON that could be sent on.
    #[error("the message is not valid JSON: {0}")]
    NoJson(String),
    /// The body is JSON of another shape.
    #[error("the message is not a JSON object")]
    NoObject,
    /// No exchange was told, and the fields are those of none.
    #[error(
        "the message has the fields of none of Treeherder's: `requested_jobs` or `buildernames`; `resultset_id` and \
         `action`; `job_guid` or `job_id`, and `action`"
    )]
    NoKind,
    /// A field is missing.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// A field is not what it should be.
    #[error("`{field}` must be {needed}")]
    Field {
        /// Which.
        field: &'static str,
        /// What is wanted instead.
        needed: &'static str,
    },
    /// A text is too long.
    #[error("`{field}` has more than {max} characters")]
    Long {
        /// Which.
        field: &'static str,
        /// The most that is read.
        max: usize,
    },
    /// An old and a new spelling of one field don't say the same.
    #[error("`{0}` and `{1}` are one field, and say different things")]
    Disagree(&'static str, &'static str),
    /// Something that nobody knows how to do.
    #[error("the action {action} is none of {known}")]
    Action {
        /// What it wants.
        action: String,
        /// What is known.
        known: &'static str,
    },
    /// A job that can't be told from others.
    #[error("`job_guid` is of no Taskcluster task (<task id or UUID>/<run>), and there is no `job_id`")]
    NoJob,
}

impl Message {
    /// Understands a message as one of `exchange`; where that isn't known, its fields say what it is. Fields that aren't
    /// known are passed over.
    ///
    /// # Errors
    /// For what is not one of Treeherder's messages of version 1, or is above a bound.
    pub fn read(exchange: Option<Exchange>, body: &[u8]) -> Result<Self, Unreadable> {
        let fields = Fields::read(body)?;
        let exchange = match exchange {
            Some(exchange) => exchange,
            None => Exchange::of_treeherder(infer(&fields)?),
        };
        if fields.needed_number("version")? != 1 {
            return Err(Unreadable::Field { field: "version", needed: "1" });
        }
        let project = project(&fields)?.to_owned();
        let requester = fields.needed_text("requester", MAX_REQUESTER)?.to_owned();
        let wants = match exchange.kind {
            Kind::AddNewJobs => new_jobs(&fields)?,
            Kind::PushAction => on_push(&fields)?,
            Kind::JobAction => on_job(&fields)?,
        };
        Ok(Self { exchange, project, requester, wants })
    }
}

/// Who a message says asks, if that much of it can be understood: whom it asserts, whatever else is wrong with it.
#[must_use]
pub fn requester(body: &[u8]) -> Option<String> {
    let fields = Fields::read(body).ok()?;
    fields.text("requester", MAX_REQUESTER).ok()?.map(str::to_owned)
}

/// The kind that has these fields and no other's.
fn infer(fields: &Fields) -> Result<Kind, Unreadable> {
    let jobs = fields.has("requested_jobs") || fields.has("buildernames");
    let job = fields.has("job_guid") || fields.has("job_id");
    match (jobs, job, fields.has("action")) {
        (true, false, false) => Ok(Kind::AddNewJobs),
        (false, true, true) => Ok(Kind::JobAction),
        (false, false, true) if fields.has("resultset_id") => Ok(Kind::PushAction),
        _ => Err(Unreadable::NoKind),
    }
}

fn project(fields: &Fields) -> Result<&str, Unreadable> {
    let project = fields.needed_text("project", MAX_PROJECT)?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if project.bytes().all(plain) {
        return Ok(project);
    }
    Err(Unreadable::Field { field: "project", needed: "a project's short name: A-Z, a-z, 0-9, `-` and `_`" })
}

/// One field in two spellings: either, or both if they say the same.
fn one_of<T: PartialEq>(
    (name, new): (&'static str, Option<T>),
    (old_name, old): (&'static str, Option<T>),
) -> Result<Option<T>, Unreadable> {
    match (new, old) {
        (Some(new), Some(old)) if new != old => Err(Unreadable::Disagree(name, old_name)),
        (new, old) => Ok(new.or(old)),
    }
}

fn new_jobs(fields: &Fields) -> Result<Wants, Unreadable> {
    let names = |name| Ok::<_, Unreadable>((name, fields.names(name)?));
    let decision = |name| Ok::<_, Unreadable>((name, decision(fields, name)?));
    let jobs =
        one_of(names("requested_jobs")?, names("buildernames")?)?.ok_or(Unreadable::Missing("requested_jobs"))?;
    let decision = one_of(decision("decision_task_id")?, decision("decisionTaskID")?)?;
    let push = match (decision, fields.number("resultset_id")?) {
        (Some(decision), number) => Push::Decision(decision, number),
        (None, Some(number)) => Push::Number(number),
        (None, None) => return Err(Unreadable::Missing("resultset_id")),
    };
    Ok(Wants::NewJobs { push, jobs })
}

fn decision(fields: &Fields, name: &'static str) -> Result<Option<TaskId>, Unreadable> {
    let id = fields.maybe_text(name, MAX_TEXT)?.map(str::parse).transpose();
    id.map_err(|_| Unreadable::Field { field: name, needed: "a task id, or empty" })
}

fn on_push(fields: &Fields) -> Result<Wants, Unreadable> {
    let name = fields.needed_text("action", MAX_TEXT)?;
    let action = PushAction::ALL.into_iter().find(|action| action.as_str() == name);
    let known = "cancel_all, trigger_missing_jobs and trigger_all_talos_jobs";
    let action = action.ok_or_else(|| Unreadable::Action { action: shown(name), known })?;
    let times = fields.number("times")?.unwrap_or(1);
    let times = u32::try_from(times).ok().filter(|times| (1..=MAX_TIMES).contains(&u64::from(*times)));
    let times = times.ok_or(Unreadable::Field { field: "times", needed: "a number from 1 to 100" })?;
    Ok(Wants::OnPush { resultset: fields.needed_number("resultset_id")?, action, times })
}

fn on_job(fields: &Fields) -> Result<Wants, Unreadable> {
    let name = fields.needed_text("action", MAX_TEXT)?;
    let action = JobAction::ALL.into_iter().find(|action| action.as_str() == name);
    let known = "backfill, cancel and retrigger";
    let action = action.ok_or_else(|| Unreadable::Action { action: shown(name), known })?;
    let number = fields.number("job_id")?;
    let job = match fields.text("job_guid", MAX_TEXT)?.and_then(guid::task_of) {
        Some((task, _)) => Job::Task(task),
        None => Job::Number(number.ok_or(Unreadable::NoJob)?),
    };
    let system = fields.text("build_system_type", MAX_TEXT)?.map(str::to_owned);
    Ok(Wants::OnJob { job, action, system })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(value: &Value) -> Result<Message, Unreadable> {
        Message::read(None, value.to_string().as_bytes())
    }

    fn with(mut value: Value, field: &str, other: Value) -> Value {
        value[field] = other;
        value
    }

    fn jobs() -> Value {
        json!({"version": 1, "project": "try", "requester": "ann@lander.example", "resultset_id": "87376",
               "requested_jobs": ["a", "b", "a"], "decision_task_id": ""})
    }

    fn push() -> Value {
        json!({"version": 1, "project": "try", "requester": "ann@lander.example", "resultset_id": "87376",
               "action": "cancel_all", "times": 1})
    }

    fn job() -> Value {
        json!({"version": 1, "project": "try", "requester": "ann@lander.example", "build_system_type": "buildbot",
               "job_id": 7, "job_guid": "c6ae49505944c574e9247bcce81e8d2cb99b0721", "action": "retrigger"})
    }

    #[test]
    fn each_kind_is_told_by_its_fields() {
        let kinds = [jobs(), push(), job()].map(|value| read(&value).unwrap());
        assert_eq!(kinds.each_ref().map(Message::kind), Kind::ALL);
        assert_eq!(kinds[0].wants, Wants::NewJobs { push: Push::Number(87376), jobs: vec!["a".into(), "b".into()] });
        let system = Some("buildbot".to_owned());
        assert_eq!(kinds[2].wants, Wants::OnJob { job: Job::Number(7), action: JobAction::Retrigger, system });
        assert_eq!(read(&with(jobs(), "action", json!("cancel_all"))), Err(Unreadable::NoKind), "of two kinds");
    }

    #[test]
    fn a_job_on_taskcluster_is_a_task() {
        let guid = "bfcfef92-9000-4121-ac73-d634028e5705/0";
        let read = read(&with(job(), "job_guid", json!(guid))).unwrap();
        let task = Job::Task("v8_vkpAAQSGsc9Y0Ao5XBQ".parse().unwrap());
        let Wants::OnJob { job, .. } = read.wants else { panic!("it is about a job") };
        assert_eq!(job, task);
    }

    #[test]
    fn whom_a_message_names_is_known_whatever_else_is_wrong_with_it() {
        let named = |value: &Value| requester(value.to_string().as_bytes());
        assert_eq!(named(&json!({"requester": "ann@lander.example"})).as_deref(), Some("ann@lander.example"));
        for nobody in [json!({}), json!({"requester": 1}), json!({"requester": "a\u{1b}"}), json!(["requester"])] {
            assert_eq!(named(&nobody), None, "{nobody}");
        }
        assert_eq!(named(&json!({"requester": "a".repeat(300)})), None);
        assert_eq!(requester(b"{"), None);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let cases = [
            (with(jobs(), "version", json!(2)), "`version` must be 1"),
            (with(jobs(), "version", Value::Null), "`version` is missing"),
            (with(jobs(), "project", json!("a.b")), "`project` must be a project's short name"),
            (with(jobs(), "project", json!("x".repeat(51))), "`project` has more than 50"),
            (with(jobs(), "requester", json!("")), "`requester` must be text that isn't empty"),
            (with(jobs(), "requester", json!("a\u{1b}[31m")), "without control characters"),
            (with(jobs(), "requested_jobs", json!([])), "1 to 10000"),
            (with(jobs(), "requested_jobs", json!(vec!["a"; 10_001])), "1 to 10000"),
            (with(jobs(), "requested_jobs", json!([1])), "`requested_jobs` must be text"),
            (with(jobs(), "requested_jobs", json!(["a\nb"])), "without control characters"),
            (with(jobs(), "requested_jobs", json!("a")), "a list of texts"),
            (with(jobs(), "requested_jobs", json!(["x".repeat(513)])), "more than 512"),
            (with(jobs(), "buildernames", json!(["c"])), "are one field"),
            (with(jobs(), "decision_task_id", json!("short")), "a task id, or empty"),
            (with(jobs(), "resultset_id", json!("-1")), "`resultset_id` must be a whole number"),
            (with(jobs(), "resultset_id", json!("")), "`resultset_id` must be a whole number"),
            (with(jobs(), "resultset_id", json!(1.5)), "`resultset_id` must be a whole number"),
            (with(jobs(), "resultset_id", Value::Null), "`resultset_id` is missing"),
            (with(push(), "times", json!(101)), "`times` must be a number from 1 to 100"),
            (with(push(), "times", json!(0)), "`times` must be a number from 1 to 100"),
            (with(push(), "action", json!("delete_all")), "the action `delete_all` is none of cancel_all"),
            (with(job(), "action", json!("\u{1b}[31m")), "without control characters"),
            (with(job(), "build_system_type", json!("a\u{1b}[2J")), "without control characters"),
            (with(job(), "job_id", Value::Null), "`job_guid` is of no Taskcluster task"),
            (json!([1]), "not a JSON object"),
            (json!({}), "none of Treeherder's"),
        ];
        for (value, part) in cases {
            let error = read(&value).unwrap_err().to_string();
            assert!(error.contains(part), "{part}: {error}");
        }
    }

    #[test]
    fn what_is_no_json_or_too_much_is_refused() {
        for body in [&b""[..], b"{", b"garbage", b"\xff", b"{\"a\": \"\\ud800\"}", b"{\"a\\u0000\": 1}"] {
            assert!(matches!(Message::read(None, body), Err(Unreadable::NoJson(_))), "{body:?}");
        }
        let deep = "[".repeat(100_000);
        assert!(matches!(Message::read(None, deep.as_bytes()), Err(Unreadable::NoJson(_))));
        let large = vec![b' '; MAX_BODY_BYTES + 1];
        assert_eq!(Message::read(None, &large), Err(Unreadable::TooLarge(large.len())));
    }

    #[test]
    fn an_empty_list_is_no_decision_task_either() {
        for empty in [json!(""), json!([]), Value::Null] {
            assert!(read(&with(jobs(), "decision_task_id", empty)).is_ok());
        }
        let task = "AWMGHageTsSoYmoMR1_cRw";
        let Wants::NewJobs { push, .. } = read(&with(jobs(), "decision_task_id", json!(task))).unwrap().wants else {
            panic!("it asks for jobs");
        };
        assert_eq!(push, Push::Decision(task.parse().unwrap(), Some(87376)));
    }
}
