//! Clients: made, changed, switched off, gone.

use serde_json::{Value, json};

use crate::requests::{Creds, Up};

const CLIENT: &str = "/api/auth/v1/clients/ann%2Fci";
const CURRENT: &str = "/api/auth/v1/scopes/current";

fn asked(up: &Up, scopes: &[&str]) -> Value {
    json!({"description": "d", "expires": up.date(3600), "scopes": scopes})
}

fn creds(created: &Value) -> Creds {
    Creds::new(created["clientId"].as_str().unwrap(), created["accessToken"].as_str().unwrap())
}

#[tokio::test]
async fn a_client_lives() {
    let up = Up::start().await;
    let root = up.root();
    let body = asked(&up, &["b", "a"]);
    let created = up.call("PUT", CLIENT, &root, &body).await.json();
    assert_eq!((&created["clientId"], &created["scopes"]), (&json!("ann/ci"), &json!(["a", "b"])));
    let ann = creds(&created);
    assert!(up.get(CURRENT, &ann).await.scopes().contains(&"a".to_owned()));
    assert_eq!(up.call("PUT", CLIENT, &root, &body).await.json(), created, "the same again");
    assert_eq!(up.call("PUT", CLIENT, &root, &asked(&up, &["c"])).await.refusal().0, 409);
    let shown = up.anonymous("GET", CLIENT, &Value::Null).await.json();
    assert_eq!(shown.get("accessToken"), None);

    let disabled = up.call("POST", &format!("{CLIENT}/disable"), &root, &Value::Null).await.json();
    assert_eq!(disabled["disabled"], json!(true));
    let expected = (401, "Client with clientId 'ann/ci' is disabled".to_owned());
    assert_eq!(up.get(CURRENT, &ann).await.refusal(), expected);
    assert_eq!(up.get(CURRENT, &up.issued(&ann, &["a"], None, (0, 60))).await.refusal(), expected);
    up.call("POST", &format!("{CLIENT}/enable"), &root, &Value::Null).await;
    assert_eq!(up.get(CURRENT, &ann).await.status, 200);

    let again = creds(&up.call("POST", &format!("{CLIENT}/reset"), &root, &Value::Null).await.json());
    assert_eq!(up.get(CURRENT, &ann).await.refusal(), (401, "Unauthorized: Bad mac".to_owned()));
    assert_eq!(up.get(CURRENT, &again).await.status, 200);
    up.advance(3601);
    assert_eq!(up.get(CURRENT, &again).await.refusal(), (401, "Client with clientId: 'ann/ci' has expired".to_owned()));

    assert_eq!(up.call("DELETE", CLIENT, &root, &Value::Null).await.status, 204);
    assert_eq!(up.call("DELETE", CLIENT, &root, &Value::Null).await.status, 204);
    assert_eq!(up.anonymous("GET", CLIENT, &Value::Null).await.status, 404);
}

#[tokio::test]
async fn nobody_gives_more_than_they_hold() {
    let up = Up::start().await;
    let maker = up.temporary(&["auth:create-client:ann/*", "auth:update-client:ann/*", "a:*"], None);
    let refused = up.call("PUT", CLIENT, &maker, &asked(&up, &["a:1", "b"])).await;
    assert_eq!(refused.status, 403);
    assert!(refused.json()["message"].as_str().unwrap().contains("missing the following scopes:\n\n```\nb\n```"));
    assert_eq!(up.call("PUT", "/api/auth/v1/clients/bob", &maker, &asked(&up, &["a:1"])).await.status, 403);
    assert_eq!(up.call("PUT", CLIENT, &maker, &asked(&up, &["a:1"])).await.status, 200);
    up.call("POST", CLIENT, &up.root(), &asked(&up, &["a:1", "b"])).await;
    // What is there already may stay, what is added must be held.
    assert_eq!(up.call("POST", CLIENT, &maker, &asked(&up, &["a:2", "b"])).await.status, 200);
    assert_eq!(up.call("POST", CLIENT, &maker, &asked(&up, &["a:2", "b", "c"])).await.status, 403);
}

#[tokio::test]
async fn the_root_client_cannot_be_changed() {
    let up = Up::start().await;
    let target = "/api/auth/v1/clients/static%2Ftaskgraft%2Froot";
    for (method, target) in
        [("PUT", target), ("POST", target), ("POST", &format!("{target}/reset")), ("DELETE", target)]
    {
        assert_eq!(up.call(method, target, &up.root(), &asked(&up, &[])).await.refusal().0, 400, "{method} {target}");
    }
    assert_eq!(up.get(CURRENT, &up.root()).await.status, 200);
}

#[tokio::test]
async fn clients_are_listed_in_pages() {
    let up = Up::start().await;
    for name in ["b", "a", "c"] {
        up.call("PUT", &format!("/api/auth/v1/clients/p%2F{name}"), &up.root(), &asked(&up, &[])).await;
    }
    let mut found = Vec::new();
    let mut more = String::new();
    loop {
        let target = format!("/api/auth/v1/clients/?prefix=p%2F&limit=2{more}");
        let page = up.get(&target, &up.root()).await.json();
        found.extend(page["clients"].as_array().unwrap().iter().map(|client| client["clientId"].clone()));
        match page["continuationToken"].as_str() {
            Some(token) => more = format!("&continuationToken={token}"),
            None => break,
        }
    }
    assert_eq!(found, ["p/a", "p/b", "p/c"]);
}

#[tokio::test]
async fn clients_outlive_the_server() {
    let up = Up::start().await;
    let created = up.call("PUT", CLIENT, &up.root(), &asked(&up, &["a"])).await.json();
    let root = up.root();
    let Up { running, dir, clock } = up;
    running.stop().await;
    let again = taskgraft_local::Server::start(taskgraft_local::Config::new(dir.path().join("data"))).await.unwrap();
    let up = Up { running: again, dir, clock };
    assert_eq!(up.root().access_token, root.access_token);
    assert!(up.get(CURRENT, &creds(&created)).await.scopes().contains(&"a".to_owned()));
}
