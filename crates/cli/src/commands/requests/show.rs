//! `taskgraft requests show`.

use serde::Serialize;
use serde_json::Value;
use taskgraft_core::ids::RequestId;
use taskgraft_service::Request;
use taskgraft_service::journal::{Journal, JournalError, Step};

use crate::exit::Failure;
use crate::output::{Out, Times};

/// Show one request: what was asked, what became of it, and when
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  taskgraft requests show R7Qm2dpaTTqn5JcG_bOa6Q
  taskgraft requests show R7Qm2dpaTTqn5JcG_bOa6Q --json | jq .report")]
pub(super) struct Args {
    /// The request
    #[arg(value_parser = super::id)]
    request: RequestId,
    /// Print JSON, with the plan and the report
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Shown {
    #[serde(flatten)]
    request: Request,
    steps: Vec<Step>,
}

/// What is too long to be kept with the request, and where it is.
fn left_out(request: &Request) -> Vec<String> {
    let parts = request.report.as_ref().and_then(|report| report.get("left_out")?.as_array());
    let told = |part: &Value| {
        let place = match part["artifact"].as_str() {
            Some(artifact) => format!("the action task's {artifact}"),
            None => "the tasks that depend on the action task".to_owned(),
        };
        Some(format!("{}, of {} bytes: see {place}", part["what"].as_str()?, part["bytes"]))
    };
    parts.into_iter().flatten().filter_map(told).collect()
}

pub(super) async fn run(args: &Args, journal: &Journal, out: &Out) -> Result<(), Failure> {
    let unknown = || JournalError::Unknown(args.request.clone());
    let request = journal.get(&args.request).await?.ok_or_else(unknown)?;
    let steps = journal.steps_of(&args.request).await?;
    if args.json {
        return Ok(out.json(&Shown { request, steps })?);
    }
    let (paint, times) = (out.paint(), Times::here());
    out.say(&format!("request {}  {}", request.id, request.state))?;
    let mut columns = out.columns();
    let mut fact = |name: &str, text: Option<String>| {
        if let Some(text) = text {
            columns.row([format!("  {}", paint.dim(name)), text]);
        }
    };
    fact("asked", Some(request.asked.to_string()));
    fact("by", Some(format!("{} over {}", request.asker.name, request.door.as_str())));
    fact("key", Some(request.key.clone()));
    fact("project", request.project.clone());
    fact("push", request.decision.map(|task| task.to_string()));
    fact("action task", request.action_task.map(|task| task.to_string()));
    fact("error", request.error.clone());
    for part in left_out(&request) {
        fact("left out", Some(part));
    }
    fact("retries", Some(request.retries).filter(|retries| *retries > 0).map(|retries| retries.to_string()));
    for step in &steps {
        let what = if step.what.as_str() == step.state.as_str() {
            step.what.as_str().to_owned()
        } else {
            format!("{}: {}", step.what.as_str(), step.state)
        };
        columns.row([format!("  {}", paint.dim(&times.minute(step.at.0))), what]);
    }
    Ok(out.say(&columns.text())?)
}
