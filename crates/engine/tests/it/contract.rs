//! Every call of the client, once through the life of tasks, against the embedded Taskcluster.

use futures_util::TryStreamExt as _;
use jiff::SignedDuration;
use serde_json::json;
use taskgraft_client::{Error, Upload};
use taskgraft_core::api::auth::{CreateClientRequest, CreateRoleRequest};
use taskgraft_core::api::index::InsertTaskRequest;
use taskgraft_core::api::queue::{ClaimWorkRequest, CreateArtifactRequest, CreateArtifactResponse};
use taskgraft_core::ids::TaskId;
use taskgraft_core::state::{ExceptionReason, TaskState};
use taskgraft_core::time::Millis;

use crate::site::{SCHEDULER, Site, definition};

const QUEUE: &str = "proj-lander/linux";

#[tokio::test(flavor = "multi_thread")]
async fn the_queue_through_the_life_of_a_group() {
    let site = Site::start().await;
    let client = site.client();
    let queue = client.queue();
    let group = TaskId::from_bytes(rand::random());
    let first = site.task(group, SCHEDULER, "first", &[]).await;
    let second = site.task(group, SCHEDULER, "second", &[first]).await;

    assert_eq!(queue.task(second).await.unwrap().dependencies, [first]);
    assert_eq!(queue.status(second).await.unwrap().state, TaskState::Unscheduled);
    assert_eq!(queue.tasks::<serde_json::Value>(&[first, second, group]).await.unwrap().len(), 2);
    assert_eq!(queue.statuses::<serde_json::Value>(&[first, second, group]).await.unwrap().len(), 2);
    assert_eq!(queue.list_dependent_tasks(first).await.unwrap()[0].status.task_id, second);
    assert_eq!(queue.get_task_group(group).await.unwrap().scheduler_id, SCHEDULER);
    let pages: Vec<_> = queue.list_task_group(group, 1).try_collect().await.unwrap();
    assert_eq!(pages.iter().map(|page| page.tasks.len()).sum::<usize>(), 2);
    assert_eq!(queue.pending_tasks(QUEUE).await.unwrap().pending_tasks, 1);
    assert_eq!(queue.task_queue_counts(QUEUE).await.unwrap().claimed_tasks, 0);

    let work = ClaimWorkRequest { worker_group: "here".into(), worker_id: "w".into(), tasks: 4 };
    let claimed = queue.claim_work(QUEUE, &work).await.unwrap();
    assert_eq!(claimed.iter().map(|claim| claim.status.task_id).collect::<Vec<_>>(), [first]);
    assert_eq!(queue.reclaim_task(first, 0).await.unwrap().run_id, 0);
    let expires = Millis::from(site.now() + SignedDuration::from_hours(1));
    let request = CreateArtifactRequest::S3 { expires, content_type: "text/plain".into(), content_length: None };
    let CreateArtifactResponse::S3 { put_url, .. } =
        queue.create_artifact(first, 0, "public/a b/c.txt", &request).await.unwrap()
    else {
        panic!("an s3 artifact is uploaded");
    };
    client.upload(&put_url, "text/plain", Upload::Bytes("contents".into())).await.unwrap();
    assert_eq!(queue.list_artifacts(first, Some(0)).await.unwrap()[0].name, "public/a b/c.txt");
    assert_eq!(queue.list_artifacts(first, None).await.unwrap().len(), 1);
    let to = site.dir.path().join("c.txt");
    for run in [Some(0), None] {
        let location = queue.artifact(first, run, "public/a b/c.txt").await.unwrap();
        client.download(&location.url, &to, 8).await.unwrap();
        assert_eq!(std::fs::read(&to).unwrap(), b"contents");
    }
    assert!(queue.artifact(first, Some(0), "public/other").await.unwrap_err().is_not_found());

    queue.report_exception(first, 0, ExceptionReason::WorkerShutdown).await.unwrap();
    site.claim(first).await;
    assert_eq!(queue.report_failed(first, 1).await.unwrap().state, TaskState::Failed);
    assert_eq!(queue.rerun_task(first).await.unwrap().state, TaskState::Pending);
    site.claim(first).await;
    assert_eq!(queue.report_completed(first, 2).await.unwrap().state, TaskState::Completed);
    assert_eq!(queue.schedule_task(second).await.unwrap().state, TaskState::Pending);
    assert_eq!(queue.cancel_task(second).await.unwrap().state, TaskState::Exception);
    assert!(matches!(queue.cancel_task_group(group).await, Err(Error::Conflict { .. })), "it is not sealed");
    assert!(queue.seal_task_group(group).await.unwrap().sealed.is_some());
    assert_eq!(queue.cancel_task_group(group).await.unwrap().task_group_size, 2);
    let third = definition(site.now(), group, SCHEDULER, "third", &[]).to_string();
    let error = queue.create_task(TaskId::from_bytes(rand::random()), third.into()).await.unwrap_err();
    assert!(matches!(error, Error::Conflict { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_index() {
    let site = Site::start().await;
    let client = site.client();
    let index = client.index();
    let task_id = TaskId::from_bytes(rand::random());
    let expires = Millis::from(site.now() + SignedDuration::from_hours(24));
    let entry = InsertTaskRequest { task_id, rank: 1, data: json!({"a": 1}), expires };
    for n in 0..3 {
        index.insert_task(&format!("lander.v2.x.n{n}"), &entry).await.unwrap();
    }
    assert_eq!(index.find_task("lander.v2.x.n1").await.unwrap().task_id, task_id);
    assert!(index.find_task("lander.v2.x.n9").await.unwrap_err().is_not_found());
    let paths = ["lander.v2.x.n0", "lander.v2.x.n9"].map(str::to_owned);
    assert_eq!(index.find_tasks_at_index(&paths).await.unwrap().into_keys().collect::<Vec<_>>(), [paths[0].clone()]);
    assert_eq!(index.list_tasks("lander.v2.x").await.unwrap().len(), 3);
    assert_eq!(index.list_namespaces("").await.unwrap()[0].name, "lander");
    assert_eq!(index.list_namespaces("lander.v2").await.unwrap()[0].namespace, "lander.v2.x");
}

#[tokio::test(flavor = "multi_thread")]
async fn auth() {
    let site = Site::start().await;
    let client = site.client();
    let auth = client.auth();
    assert_eq!(auth.current_scopes().await.unwrap(), ["*"]);
    let role = CreateRoleRequest { description: "r".into(), scopes: vec!["queue:route:x".into()] };
    auth.create_role("lander", &role).await.unwrap();
    let expanded = auth.expand_scopes(vec!["assume:lander".into()]).await.unwrap();
    assert!(expanded.contains(&"queue:route:x".to_owned()), "{expanded:?}");
    let changed = CreateRoleRequest { scopes: vec!["queue:route:y".into()], ..role };
    auth.update_role("lander", &changed).await.unwrap();
    assert_eq!(auth.role("lander").await.unwrap().scopes, ["queue:route:y"]);
    assert!(auth.list_roles().await.unwrap().iter().any(|role| role.role_id == "lander"));
    let expires = Millis::from(site.now() + SignedDuration::from_hours(24));
    let scopes = Some(vec!["assume:lander".to_owned()]);
    let request = CreateClientRequest { description: "a".into(), expires, scopes, delete_on_expiration: false };
    let created = auth.create_client("ann/laptop", &request).await.unwrap();
    let ann = taskgraft_client::Credentials::new("ann/laptop", &created.access_token);
    assert!(site.client_as(ann.clone()).auth().current_scopes().await.unwrap().contains(&"queue:route:y".to_owned()));
    assert_ne!(auth.reset_access_token("ann/laptop").await.unwrap().access_token, created.access_token);
    assert!(site.client_as(ann).auth().current_scopes().await.is_err(), "the old token has ended");
    assert!(auth.disable_client("ann/laptop").await.unwrap().disabled);
    assert!(!auth.enable_client("ann/laptop").await.unwrap().disabled);
    auth.update_client("ann/laptop", &request).await.unwrap();
    assert!(auth.list_clients().await.unwrap().iter().any(|client| client.client_id == "ann/laptop"));
    auth.delete_client("ann/laptop").await.unwrap();
    assert!(auth.client("ann/laptop").await.unwrap_err().is_not_found());
    auth.delete_role("lander").await.unwrap();
    assert!(auth.role("lander").await.unwrap_err().is_not_found());
}
