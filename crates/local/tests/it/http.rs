//! What every service answers, and what no service takes.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::requests::{Up, raw};

const EXPAND: &str = "/api/auth/v1/scopes/expand";

#[tokio::test]
async fn every_service_says_that_it_lives() {
    let up = Up::start().await;
    up.advance(5);
    for service in ["queue", "index", "auth", "hooks"] {
        let answer = up.anonymous("GET", &format!("/api/{service}/v1/ping"), &Value::Null).await;
        assert_eq!(answer.json(), json!({"alive": true, "uptime": 5.0}));
        assert!(answer.head.contains("access-control-allow-origin: *"));
        assert!(answer.head.contains("cache-control: no-store no-cache must-revalidate"));
    }
    let head = up.anonymous("HEAD", "/api/queue/v1/ping", &Value::Null).await;
    assert_eq!((head.status, head.body.len()), (200, 0));
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let up = Up::start().await;
    for (method, target) in
        [("GET", "/api/queue/v1/nope"), ("POST", "/api/queue/v1/ping"), ("GET", "/api/auth/v2/ping")]
    {
        let answer = up.anonymous(method, target, &Value::Null).await;
        assert_eq!((answer.status, answer.json()), (404, json!({"error": "Not found"})), "{method} {target}");
    }
    for target in ["/api/nope/v1/ping", "/api", "/apiqueue/v1/ping", "/favicon.ico", "/api/../etc/passwd"] {
        assert_eq!(up.anonymous("GET", target, &Value::Null).await.status, 404, "{target}");
    }
    assert_eq!(up.anonymous("GET", "/", &Value::Null).await.status, 200);
    let preflight = up.anonymous("OPTIONS", "/api/auth/v1/clients/x", &Value::Null).await;
    assert_eq!((preflight.status, preflight.body), (200, b"GET, HEAD, PUT, POST, DELETE".to_vec()));
}

#[tokio::test]
async fn mistakes_are_said_in_the_wires_words() {
    let up = Up::start().await;
    let answer = up.anonymous("POST", EXPAND, &json!({"scopes": "a", "more": 1})).await;
    let body = answer.json();
    assert_eq!((answer.status, &body["code"]), (400, &json!("InputValidationError")));
    assert_eq!(body["requestInfo"]["payload"], json!({"scopes": "a", "more": 1}));
    assert_eq!(body["requestInfo"]["method"], json!("expandScopes"));
    let message = body["message"].as_str().unwrap();
    assert!(message.contains("* data must NOT have additional properties: \"more\""), "{message}");
    assert!(message.contains("* data/scopes must be array"), "{message}");
    assert!(message.ends_with(&format!("* time:       {}", up.date(0))), "{message}");
    let answer = up.anonymous("GET", "/api/queue/v1/ping?x=1", &Value::Null).await;
    assert_eq!(answer.refusal(), (400, "Query-string parameter: x is not supported!".to_owned()));
    let answer = up.send_bytes("POST", EXPAND, &[], b"{").await;
    assert_eq!((answer.status, &answer.json()["code"]), (400, &json!("MalformedPayload")));
    let answer = up.anonymous("POST", EXPAND, &Value::Null).await;
    assert_eq!((answer.status, &answer.json()["code"]), (400, &json!("MalformedPayload")));
    let answer = up.anonymous("GET", "/api/auth/v1/clients/%ff", &Value::Null).await;
    assert_eq!((answer.status, &answer.json()["code"]), (400, &json!("InvalidRequestArguments")));
}

#[tokio::test]
async fn too_much_is_refused_and_the_server_lives_on() {
    let up = Up::start().await;
    let huge = vec![b' '; 11_000_000];
    let answer = up.send_bytes("POST", EXPAND, &[], &huge).await;
    assert_eq!((answer.status, &answer.json()["code"]), (413, &json!("InputTooLarge")));
    let deep = [b"[".repeat(100_000), b"]".repeat(100_000)].concat();
    assert_eq!(up.send_bytes("POST", EXPAND, &[], &deep).await.status, 400);
    let long = "x".repeat(100_000);
    assert_eq!(up.send("GET", "/api/queue/v1/ping", &[("X-Long", &long)], &Value::Null).await.status, 431);
    assert_eq!(up.anonymous("GET", "/api/queue/v1/ping", &Value::Null).await.status, 200);
}

#[tokio::test]
async fn a_request_that_breaks_off_changes_nothing() {
    let up = Up::start().await;
    let address = up.running.address();
    let target = "/api/auth/v1/roles/half";
    let header = up.sign(&up.root(), "PUT", target, 0, None);
    let body = r#"{"description": "", "scopes": []}"#;
    let head = format!(
        "PUT {target} HTTP/1.1\r\nHost: {address}\r\nAuthorization: {header}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&body.as_bytes()[..10]).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert_eq!(up.anonymous("GET", target, &Value::Null).await.status, 404);
    let garbage = raw(address, b"NONSENSE\r\n\r\n").await;
    assert_eq!(garbage.status, 400);
}

#[tokio::test]
async fn a_refusal_that_needs_no_body_leaves_the_connection_usable() {
    let up = Up::start().await;
    for target in
        ["/api/queue/v1/nope", "/api/nope/v1/x", "/api/queue/v1/task/%ff/cancel", "/api/queue/v1/artifact-store/x"]
    {
        let mut stream = tokio::net::TcpStream::connect(up.running.address()).await.unwrap();
        let mut answered = async |request: &str| {
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = [0; 12];
            stream.read_exact(&mut answer).await.unwrap();
            // All of them are small.
            let mut rest = [0; 4096];
            let _ = stream.read(&mut rest).await.unwrap();
            String::from_utf8_lossy(&answer[9..]).into_owned()
        };
        // More than comes with the headers.
        let head = format!("PUT {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n");
        let whole = head + &"x".repeat(100_000);
        assert_ne!(answered(&whole).await, "200", "{target}");
        assert_eq!(answered("GET /api/queue/v1/ping HTTP/1.1\r\nHost: x\r\n\r\n").await, "200", "{target}");
    }
}
