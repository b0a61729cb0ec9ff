//! The index over HTTP.

use serde_json::{Value, json};

use crate::requests::Up;

const A: &str = "AAAAAAAAQAGAAAAAAAAAAA";
const B: &str = "BBBBBBBBQAGAAAAAAAAAAA";

fn task(up: &Up, id: &str, rank: i64) -> Value {
    json!({"taskId": id, "rank": rank, "data": {}, "expires": up.date(3600)})
}

async fn insert(up: &Up, path: &str, body: &Value) -> crate::requests::Answer {
    up.call("PUT", &format!("/api/index/v1/task/{path}"), &up.root(), body).await
}

async fn find(up: &Up, path: &str) -> crate::requests::Answer {
    up.anonymous("GET", &format!("/api/index/v1/task/{path}"), &Value::Null).await
}

#[tokio::test]
async fn the_highest_rank_stays() {
    let up = Up::start().await;
    assert_eq!(insert(&up, "p.a", &task(&up, A, 5)).await.json()["namespace"], json!("p.a"));
    assert_eq!(insert(&up, "p.a", &task(&up, B, 4)).await.json()["taskId"], json!(A));
    assert_eq!(find(&up, "p.a").await.json()["taskId"], json!(A));
    insert(&up, "p.a", &task(&up, B, 5)).await;
    assert_eq!(find(&up, "p.a").await.json()["taskId"], json!(B));
}

#[tokio::test]
async fn what_has_expired_is_not_found() {
    let up = Up::start().await;
    insert(&up, "p.a", &task(&up, A, 0)).await;
    up.advance(3599);
    assert_eq!(find(&up, "p.a").await.status, 200);
    up.advance(1);
    assert_eq!(find(&up, "p.a").await.refusal(), (404, "Indexed task not found".to_owned()));
    let listed = up.anonymous("GET", "/api/index/v1/tasks/p", &Value::Null).await.json();
    assert_eq!(listed, json!({"tasks": []}));
}

#[tokio::test]
async fn lists_and_batches_come_in_pages() {
    let up = Up::start().await;
    for path in ["p.a", "p.b", "p.c", "p.d.e", "top"] {
        insert(&up, path, &task(&up, A, 0)).await;
    }
    let pages = async |method: &str, target: &str, body: Value| {
        let (mut found, mut more) = (Vec::new(), String::new());
        loop {
            let page = up.call(method, &format!("{target}?limit=2{more}"), &up.root(), &body).await.json();
            let list = page["tasks"].as_array().or(page["namespaces"].as_array()).unwrap();
            assert!(list.len() <= 2);
            found.extend(list.iter().map(|entry| entry["namespace"].as_str().unwrap().to_owned()));
            match page["continuationToken"].as_str() {
                Some(token) => more = format!("&continuationToken={token}"),
                None => return found,
            }
        }
    };
    assert_eq!(pages("GET", "/api/index/v1/tasks/p", Value::Null).await, ["p.a", "p.b", "p.c"]);
    assert_eq!(pages("GET", "/api/index/v1/tasks", Value::Null).await, ["top"]);
    assert_eq!(pages("GET", "/api/index/v1/namespaces/p", Value::Null).await, ["p.d"]);
    assert_eq!(pages("GET", "/api/index/v1/namespaces/", Value::Null).await, ["p"]);
    let batch = json!({"indexes": ["p.d.e", "p.none", "p.a", "top", "p.a"]});
    assert_eq!(pages("POST", "/api/index/v1/tasks/indexes", batch).await, ["p.a", "p.d.e", "top"]);
    let posted = up.anonymous("POST", "/api/index/v1/namespaces/p", &json!({})).await.json();
    assert_eq!(posted["namespaces"][0]["name"], json!("d"));
}

#[tokio::test]
async fn scopes_and_shapes_are_checked() {
    let up = Up::start().await;
    let some = up.temporary(&["index:insert-task:p.*"], None);
    let put = async |path: &str, body: &Value| up.call("PUT", &format!("/api/index/v1/task/{path}"), &some, body).await;
    assert_eq!(put("p.a", &task(&up, A, 0)).await.status, 200);
    assert_eq!(put("q.a", &task(&up, A, 0)).await.status, 403);
    assert_eq!(up.anonymous("PUT", "/api/index/v1/task/p.a", &task(&up, A, 0)).await.status, 403);
    for path in ["p.a%20b", "p..a", "p.a%2F..%2Fb", "p."] {
        assert_eq!(put(path, &task(&up, A, 0)).await.json()["code"], json!("InvalidRequestArguments"), "{path}");
    }
    assert_eq!(put(&format!("p.{}", "x".repeat(254)), &task(&up, A, 0)).await.json()["code"], json!("InputError"));
    let wrong = [("taskId", json!("abc")), ("data", json!([])), ("expires", json!("soon")), ("more", json!(1))];
    for (name, value) in wrong {
        let mut body = task(&up, A, 0);
        body[name] = value;
        assert_eq!(put("p.a", &body).await.json()["code"], json!("InputValidationError"), "{name}");
    }
    let mut body = task(&up, A, 0);
    body["rank"] = json!(2.0);
    assert_eq!(put("p.a", &body).await.json()["rank"], json!(2));
    for rank in [json!(2.5), json!(-2_147_483_649_i64), json!("2")] {
        body["rank"] = rank;
        assert_eq!(put("p.a", &body).await.status, 400);
    }
    let batch = json!({"indexes": ["p.a"]});
    let nobody = up.root().only(&[]);
    up.call("POST", "/api/auth/v1/roles/anonymous", &up.root(), &json!({"description": "", "scopes": []})).await;
    assert_eq!(up.call("POST", "/api/index/v1/tasks/indexes", &nobody, &batch).await.status, 403);
}

#[tokio::test]
async fn private_artifacts_are_reached_by_a_link_that_is_good_for_them_alone() {
    let up = Up::start().await;
    insert(&up, "p.a", &task(&up, A, 0)).await;
    let find = "/api/index/v1/task/p.a/artifacts/private/x%2Fy";
    assert_eq!(up.anonymous("GET", find, &Value::Null).await.status, 403);
    let answer = up.get(find, &up.temporary(&["queue:get-artifact:private/*"], None)).await;
    assert_eq!(answer.status, 303);
    let text = String::from_utf8(answer.body).unwrap();
    let link = text.strip_prefix("See Other. Redirecting to ").unwrap().strip_prefix(up.running.root_url()).unwrap();
    let (path, bewit) = link.split_once('?').unwrap();
    assert_eq!(path, format!("/api/queue/v1/task/{A}/artifacts/private%2Fx%2Fy"));
    // The queue accepts the signature, and then says that there is no such task.
    assert_eq!(up.anonymous("GET", link, &Value::Null).await.status, 404);
    let other = format!("/api/queue/v1/task/{A}/artifacts/private%2Fz?{bewit}");
    assert_eq!(up.anonymous("GET", &other, &Value::Null).await.status, 401);
    up.advance(15 * 60 + 1);
    assert_eq!(up.anonymous("GET", link, &Value::Null).await.refusal().1, "Unauthorized: Access expired");
}
