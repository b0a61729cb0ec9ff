use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use taskgraft_client::{Client, Config, Credentials, Error, Retry};
use taskgraft_core::ids::TaskId;

use crate::server::{KEY, Say, Server};

fn id() -> TaskId {
    "fN1SbArXTPSVFUUvaOlinQ".parse().unwrap()
}

#[tokio::test]
async fn path_query_and_body_are_signed_as_they_are_sent() {
    let more = "{\"tasks\":[],\"continuationToken\":\"a+b/c==\",\"taskGroupId\":\"fN1SbArXTPSVFUUvaOlinQ\",\
        \"schedulerId\":\"s\",\"expires\":\"2030-01-01T00:00:00.000Z\"}";
    let last = "{\"tasks\":[],\"taskGroupId\":\"fN1SbArXTPSVFUUvaOlinQ\",\
        \"schedulerId\":\"s\",\"expires\":\"2030-01-01T00:00:00.000Z\"}";
    let server = Server::start([Say::Json(200, more), Say::Json(200, last)]).await;
    let (client, _) = server.client();
    let pages: Vec<_> = client.queue().list_task_group(id(), 2).try_collect().await.unwrap();
    assert_eq!(pages.len(), 2);
    let got = server.got();
    assert_eq!(
        got[1].target,
        format!("/api/queue/v1/task-group/{}/list?limit=2&continuationToken=a%2Bb%2Fc%3D%3D", id())
    );
    assert!(got.iter().all(|got| got.signed == Some(true)), "{got:?}");

    let server = Server::start([Say::Json(200, "{\"statuses\":[]}")]).await;
    let (client, _) = server.client();
    client.queue().statuses::<serde_json::Value>(&[id()]).await.unwrap();
    assert_eq!(server.got()[0].signed, Some(true), "with a body");

    let server = Server::start([Say::Json(404, "{}")]).await;
    let (client, _) = server.client();
    let error = client.queue().artifact(id(), Some(0), "public/a b/é.txt").await.unwrap_err();
    assert!(error.is_not_found());
    assert_eq!(server.got()[0].signed, Some(true), "with an encoded path");
    assert!(server.got()[0].target.ends_with("/artifacts/public%2Fa%20b%2F%C3%A9.txt"));
}

#[tokio::test]
async fn through_a_proxy_nothing_is_signed() {
    let server = Server::start([Say::Json(200, "{\"scopes\":[\"a\"]}")]).await;
    let (config, _) = server.config();
    let proxied = Config { proxy_url: Some(server.url("")), root_url: "https://tc.example.com".into(), ..config };
    let scopes = Client::new(proxied).unwrap().auth().current_scopes().await.unwrap();
    assert_eq!(scopes, ["a"]);
    assert_eq!(server.got()[0].signed, None);
}

#[tokio::test]
async fn a_clock_that_is_off_is_named() {
    let body = "{\"code\":\"AuthenticationFailed\",\"message\":\"Unauthorized: Stale timestamp\"}";
    let server = Server::start([Say::Json(401, body)]).await;
    let (client, _) = server.client();
    let error = client.auth().current_scopes().await.unwrap_err();
    assert!(matches!(error, Error::ClockSkew { .. }), "{error}");
    assert!(error.to_string().contains("clock"), "{error}");
    assert_eq!(server.got().len(), 1, "the same again would be refused again");
}

#[tokio::test]
async fn renewed_credentials_are_used_by_what_is_under_way_and_by_nobody_else() {
    let scopes = || Say::Json(200, "{\"scopes\":[]}");
    let server = Server::start([scopes(), scopes(), scopes()]).await;
    let (client, _) = server.client();
    let ended = client.as_credentials(Some(Credentials::new("task-client/x", "ended")));
    let under_way = ended.with_patience(Retry::never(), Duration::from_secs(5), Arc::default());
    let other = ended.as_credentials(Some(Credentials::new("ann", "another")));
    under_way.auth().current_scopes().await.unwrap();
    ended.renew(Credentials::new("task-client/x", KEY));
    under_way.auth().current_scopes().await.unwrap();
    other.auth().current_scopes().await.unwrap();
    let signed: Vec<_> = server.got().iter().map(|got| got.signed).collect();
    assert_eq!(signed, [Some(false), Some(true), Some(false)]);
}
