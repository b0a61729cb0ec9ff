use std::collections::HashSet;
use std::time::Duration;

use taskgraft_client::{Cause, Client, Config, Error};
use taskgraft_core::ids::TaskId;

use crate::server::{Say, Server};

const OK: &str = "{\"scopes\":[]}";

fn id() -> TaskId {
    "fN1SbArXTPSVFUUvaOlinQ".parse().unwrap()
}

#[tokio::test]
async fn transient_failures_are_tried_again_with_a_nonce_of_their_own() {
    let trouble = [Say::Json(500, "{}"), Say::Break, Say::Silence, Say::Json(200, OK)];
    let server = Server::start(trouble).await;
    let (client, clock) = server.client();
    client.auth().current_scopes().await.unwrap();
    let got = server.got();
    assert_eq!(got.len(), 4);
    assert!(got.iter().all(|got| got.signed == Some(true)), "{got:?}");
    let nonces: HashSet<_> = got.iter().map(|got| got.nonce.clone()).collect();
    assert_eq!(nonces.len(), 4);
    assert_eq!(clock.pauses().len(), 3);
    assert!(clock.pauses()[0] <= Duration::from_millis(200), "the first pause is short");
}

#[tokio::test]
async fn a_creation_is_tried_again_with_the_same_bytes() {
    let server = Server::start([Say::Json(503, ""), Say::Break, Say::Json(409, "{\"message\":\"no\"}")]).await;
    let (client, _) = server.client();
    let body = "{\"b\": 1,  \"a\": [2.0]}";
    let error = client.queue().create_task(id(), body.into()).await.unwrap_err();
    assert!(matches!(error, Error::Conflict { .. }), "{error}");
    let got = server.got();
    assert_eq!(got.iter().map(|got| got.body.clone()).collect::<HashSet<_>>(), HashSet::from([body.into()]));
    assert_eq!((got.len(), got[0].method.as_str()), (3, "PUT"));
}

#[tokio::test]
async fn it_gives_up_with_what_happened_last() {
    let server = Server::start([Say::Json(502, "")]).await;
    let (client, clock) = server.client();
    let error = client.auth().current_scopes().await.unwrap_err();
    let Error::Transient { call, last, tries, .. } = error else { panic!("{error}") };
    assert_eq!((call, last, tries), ("currentScopes", Cause::Status(502), 4));
    assert_eq!((server.got().len(), clock.pauses().len()), (4, 3));
}

#[tokio::test]
async fn a_wish_to_be_left_alone_is_respected() {
    let wait = Say::With(429, &[("retry-after", "17")], bytes::Bytes::new());
    let server = Server::start([wait, Say::Json(200, OK)]).await;
    let (client, clock) = server.client();
    client.auth().current_scopes().await.unwrap();
    assert_eq!(clock.pauses(), [Duration::from_secs(17)]);
}

#[tokio::test]
async fn refusals_are_final() {
    for status in [400, 401, 403, 404, 409, 413, 424] {
        let server = Server::start([Say::Json(status, "{\"code\":\"X\",\"message\":\"no\"}")]).await;
        let (client, _) = server.client();
        client.auth().current_scopes().await.unwrap_err();
        assert_eq!(server.got().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn nobody_there_is_transient() {
    // A port that was free a moment ago.
    let server = Server::start([Say::Json(200, OK)]).await;
    let (client, clock) = server.client();
    let url = server.url("");
    drop(server);
    let config = Config { root_url: url, ..client.config().clone() };
    let error = Client::new(config).unwrap().auth().current_scopes().await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    assert_eq!(clock.pauses().len(), 3);
}

#[tokio::test]
async fn answers_are_bounded() {
    let large = Say::With(200, &[], vec![b' '; 2000].into());
    let server = Server::start([large]).await;
    let (config, _) = server.config();
    let client = Client::new(Config { max_answer: 1000, ..config }).unwrap();
    let error = client.auth().current_scopes().await.unwrap_err();
    assert!(error.to_string().contains("larger than 1000 bytes"), "{error}");
}
