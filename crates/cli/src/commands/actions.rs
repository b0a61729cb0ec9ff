//! `taskgraft actions`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;
use taskgraft_core::action::publish::{self, Publication, PublishError};
use taskgraft_core::json::to_string_sorted;
use taskgraft_core::params::Parameters;
use taskgraft_engine::{
    ParametersRef, Project, ProjectError, PushRef, ReadParametersError, TaskclusterYml, read_parameters_file,
};

use crate::asking::Rules;
use crate::env::Env;
use crate::exit::{Failure, chain};
use crate::output::Out;
use crate::{connect, push};

/// What stands for the decision task where only the actions are to be seen, as in the reference.
const PLACEHOLDER: &str = "DECISION-TASK";

/// Print or write what a decision task publishes, so that people can ask for actions
///
/// Prints actions.json. With --out, for use at a decision task's end, writes actions.json and action.yml there. An
/// actions.json that is there keeps all that it holds: taskgraft's own actions are added to it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  taskgraft actions -p artifacts/parameters.yml
  taskgraft actions -p artifacts/parameters.yml --out artifacts    # in a decision task, after its own command
  taskgraft actions -p project=lander --root ci/taskgraph --policy reference
  taskgraft actions --decision-id TADoGLV5QUWAYivg1ReyTw --without backfill")]
pub(crate) struct Args {
    /// The push's parameters: a YAML or JSON file, task-id=ID, project=NAME or index=PATH [default: the decision task's]
    #[arg(short, long, value_name = "PARAMETERS")]
    parameters: Option<ParametersRef>,
    /// Where the project's config.yml is; its .taskcluster.yml is there or above
    #[arg(short, long, value_name = "DIR", default_value = "taskcluster")]
    root: PathBuf,
    /// The decision task that publishes them [default: DECISION-TASK, with --out TASK_ID]
    #[arg(long, value_name = "PUSH")]
    decision_id: Option<String>,
    /// Write actions.json and action.yml to this directory
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Leave out an action, by its callback's name; give it once for each
    #[arg(long, value_name = "ACTION")]
    without: Vec<String>,
    /// Whose actions: taskgraft's among the reference's, or only the reference's, byte for byte
    #[arg(long, value_name = "RULES", value_enum, default_value_t)]
    policy: Rules,
}

pub(crate) async fn run(args: Args, env: &Env, out: &Out) -> Result<(), Failure> {
    let project = Project::read(&args.root)?;
    let file = project.taskcluster_yml(&args.root)?;
    let without = publish::left_out(&project.disabled_actions, project.registers, &args.without, args.policy.into())?;
    let decision = decision(&args, env).await?;
    let parameters = parameters(&args, decision.as_deref(), &project, env).await?;
    let publication = Publication {
        parameters: &parameters,
        trust_domain: &project.trust_domain,
        hook_hash: &file.hash,
        decision: decision.as_deref().unwrap_or(PLACEHOLDER),
        policy: args.policy.into(),
    };
    let actions = publication.actions_json(&without)?;
    match &args.out {
        None => Ok(out.say(&to_string_sorted(&actions))?),
        Some(dir) => write(&publication, actions, &file, dir, out),
    }
}

/// The decision task, where one is named: in a decision task that is itself.
async fn decision(args: &Args, env: &Env) -> Result<Option<String>, Failure> {
    match (&args.decision_id, &args.out, &env.task_id) {
        (Some(text), _, _) => match push::parse(text)? {
            PushRef::Task(id) | PushRef::Member(id) => Ok(Some(id.to_string())),
            PushRef::Revision { .. } => Ok(Some(push::resolve(&connect::reader(env)?, text).await?.to_string())),
        },
        (None, Some(_), Some(own)) => Ok(Some(own.clone())),
        (None, Some(_), None) => Err(Failure::mistake("which decision task publishes these? TASK_ID is not set")
            .note("say which", "--decision-id TADoGLV5QUWAYivg1ReyTw")),
        (None, None, _) => Ok(None),
    }
}

async fn parameters(args: &Args, decision: Option<&str>, project: &Project, env: &Env) -> Result<Parameters, Failure> {
    let wanted = match (&args.parameters, decision) {
        (Some(wanted), _) => wanted.clone(),
        (None, Some(decision)) => ParametersRef::Task(decision.to_owned()),
        (None, None) => {
            return Err(Failure::mistake("whose actions? neither --parameters nor --decision-id was given")
                .note("say which", "--parameters parameters.yml"));
        }
    };
    if let Some(path) = wanted.file() {
        return Ok(read_parameters_file(path)?);
    }
    let client = connect::reader(env)?;
    let artifacts = connect::artifacts(&client, env)?;
    Ok(wanted.fetch(&client, &artifacts, &project.trust_domain).await?)
}

fn write(
    publication: &Publication<'_>,
    ours: Value,
    file: &TaskclusterYml,
    dir: &Path,
    out: &Out,
) -> Result<(), Failure> {
    let path = dir.join("actions.json");
    let actions = match existing(&path)? {
        Some(existing) => publish::added_to(existing, &ours)?,
        None => ours,
    };
    let template = publication.action_yml(&file.content)?;
    let save = |path: &Path, text: &str| {
        fs::write(path, text)
            .map_err(|why| Failure::other(format!("failed to write {}: {}", path.display(), chain(&why))))
    };
    fs::create_dir_all(dir)
        .map_err(|why| Failure::mistake(format!("failed to make {}: {}", dir.display(), chain(&why))))?;
    save(&dir.join("action.yml"), &template)?;
    save(&path, &to_string_sorted(&actions))?;
    let count = actions["actions"].as_array().map_or(0, Vec::len);
    out.note(&format!("{count} actions in {}, and action.yml beside it", path.display()));
    Ok(())
}

/// What a decision task wrote before.
fn existing(path: &Path) -> Result<Option<Value>, Failure> {
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|why| Failure::mistake(format!("failed to read {}: {why}", path.display()))),
        Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(why) => Err(Failure::mistake(format!("failed to read {}: {}", path.display(), chain(&why)))),
    }
}

impl From<ProjectError> for Failure {
    fn from(error: ProjectError) -> Self {
        Self::mistake(format!("failed to {error}")).note("a checkout's", "--root DIR, where config.yml is")
    }
}

impl From<PublishError> for Failure {
    fn from(error: PublishError) -> Self {
        Self::mistake(format!("failed to {error}"))
    }
}

impl From<ReadParametersError> for Failure {
    fn from(error: ReadParametersError) -> Self {
        let message = format!("failed to {error}");
        match error {
            ReadParametersError::Client(error) => error.into(),
            ReadParametersError::Fetch(_)
            | ReadParametersError::Io { .. }
            | ReadParametersError::Url(_)
            | ReadParametersError::TaskId(_)
            | ReadParametersError::Parameters(_) => {
                Self::mistake(message).note("they may be", "a file, task-id=ID, project=NAME or index=PATH")
            }
        }
    }
}
