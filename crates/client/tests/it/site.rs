use bytes::Bytes;
use serde_json::json;
use taskgraft_client::{Config, Error, Site};

use crate::server::{Say, Server};

fn site(server: &Server, path: &str) -> Site {
    let (config, _) = server.config();
    Site::new(Config { root_url: server.url(path), ..config }).unwrap()
}

#[tokio::test]
async fn it_is_asked_unsigned_below_its_path_again_and_again_until_it_answers() {
    let moved = Say::With(302, &[("set-cookie", "a=b")], Bytes::new());
    let server = Server::start([Say::Json(503, ""), Say::Break, moved]).await;
    let reply = site(&server, "/builds/").get("login", &["auth", "a/b"], &[("q", "x&y")], &Default::default()).await;
    let reply = reply.unwrap();
    assert_eq!((reply.status.as_u16(), reply.headers["set-cookie"].as_bytes()), (302, b"a=b".as_slice()));
    let got = server.got();
    assert_eq!(got.len(), 3);
    assert!(got.iter().all(|got| got.target == "/builds/auth/a%2Fb?q=x%26y" && got.signed.is_none()), "{got:?}");
}

#[tokio::test]
async fn a_post_is_sent_once_and_every_whole_answer_counts() {
    let server = Server::start([Say::Json(500, "{\"why\": 1}"), Say::Break]).await;
    let site = site(&server, "");
    let reply = site.post_once("force", &["x"], &Default::default(), &json!({})).await.unwrap();
    assert_eq!((reply.status.as_u16(), reply.body.as_ref()), (500, b"{\"why\": 1}".as_slice()));
    let error = site.post_once("force", &["x"], &Default::default(), &json!({})).await.unwrap_err();
    assert!(matches!(error, Error::Transient { tries: 1, .. }) && error.may_have_happened(), "{error}");
    assert_eq!(server.got().len(), 2);
}
