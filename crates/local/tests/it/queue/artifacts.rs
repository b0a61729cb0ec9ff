//! Files that runs leave behind.

use std::path::PathBuf;

use serde_json::json;
use taskgraft_client::{Client, Error, Upload};
use taskgraft_core::api::queue::{ArtifactErrorReason, CreateArtifactRequest, CreateArtifactResponse, StorageType};
use taskgraft_core::ids::TaskId;
use taskgraft_core::time::{Millis, parse};
use taskgraft_local::queue::jobs;

use super::{Place, message_of, status_of};

/// A running task and its run's client.
async fn running(place: &Place) -> (TaskId, Client) {
    let id = place.create(json!({"deadline": place.later(14_400)})).await;
    let claimed = place.claim_run(id, 0).await.unwrap();
    (id, place.as_run(&claimed.credentials))
}

fn at(text: &str) -> Millis {
    parse(text).unwrap().into()
}

fn s3(place: &Place, content_type: &str) -> CreateArtifactRequest {
    let expires = at(&place.later(80_000));
    CreateArtifactRequest::S3 { expires, content_type: content_type.to_owned(), content_length: None }
}

async fn announce(run: &Client, id: TaskId, name: &str, what: &CreateArtifactRequest) -> Result<String, Error> {
    match run.queue().create_artifact(id, 0, name, what).await? {
        CreateArtifactResponse::S3 { put_url, .. } => Ok(put_url),
        CreateArtifactResponse::Reference {} | CreateArtifactResponse::Link {} | CreateArtifactResponse::Error {} => {
            Ok(String::new())
        }
    }
}

async fn upload(place: &Place, run: &Client, id: TaskId, name: &str, bytes: &'static str) {
    let url = announce(run, id, name, &s3(place, "text/plain")).await.unwrap();
    run.upload(&url, "text/plain", Upload::Bytes(bytes.into())).await.unwrap();
}

async fn fetch(place: &Place, url: &str) -> Result<String, Error> {
    let to = place.deployment.directory.path().join("fetched");
    place.client.download(url, &to, 1 << 20).await?;
    Ok(std::fs::read_to_string(to).unwrap())
}

async fn read(place: &Place, id: TaskId, name: &str) -> Result<String, Error> {
    let location = place.client.queue().artifact(id, None, name).await?;
    fetch(place, &location.url).await
}

fn files(place: &Place) -> Vec<PathBuf> {
    let directory = place.deployment.server.data_dir().join("artifacts");
    std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[tokio::test]
async fn what_is_put_can_be_read_and_replaced() {
    let place = Place::new().await;
    let (id, run) = running(&place).await;
    let url = announce(&run, id, "public/a.json", &s3(&place, "application/json")).await.unwrap();
    // Announced and never put, it answers a URL, and that one 404.
    assert_eq!(status_of(read(&place, id, "public/a.json").await), 404);
    assert_eq!(status_of(run.upload(&url, "text/plain", Upload::Bytes("x".into())).await), 403);
    run.upload(&url, "application/json", Upload::Bytes("{}".into())).await.unwrap();
    assert_eq!(read(&place, id, "public/a.json").await.unwrap(), "{}");
    run.upload(&url, "application/json", Upload::Bytes("[1]".into())).await.unwrap();
    assert_eq!(read(&place, id, "public/a.json").await.unwrap(), "[1]");
    assert_eq!(files(&place).len(), 1);
    let listed = place.client.queue().list_artifacts(id, None).await.unwrap();
    assert_eq!((listed.len(), listed[0].storage_type), (1, StorageType::S3));
    let to = place.deployment.directory.path().join("typed");
    let location = place.client.queue().artifact(id, Some(0), "public/a.json").await.unwrap();
    let got = place.client.download(&location.url, &to, 100).await.unwrap();
    assert_eq!((got.bytes, got.content_type.as_deref()), (3, Some("application/json")));
}

#[tokio::test]
async fn names_lead_nowhere() {
    let place = Place::new().await;
    let (id, run) = running(&place).await;
    for name in ["../../../etc/passwd", "public/../../../../escape", "public/..", "./x"] {
        assert_eq!(status_of(announce(&run, id, name, &s3(&place, "text/plain")).await), 400, "{name}");
    }
    let names = ["/etc/passwd", "public//x", "a b", "public/..x"];
    for name in names {
        upload(&place, &run, id, name, name).await;
    }
    for name in names {
        assert_eq!(read(&place, id, name).await.unwrap(), name);
    }
    assert_eq!(files(&place).len(), names.len());
    let home = place.deployment.server.data_dir().join("artifacts");
    assert!(files(&place).iter().all(|file| file.parent() == Some(home.as_path())));
}

#[tokio::test]
async fn private_bytes_need_a_signed_url_that_is_fresh() {
    let place = Place::new().await;
    let (id, run) = running(&place).await;
    upload(&place, &run, id, "private/p.txt", "secret").await;
    upload(&place, &run, id, "public/p.txt", "known").await;
    assert_eq!(status_of(place.client.as_credentials(None).queue().artifact(id, None, "private/p.txt").await), 403);
    let location = place.client.queue().artifact(id, None, "private/p.txt").await.unwrap();
    assert_eq!(fetch(&place, &location.url).await.unwrap(), "secret");
    let (plain, query) = location.url.split_once('?').unwrap();
    assert_eq!(status_of(fetch(&place, plain).await), 403);
    let longer = format!("{plain}?{}", query.replacen("until=", "until=1", 1));
    assert_eq!(status_of(fetch(&place, &longer).await), 403);
    let other = place.client.queue().artifact(id, None, "public/p.txt").await.unwrap().url;
    assert_eq!(fetch(&place, &other).await.unwrap(), "known");
    place.pass(1801).await;
    assert_eq!(status_of(fetch(&place, &location.url).await), 403);
    assert_eq!(fetch(&place, &other).await.unwrap(), "known");
    // Who may read may not write, and who could write once may not for ever.
    let url = announce(&run, id, "private/q.txt", &s3(&place, "text/plain")).await;
    assert_eq!(status_of(url), 401);
}

#[tokio::test]
async fn a_url_to_put_to_works_for_a_while() {
    let place = Place::new().await;
    let (id, run) = running(&place).await;
    let url = announce(&run, id, "public/a", &s3(&place, "text/plain")).await.unwrap();
    place.pass(45 * 60 + 1).await;
    assert_eq!(status_of(run.upload(&url, "text/plain", Upload::Bytes("late".into())).await), 403);
    assert!(files(&place).is_empty());
}

#[tokio::test]
async fn a_reference_may_change_and_become_a_link_and_nothing_else_may() {
    let place = Place::new().await;
    let (id, run) = running(&place).await;
    let expires = at(&place.later(70_000));
    let reference = |url: &str| {
        let content_type = "text/plain".to_owned();
        CreateArtifactRequest::Reference { expires, url: url.to_owned(), content_type }
    };
    let link = |artifact: &str| {
        let (content_type, artifact) = (Some("text/plain".to_owned()), artifact.to_owned());
        CreateArtifactRequest::Link { expires, content_type, artifact }
    };
    upload(&place, &run, id, "public/log_backing", "whole").await;
    announce(&run, id, "public/log", &reference("https://example.org/1")).await.unwrap();
    announce(&run, id, "public/log", &reference("https://example.org/2")).await.unwrap();
    let location = place.client.queue().artifact(id, None, "public/log").await.unwrap();
    assert_eq!(location.url, "https://example.org/2");
    announce(&run, id, "public/log", &link("public/log_backing")).await.unwrap();
    assert_eq!(read(&place, id, "public/log").await.unwrap(), "whole");
    assert_eq!(status_of(announce(&run, id, "public/log", &reference("https://example.org/3")).await), 409);
    assert_eq!(status_of(announce(&run, id, "public/log_backing", &s3(&place, "text/html")).await), 409);
    announce(&run, id, "public/log_backing", &s3(&place, "text/plain")).await.unwrap();
    assert_eq!(read(&place, id, "public/log").await.unwrap(), "whole");
    announce(&run, id, "public/x", &link("public/y")).await.unwrap();
    announce(&run, id, "public/y", &link("public/x")).await.unwrap();
    assert!(message_of(place.client.queue().artifact(id, None, "public/x").await).contains("cycle"));
}

#[tokio::test]
async fn an_artifact_belongs_to_a_run_and_comes_before_its_end() {
    let place = Place::new().await;
    let (id, run) = running(&place).await;
    let error = CreateArtifactRequest::Error {
        expires: at(&place.later(100)),
        reason: ArtifactErrorReason::FileMissingOnWorker,
        message: "no such file".to_owned(),
    };
    announce(&run, id, "public/a", &error).await.unwrap();
    assert_eq!(status_of(place.client.queue().artifact(id, None, "public/a").await), 424);
    let too_long = CreateArtifactRequest::S3 {
        expires: at(&place.later(90_000)),
        content_type: "text/plain".to_owned(),
        content_length: None,
    };
    assert_eq!(status_of(announce(&run, id, "public/b", &too_long).await), 400);
    run.queue().report_failed(id, 0).await.unwrap();
    assert_eq!(status_of(announce(&run, id, "public/b", &s3(&place, "text/plain")).await), 409);
    place.client.queue().rerun_task(id).await.unwrap();
    assert_eq!(status_of(place.client.queue().artifact(id, None, "public/a").await), 404);
    assert_eq!(status_of(place.client.queue().artifact(id, Some(0), "public/a").await), 424);
    let pending = place.claim_run(id, 1).await.unwrap();
    let (second, expires) = (place.as_run(&pending.credentials), at(&place.later(100)));
    let early = CreateArtifactRequest::Reference {
        expires,
        url: "https://example.org".to_owned(),
        content_type: "text/html".to_owned(),
    };
    assert_eq!(status_of(announce(&second, id, "public/c", &early).await), 403);
}

#[tokio::test]
async fn expired_artifacts_are_forgotten_with_their_bytes() {
    let place = Place::new().await;
    let (id, run) = running(&place).await;
    upload(&place, &run, id, "public/a", "bytes").await;
    place.pass(80_001).await;
    assert_eq!(status_of(read(&place, id, "public/a").await), 410);
    jobs::purge(place.deployment.server.ctx()).await.unwrap();
    assert_eq!(status_of(read(&place, id, "public/a").await), 404);
    assert!(files(&place).is_empty());
}

#[tokio::test]
async fn what_a_crash_left_of_an_upload_goes_at_the_next_start() {
    let place = Place::new().await;
    let (id, run) = running(&place).await;
    upload(&place, &run, id, "public/a", "kept").await;
    std::fs::write(place.deployment.server.data_dir().join("artifacts/half"), "half").unwrap();
    jobs::recover(place.deployment.server.ctx()).await.unwrap();
    assert_eq!(files(&place).len(), 1);
    assert_eq!(read(&place, id, "public/a").await.unwrap(), "kept");
}
