//! `createArtifact` and `finishArtifact`.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::{Value, json};
use taskgraft_core::api::queue::{CreateArtifactRequest, CreateArtifactResponse, StorageType, TaskCredentials};
use taskgraft_core::ids::TaskId;
use taskgraft_core::state::{Run, RunState};
use taskgraft_core::time::{Millis, format_ms};

use super::{Artifact, urls};
use crate::Ctx;
use crate::http::{ApiError, Call, Reply};
use crate::queue::change::change;
use crate::queue::task::Task;
use crate::queue::workers::Worker;
use crate::queue::{credentials, run_id, task_id};

/// How far the clocks of a worker and of the queue may differ.
const DRIFT: SignedDuration = SignedDuration::from_mins(15);

/// For how long after an exception artifacts may still be added: a worker reports first and uploads its log then.
const AFTERWARDS: SignedDuration = SignedDuration::from_mins(25);

/// The longest that credentials for the object service last.
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// What a link's or an error's content is said to be.
const UNKNOWN_CONTENT: &str = "application/binary";

pub(in crate::queue) async fn create_artifact(ctx: &Arc<Ctx>, call: &mut Call) -> Result<Reply, ApiError> {
    let (task_id, run) = (task_id(call)?, run_id(call));
    let name = call.param("name");
    // Who downloads artifacts makes files of their names.
    if name.split('/').any(|part| matches!(part, "." | "..")) {
        return Err(ApiError::input(format!("Artifact name '{name}' has a part that is '.' or '..'")));
    }
    let asked = requested(name.to_owned(), call.input()?);
    let now = ctx.now();
    if asked.expires.saturating_add(DRIFT).is_ok_and(|late| late < now) {
        return Err(ApiError::input("Expires must be in the future"));
    }
    let created = change(ctx, move |changes| {
        let task = Task::find(changes.tx, task_id)?.ok_or_else(|| ApiError::input("Task not found"))?;
        let claimed = task.run(run).ok_or_else(|| ApiError::input("Run not found"))?;
        if claimed.worker_group.is_none() || claimed.worker_id.is_none() {
            return Err(ApiError::input("Run was not claimed by a worker and so no artifacts can exist"));
        }
        check_expiry(&asked, &task)?;
        check_state(claimed, &task, changes.now)?;
        let artifact = match Artifact::find(changes.tx, task.row, run, &asked.name)? {
            None => {
                asked.insert(changes.tx, task.row, run)?;
                asked
            }
            Some(known) => {
                let next = known.replaced_by(asked)?;
                next.update(changes.tx)?;
                next
            }
        };
        // A real queue says nothing of what is put to it afterwards.
        if artifact.present && artifact.storage != StorageType::S3 {
            changes.say(&task, |subject| Some(subject.artifact(task.run(run)?, artifact.published())))?;
        }
        Ok((artifact, task))
    });
    let (artifact, task) = created.await?;
    answer(ctx, &artifact, &task, run)
}

/// The artifact that a request describes.
fn requested(name: String, request: CreateArtifactRequest) -> Artifact {
    let (storage, expires, content_type, content_length, details) = match request {
        CreateArtifactRequest::S3 { expires, content_type, content_length } => {
            (StorageType::S3, expires, content_type, content_length, json!({}))
        }
        CreateArtifactRequest::Object { expires, content_type, content_length } => {
            let upload = TaskId::from_bytes(rand::random());
            (StorageType::Object, expires, content_type, content_length, json!({"uploadId": upload}))
        }
        CreateArtifactRequest::Reference { expires, url, content_type } => {
            (StorageType::Reference, expires, content_type, None, json!({"url": url}))
        }
        CreateArtifactRequest::Link { expires, content_type, artifact } => {
            let content_type = content_type.unwrap_or_else(|| UNKNOWN_CONTENT.to_owned());
            (StorageType::Link, expires, content_type, None, json!({"artifact": artifact}))
        }
        CreateArtifactRequest::Error { expires, reason, message } => {
            let details = json!({"reason": reason, "message": message});
            (StorageType::Error, expires, UNKNOWN_CONTENT.to_owned(), None, details)
        }
    };
    Artifact {
        id: 0,
        name,
        storage,
        content_type,
        // What is longer than fits is not known.
        content_length: content_length.and_then(|length| i64::try_from(length).ok()),
        details,
        // With the object service the maker says when the bytes are in place.
        present: storage != StorageType::Object,
        expires: expires.0,
        blob: (storage == StorageType::S3).then(urls::draw),
        file: None,
        encoding: None,
    }
}

fn check_expiry(asked: &Artifact, task: &Task) -> Result<(), ApiError> {
    if asked.expires <= task.expires {
        return Ok(());
    }
    Err(ApiError::input(format!(
        "Artifact expires ({}) after the task expiration {} (task.expires < expires) - this is not allowed, artifacts \
         may not expire after the task they belong to expires",
        format_ms(asked.expires),
        format_ms(task.expires)
    )))
}

/// Artifacts must be complete before a dependent task may look at them.
fn check_state(run: &Run, task: &Task, now: Timestamp) -> Result<(), ApiError> {
    let late = |resolved: Millis| resolved.0.saturating_add(AFTERWARDS).is_ok_and(|end| end <= now);
    let allowed = match run.state {
        RunState::Running => true,
        RunState::Exception => run.resolved.is_some_and(|resolved| !late(resolved)),
        RunState::Pending | RunState::Completed | RunState::Failed => false,
    };
    if allowed {
        return Ok(());
    }
    let status = serde_json::to_string_pretty(&task.status()).map_err(ApiError::internal)?;
    Err(ApiError::conflict(format!(
        "Artifacts cannot be created for a task after it is resolved, unless it is resolved 'exception', and even in \
         this case only up to 25 min past resolution.This to ensure that artifacts have been uploaded before a task is \
         'completed' and output is consumed by a dependent task\n\nTask status: {status}"
    )))
}

impl Artifact {
    /// What messages say of it.
    fn published(&self) -> Value {
        json!({
            "storageType": self.storage,
            "name": self.name,
            "expires": Millis::from(self.expires),
            "contentType": self.content_type,
        })
    }

    /// This artifact, announced again: a reference may change, and become a link; everything may live longer; nothing
    /// else may differ.
    fn replaced_by(self, asked: Artifact) -> Result<Artifact, ApiError> {
        let same_content = asked.storage == StorageType::Link || self.content_type == asked.content_type;
        let same_storage = match (self.storage, asked.storage) {
            (StorageType::Reference, StorageType::Reference | StorageType::Link) => true,
            (old, new) => old == new && self.details == asked.details,
        };
        if !same_content || !same_storage || self.expires > asked.expires {
            let properties = json!({
                "storageType": super::record::code(self.storage),
                "contentType": self.content_type,
                "expires": format_ms(self.expires),
            });
            return Err(ApiError::conflict(format!(
                "Artifact already exists with different properties, and none of the allowed exceptions apply: {}",
                pretty(&properties)
            )));
        }
        Ok(Artifact { storage: asked.storage, details: asked.details, expires: asked.expires, ..self })
    }
}

/// In the order that a real queue writes them in.
fn pretty(properties: &Value) -> String {
    let entry = |key: &str| format!("  \"{key}\": {}", properties[key]);
    format!("{{\n{}\n}}", ["storageType", "contentType", "expires"].map(entry).join(",\n"))
}

/// What to do for an `object` artifact.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ObjectUpload {
    storage_type: StorageType,
    name: String,
    project_id: String,
    upload_id: String,
    expires: Millis,
    credentials: TaskCredentials,
}

fn answer(ctx: &Ctx, artifact: &Artifact, task: &Task, run: u16) -> Result<Reply, ApiError> {
    let now = ctx.now();
    match (artifact.storage, &artifact.blob) {
        (StorageType::S3, Some(blob)) => Reply::json(&CreateArtifactResponse::S3 {
            put_url: urls::put(&ctx.root_url, blob, now),
            expires: Millis::from(now.saturating_add(urls::PUT_LASTS).unwrap_or(now)),
            content_type: artifact.content_type.clone(),
        }),
        (StorageType::Object, _) => Reply::json(&object_upload(ctx, artifact, task, run, now)?),
        (StorageType::S3 | StorageType::Reference, _) => Reply::json(&CreateArtifactResponse::Reference {}),
        (StorageType::Link, _) => Reply::json(&CreateArtifactResponse::Link {}),
        (StorageType::Error, _) => Reply::json(&CreateArtifactResponse::Error {}),
    }
}

/// Object artifacts are announced as on a real deployment; the object service itself is not part of this one.
fn object_upload(
    ctx: &Ctx,
    artifact: &Artifact,
    task: &Task,
    run: u16,
    now: Timestamp,
) -> Result<ObjectUpload, ApiError> {
    let (task_id, project_id) = (task.task_id, task.project_id.clone());
    let name = format!("t/{task_id}/{run}/{}", artifact.name);
    let worker = Worker::of(task, run);
    let client_id = format!("artifact-upload/{task_id}/{run}/on/{}/{}", worker.worker_group, worker.worker_id);
    let until = now.saturating_add(DAY).unwrap_or(now).min(artifact.expires);
    let scopes = vec![format!("object:upload:{project_id}:{name}")];
    Ok(ObjectUpload {
        storage_type: StorageType::Object,
        name,
        project_id,
        upload_id: artifact.detail("uploadId").to_owned(),
        expires: Millis::from(artifact.expires),
        credentials: credentials::issue(ctx, client_id, scopes, until)?,
    })
}

pub(in crate::queue) async fn finish_artifact(ctx: &Arc<Ctx>, call: &mut Call) -> Result<Reply, ApiError> {
    let (task_id, run) = (task_id(call)?, run_id(call));
    let name = call.param("name").to_owned();
    let upload_id = call.body().get("uploadId").and_then(Value::as_str).unwrap_or_default().to_owned();
    let found = ctx.store.read(move |tx| {
        let Some(task) = Task::find(tx, task_id)?.filter(|task| task.run(run).is_some()) else { return Ok(None) };
        Artifact::find(tx, task.row, run, &name)
    });
    let artifact = found.await?.ok_or_else(super::not_found)?;
    if artifact.storage != StorageType::Object {
        return Err(ApiError::input("Only object artifacts can be finished"));
    }
    if artifact.detail("uploadId") != upload_id {
        return Err(ApiError::input("given uploadId does not match that for the artifact"));
    }
    Err(ApiError::input("Object storing artifact data does not exist"))
}
