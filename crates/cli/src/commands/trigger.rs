//! `taskgraft trigger`.

use std::fs;
use std::io::Read as _;

use serde::Serialize;
use serde_json::Value;
use taskgraft_core::action::catalog::Offered;
use taskgraft_core::action::schema::MAX_INPUT_BYTES;
use taskgraft_engine::trigger::{Ask, Offer, Prepared};

use crate::creating::After;
use crate::env::Env;
use crate::exit::{Failure, NOTHING};
use crate::output::Out;
use crate::progress::Busy;
use crate::through::Through;
use crate::{asking, connect, push};

/// The most bytes of input that are read.
const MAX_INPUT: u64 = MAX_INPUT_BYTES as u64;

/// Ask for one of a push's own actions; without a name, list them
///
/// It takes the right to trigger the action's hook, and no other: the action task does the work. The action and its
/// input are checked against what the push publishes before anything is sent.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  taskgraft trigger --decision-id lander@a1b2c3d
  taskgraft trigger rerun --decision-id lander@a1b2c3d --task-id AWMGHageTsSoYmoMR1_cRw --wait
  taskgraft trigger add-new-jobs --decision-id lander@a1b2c3d --input '{\"tasks\": [\"test-unit-3\"]}'
  taskgraft trigger retrigger-multiple --decision-id lander@a1b2c3d --input @requests.json")]
pub(crate) struct Args {
    /// The action's name
    action: Option<String>,
    /// The push: its decision task's id, the URL of a task or group, or PROJECT@REVISION
    #[arg(long, value_name = "PUSH")]
    decision_id: String,
    /// The task that the action is for; without it, the push as a whole
    #[arg(long, value_name = "TASK")]
    task_id: Option<String>,
    /// What the action is told: JSON, or @ and a file's name (@- reads standard input)
    #[arg(long, value_name = "JSON|@FILE", requires = "action")]
    input: Option<String>,
    /// Name the request: the same name with the same input does the work once [default: $TASK_ID, else a fresh one]
    #[arg(long, value_name = "ID", requires = "action")]
    request_id: Option<String>,
    /// Follow the action task and its jobs to their end; exit code 6 if not all of them become green
    #[arg(long, requires = "action")]
    wait: bool,
    /// Print what came of it, or the actions, as JSON
    #[arg(long)]
    json: bool,
}

/// An action that can be asked for, as data.
#[derive(Debug, Serialize)]
struct Listed<'a> {
    name: &'a str,
    title: &'a str,
    description: &'a str,
    context: Value,
    schema: Option<&'a Value>,
}

impl<'a> From<&'a Offered> for Listed<'a> {
    fn from(action: &'a Offered) -> Self {
        Self {
            name: &action.name,
            title: &action.title,
            description: &action.description,
            context: action.context.to_json(),
            schema: action.schema.as_ref(),
        }
    }
}

pub(crate) async fn run(args: &Args, env: &Env, out: &Out) -> Result<(), Failure> {
    let client = if args.action.is_some() { connect::writer(env)? } else { connect::reader(env)? };
    let input = args.input.as_deref().map(read_input).transpose()?.unwrap_or_default();
    let artifacts = connect::artifacts(&client, env)?;
    let busy = Busy::with(out, "reading what the push offers");
    let decision = push::resolve(&client, &args.decision_id).await?;
    let offer = Offer::load(&client, &artifacts, decision).await?;
    drop(busy);
    let subject = match args.task_id.as_deref() {
        Some(text) => Some(push::resolve_task(&client, text).await?),
        None => None,
    };
    let Some(action) = args.action.clone() else { return list(&offer, args.json, out) };
    let key = asking::request_id(args.request_id.as_deref(), env.task_id.as_deref())?;
    let known = args.request_id.is_some() || env.task_id.is_some();
    let ask = Ask { action, subject, input, key: key.to_string(), undone: 0, fresh: !known, shown: None };
    let prepared = match Prepared::new(&client, &offer, ask).await {
        Ok(prepared) => prepared,
        Err(error) => {
            let failure = Failure::from(error);
            return Err(failure.note("list them", format!("taskgraft trigger --decision-id {decision}")));
        }
    };
    let through = Through { client: &client, artifacts: &artifacts, offer: &offer, env, out };
    let before = if known { through.asked_before(&prepared).await? } else { None };
    let sent = match before {
        Some(sent) => sent,
        None => {
            through.allowed(&prepared).await?;
            through.send(&prepared).await?
        }
    };
    if args.wait {
        through.follow(&prepared, sent, After { wait: true, json: args.json }).await
    } else {
        through.tell(&prepared, sent, args.json)
    }
}

/// JSON as it stands, or from a file.
fn read_input(text: &str) -> Result<Value, Failure> {
    let wrong = |why: String| Failure::mistake(format!("failed to read --input: {why}")).closing(NOTHING);
    let bytes = match text.strip_prefix('@') {
        None => text.as_bytes().to_vec(),
        Some(file) => {
            let mut bytes = Vec::new();
            let read = match file {
                "-" => std::io::stdin().take(MAX_INPUT + 1).read_to_end(&mut bytes),
                _ => fs::File::open(file).and_then(|file| file.take(MAX_INPUT + 1).read_to_end(&mut bytes)),
            };
            read.map_err(|error| wrong(format!("{file}: {error}")))?;
            bytes
        }
    };
    if bytes.len() as u64 > MAX_INPUT {
        return Err(wrong(format!("it has more than {MAX_INPUT} bytes")));
    }
    taskgraft_core::json::parse(&bytes).map_err(|error| wrong(error.to_string()))
}

fn list(offer: &Offer, json: bool, out: &Out) -> Result<(), Failure> {
    let actions = &offer.catalog.actions;
    if json {
        return Ok(out.json(&actions.iter().map(Listed::from).collect::<Vec<_>>())?);
    }
    let mut columns = out.columns();
    for action in actions {
        let what = if action.context.fits(None) { "the push" } else { "a task" };
        let first = action.description.split("\n\n").next().unwrap_or_default().replace('\n', " ");
        columns.row([out.paint().bold(&action.name), what.to_owned(), first]);
    }
    Ok(out.say(&columns.text())?)
}
