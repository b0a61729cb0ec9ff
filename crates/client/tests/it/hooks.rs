use serde_json::json;
use taskgraft_client::{Cause, Client, Config, Error};
use taskgraft_core::api::hooks::TriggerToken;

use crate::server::{Say, Server};

const FIRED: &str = "{\"taskId\":\"fN1SbArXTPSVFUUvaOlinQ\",\"status\":{\"taskId\":\"fN1SbArXTPSVFUUvaOlinQ\"}}";

#[tokio::test]
async fn a_slash_in_a_hooks_id_is_sent_and_signed_encoded() {
    let server = Server::start([Say::Json(200, FIRED), Say::Json(200, "{}")]).await;
    let (client, _) = server.client();
    let fired = client.hooks().trigger_hook("project-x", "in-tree-action-1-generic/0a1b", &json!({})).await.unwrap();
    assert_eq!(fired.task_id.unwrap().as_str(), "fN1SbArXTPSVFUUvaOlinQ");
    client.hooks().remove_hook("project-x", "a/b").await.unwrap();
    let got = server.got();
    assert_eq!(got[0].target, "/api/hooks/v1/hooks/project-x/in-tree-action-1-generic%2F0a1b/trigger");
    assert_eq!(got[1].target, "/api/hooks/v1/hooks/project-x/a%2Fb");
    assert!(got.iter().all(|got| got.signed == Some(true)), "{got:?}");
}

#[tokio::test]
async fn a_trigger_is_sent_once_and_says_whether_it_may_have_fired() {
    for (say, may_have_fired) in [
        (Say::Json(500, "{}"), true),
        (Say::Json(502, ""), true),
        (Say::Break, true),
        (Say::Silence, true),
        (Say::Json(200, "<html>"), true),
        (Say::Json(429, "{}"), false),
        (Say::Json(403, "{\"code\":\"InsufficientScopes\"}"), false),
        (Say::Json(400, "{\"code\":\"InputError\"}"), false),
    ] {
        let server = Server::start([say.clone()]).await;
        let (client, _) = server.client();
        let error = client.hooks().trigger_hook("g", "h", &json!({})).await.unwrap_err();
        assert_eq!(error.may_have_happened(), may_have_fired, "{say:?}: {error}");
        assert_eq!(server.got().len(), 1, "{say:?}");
        let token = TriggerToken { token: "x".to_owned() };
        let error = client.hooks().trigger_hook_with_token("g", "h", &token, &json!({})).await.unwrap_err();
        assert_eq!(error.may_have_happened(), may_have_fired, "{say:?}: {error}");
    }
}

#[tokio::test]
async fn where_nobody_listens_nothing_was_fired() {
    let server = Server::start([]).await;
    let root_url = server.url("");
    drop(server);
    let client = Client::new(Config::new(root_url)).unwrap();
    let error = client.hooks().trigger_hook("g", "h", &json!({})).await.unwrap_err();
    assert!(matches!(&error, Error::Transient { last: Cause::Connect(_), tries: 1, .. }), "{error}");
    assert!(!error.may_have_happened());
}
