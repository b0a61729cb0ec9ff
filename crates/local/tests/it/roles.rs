//! Roles: what they add, who may change them, and what they must not be.

use serde_json::{Value, json};

use crate::requests::Up;

fn target(role: &str) -> String {
    format!("/api/auth/v1/roles/{}", role.replace('/', "%2F").replace('*', "%2A"))
}

async fn put(up: &Up, role: &str, scopes: &[&str]) -> crate::requests::Answer {
    up.call("PUT", &target(role), &up.root(), &json!({"description": "", "scopes": scopes})).await
}

async fn expanded(up: &Up, scopes: &[&str]) -> Vec<String> {
    up.anonymous("POST", "/api/auth/v1/scopes/expand", &json!({"scopes": scopes})).await.scopes()
}

#[tokio::test]
async fn roles_expand_and_change_at_once() {
    let up = Up::start().await;
    put(&up, "one", &["a"]).await;
    put(&up, "star/*", &["x:<..>:end", "assume:one"]).await;
    assert_eq!(expanded(&up, &["assume:star/q"]).await, ["a", "assume:one", "assume:star/q", "x:q:end"]);
    assert_eq!(expanded(&up, &["assume:star/q*"]).await, ["a", "assume:one", "assume:star/q*", "x:q*"]);
    let body = json!({"description": "", "scopes": ["b"]});
    assert_eq!(up.call("POST", &target("one"), &up.root(), &body).await.status, 200);
    assert_eq!(expanded(&up, &["assume:one"]).await, ["assume:one", "b"]);
    up.call("DELETE", &target("one"), &up.root(), &Value::Null).await;
    assert_eq!(expanded(&up, &["assume:one"]).await, ["assume:one"]);
}

#[tokio::test]
async fn everybody_holds_the_role_anonymous() {
    let up = Up::start().await;
    let body = json!({"description": "", "scopes": ["auth:current-scopes", "wire:all"]});
    up.call("POST", &target("anonymous"), &up.root(), &body).await;
    let scopes = up.anonymous("GET", "/api/auth/v1/scopes/current", &Value::Null).await.scopes();
    assert_eq!(scopes, ["assume:anonymous", "auth:current-scopes", "wire:all"]);
    let answer = up.anonymous("GET", "/api/auth/v1/roles/", &Value::Null).await;
    let required = "This request requires Taskcluster credentials that satisfy the following scope expression:";
    assert_eq!(answer.refusal(), (403, required.to_owned()));
}

#[tokio::test]
async fn cycles_and_explosions_are_refused_and_change_nothing() {
    let up = Up::start().await;
    put(&up, "a", &["assume:b"]).await;
    put(&up, "b*", &["assume:c<..>"]).await;
    assert_eq!(put(&up, "c", &["assume:a"]).await.refusal().0, 400);
    assert_eq!(put(&up, "d", &["*"]).await.refusal().0, 400);
    assert_eq!(put(&up, "e*", &["<..><..>"]).await.refusal().0, 400);
    assert_eq!(put(&up, "f", &["x**"]).await.refusal(), (400, "scopes must not end with `**`".to_owned()));
    assert_eq!(up.anonymous("GET", &target("c"), &Value::Null).await.status, 404);
    for n in 0..20 {
        let next = [format!("assume:r{:02}/<..>x", n + 1), format!("assume:r{:02}/<..>y", n + 1)];
        let scopes: Vec<&str> = next.iter().map(String::as_str).collect();
        put(&up, &format!("r{n:02}/*"), &scopes).await;
    }
    let answer = up.anonymous("POST", "/api/auth/v1/scopes/expand", &json!({"scopes": ["assume:r00/"]})).await;
    assert_eq!(answer.refusal(), (400, "roles expand to more than 10000 scopes".to_owned()));
    let creds = up.temporary(&["assume:r00/"], None);
    assert_eq!(up.get("/api/auth/v1/scopes/current", &creds).await.status, 401);
}

#[tokio::test]
async fn nobody_gives_a_role_more_than_they_hold() {
    let up = Up::start().await;
    let maker = up.temporary(&["auth:create-role:p/*", "auth:update-role:p/*", "assume:p/held", "a"], None);
    put(&up, "p/held", &["b:*"]).await;
    let ask = async |method: &str, role: &str, scopes: &[&str]| {
        up.call(method, &target(role), &maker, &json!({"description": "", "scopes": scopes})).await.status
    };
    assert_eq!(ask("PUT", "p/new", &["a", "b:1", "assume:p/held"]).await, 200);
    assert_eq!(ask("PUT", "p/newer", &["c"]).await, 403);
    assert_eq!(ask("PUT", "q", &["a"]).await, 403);
    assert_eq!(ask("POST", "p/new", &["b:2"]).await, 200);
    assert_eq!(ask("POST", "p/new", &["*"]).await, 403);
}

#[tokio::test]
async fn creating_again_is_fine_when_it_is_the_same() {
    let up = Up::start().await;
    let first = put(&up, "p", &["b", "a"]).await.json();
    assert_eq!(first["scopes"], json!(["a", "b"]));
    assert_eq!(put(&up, "p", &["a", "b"]).await.json(), first);
    assert_eq!(put(&up, "p", &["a"]).await.refusal(), (409, "Role with roleId 'p' already exists".to_owned()));
    let ids = up.anonymous("GET", "/api/auth/v1/roleids/", &Value::Null).await.json();
    assert_eq!(ids, json!({"roleIds": ["anonymous", "p"]}));
}
