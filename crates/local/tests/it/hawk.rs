//! Signatures: right ones, and every way in which one can be wrong.

use serde_json::{Value, json};

use crate::requests::{Creds, Up, payload_hash};

const CURRENT: &str = "/api/auth/v1/scopes/current";

fn unauthorized(message: &str) -> (u16, String) {
    (401, message.to_owned())
}

#[tokio::test]
async fn a_right_signature_holds_its_clients_scopes() {
    let up = Up::start().await;
    assert_eq!(up.get(CURRENT, &up.root()).await.scopes(), ["*"]);
    let anonymous = up.anonymous("GET", CURRENT, &Value::Null).await.scopes();
    assert!(anonymous.contains(&"assume:anonymous".to_owned()) && !anonymous.contains(&"*".to_owned()));
}

#[tokio::test]
async fn a_wrong_signature_is_refused() {
    let up = Up::start().await;
    let answer = up.get(CURRENT, &Creds { access_token: "x".repeat(44), ..up.root() }).await;
    assert_eq!(answer.refusal(), unauthorized("Unauthorized: Bad mac"));
    assert!(answer.head.contains("www-authenticate: hawk"));
    let body = answer.json();
    assert_eq!(
        (&body["code"], &body["requestInfo"]["method"]),
        (&json!("AuthenticationFailed"), &json!("currentScopes"))
    );
    let stranger = Creds::new("no/such", "x");
    assert_eq!(up.get(CURRENT, &stranger).await.refusal(), unauthorized("Client with clientId 'no/such' not found"));
    for (method, target) in [("POST", CURRENT), ("GET", "/api/auth/v1/roles/")] {
        let header = up.sign(&up.root(), method, target, 0, None);
        let answer = up.send("GET", CURRENT, &[("Authorization", &header)], &Value::Null).await;
        assert_eq!(answer.refusal(), unauthorized("Unauthorized: Bad mac"), "signed for {method} {target}");
    }
    let other_host = up.sign_for(&up.root(), "GET", CURRENT, ("example.com", 80), "n", 0, None);
    let answer = up.send("GET", CURRENT, &[("Authorization", &other_host)], &Value::Null).await;
    assert_eq!(answer.refusal(), unauthorized("Unauthorized: Bad mac"));
}

#[tokio::test]
async fn clocks_may_differ_by_a_quarter_of_an_hour() {
    let up = Up::start().await;
    for (skew, status) in [(-899, 200), (899, 200), (-901, 401), (901, 401)] {
        let header = up.sign(&up.root(), "GET", CURRENT, skew, None);
        let answer = up.send("GET", CURRENT, &[("Authorization", &header)], &Value::Null).await;
        assert_eq!(answer.status, status, "{skew} s");
    }
}

#[tokio::test]
async fn a_signature_counts_once() {
    let up = Up::start().await;
    let header = up.sign(&up.root(), "GET", CURRENT, 0, None);
    let send = async || up.send("GET", CURRENT, &[("Authorization", &header)], &Value::Null).await;
    assert_eq!(send().await.status, 200);
    assert_eq!(send().await.refusal(), unauthorized("Unauthorized: Invalid nonce"));
    up.advance(899);
    assert_eq!(send().await.refusal(), unauthorized("Unauthorized: Invalid nonce"));
    up.advance(2);
    assert_eq!(send().await.refusal(), unauthorized("Unauthorized: Stale timestamp"));
}

#[tokio::test]
async fn a_signed_payload_is_the_one_that_was_signed() {
    let up = Up::start().await;
    let target = "/api/auth/v1/scopes/expand";
    let (signed, other) = (json!({"scopes": ["a"]}), json!({"scopes": ["b"]}));
    for (body, status) in [(&signed, 200), (&other, 401)] {
        let header = up.sign(&up.root(), "POST", target, 0, Some(&payload_hash(&signed)));
        let answer = up.send("POST", target, &[("Authorization", &header)], body).await;
        assert_eq!(answer.status, status, "{body}");
    }
}

#[tokio::test]
async fn headers_that_make_no_sense_are_refused() {
    let up = Up::start().await;
    let huge = format!("Hawk id=\"x\", ts=\"{}\", nonce=\"a\", mac=\"YQ==\"", u64::MAX);
    let long = format!("Hawk id=\"{}\"", "x".repeat(5000));
    let unfinished = "Hawk id=\"x";
    for header in ["Bearer abc", "Hawk", "Hawk ", "Hawk id=\"x\", ts=\"1\"", unfinished, &huge, &long] {
        let answer = up.send("GET", CURRENT, &[("Authorization", header)], &Value::Null).await;
        assert_eq!(answer.status, 401, "{header}");
    }
    for ext in [json!("text"), json!([]), json!(1), json!({"certificate": "text"}), json!({"authorizedScopes": "x"})] {
        let answer = up.get(CURRENT, &Creds { ext: Some(ext.clone()), ..up.root() }).await;
        assert!(matches!(answer.status, 200 | 401), "{ext}");
    }
    assert_eq!(up.get(CURRENT, &up.root()).await.status, 200);
}

#[tokio::test]
async fn temporary_credentials_hold_what_their_certificate_says() {
    let up = Up::start().await;
    let named = up.temporary(&["wire:a", "wire:b*"], Some("somebody/else"));
    let scopes = up.get(CURRENT, &named).await.scopes();
    assert!(scopes.contains(&"wire:b*".to_owned()) && !scopes.contains(&"*".to_owned()));
    let root = up.root();
    for (life, message) in [
        ((-3600, -301), "ext.certificate.expiry < now"),
        ((301, 3600), "ext.certificate.start > now"),
        ((0, 31 * 86_400 + 1), "ext.certificate cannot last longer than 31 days!"),
    ] {
        let creds = up.issued(&root, &["wire:a"], None, life);
        assert_eq!(up.get(CURRENT, &creds).await.refusal(), unauthorized(message));
    }
    for life in [(-3600, -299), (299, 3600), (0, 31 * 86_400)] {
        let creds = up.issued(&root, &["wire:a"], None, life);
        assert_eq!(up.get(CURRENT, &creds).await.status, 200, "{life:?}");
    }
}

#[tokio::test]
async fn a_certificate_that_was_changed_is_refused() {
    let up = Up::start().await;
    type Change = fn(&mut Value);
    let changes: [(&str, Change); 7] = [
        ("scopes", |c| c["scopes"] = json!(["wire:a", "wire:b"])),
        ("expiry", |c| c["expiry"] = json!(c["expiry"].as_i64().unwrap() + 1)),
        ("seed", |c| c["seed"] = json!("A".repeat(44))),
        ("short seed", |c| c["seed"] = json!("abc")),
        ("version", |c| c["version"] = json!(2)),
        ("start", |c| c["start"] = json!("yesterday")),
        ("signature", |c| c["signature"] = json!("")),
    ];
    for (what, change) in changes {
        let creds = up.temporary(&["wire:a"], None).tampered(change);
        assert_eq!(up.get(CURRENT, &creds).await.status, 401, "{what}");
    }
    let other_name = Creds { client_id: "b".to_owned(), ..up.temporary(&["wire:a"], Some("a")) };
    let expected = "ext.certificate.signature is not valid, or wrong clientId provided";
    assert_eq!(up.get(CURRENT, &other_name).await.refusal(), unauthorized(expected));
}

#[tokio::test]
async fn authorized_scopes_only_narrow() {
    let up = Up::start().await;
    let scopes = up.get(CURRENT, &up.root().only(&["wire:x"])).await.scopes();
    assert!(scopes.contains(&"wire:x".to_owned()) && !scopes.contains(&"*".to_owned()));
    assert!(scopes.contains(&"assume:anonymous".to_owned()), "what everybody holds stays");
    let narrow = up.temporary(&["wire:a"], None);
    let wider = narrow.clone().only(&["wire:b"]);
    let (status, message) = up.get(CURRENT, &wider).await.refusal();
    assert_eq!((status, message.starts_with("Supplied credentials do not satisfy authorizedScopes")), (401, true));
    // Whoever doesn't know the token doesn't learn what it could do.
    let guessed = Creds { access_token: "guess".to_owned(), ..wider };
    assert_eq!(up.get(CURRENT, &guessed).await.refusal(), unauthorized("Unauthorized: Bad mac"));
    assert_eq!(up.get(CURRENT, &narrow.only(&["queue:get-task:*"])).await.status, 200, "everybody holds that");
}

#[tokio::test]
async fn authenticate_hawk_judges_for_others() {
    let up = Up::start().await;
    let ask = async |header: Option<String>| {
        let mut body = json!({"method": "post", "resource": "/x?y=1", "host": "Example.com", "port": 443});
        if let Some(header) = header {
            body["authorization"] = json!(header);
        }
        up.anonymous("POST", "/api/auth/v1/authenticate-hawk", &body).await.json()
    };
    let sign = |creds: &Creds| up.sign_for(creds, "POST", "/x?y=1", ("example.com", 443), "n", 0, Some("aGFzaA=="));
    let creds = up.temporary(&["wire:a"], Some("me"));
    let judged = ask(Some(sign(&creds))).await;
    assert_eq!(
        (&judged["status"], &judged["clientId"], &judged["hash"]),
        (&json!("auth-success"), &json!("me"), &json!("aGFzaA=="))
    );
    assert_eq!(judged["expires"], json!(up.date(3600)));
    assert_eq!(ask(Some(sign(&Creds::new("me", "x")))).await["status"], json!("auth-failed"));
    assert_eq!(ask(None).await["status"], json!("no-auth"));
}

#[tokio::test]
async fn test_authenticate_knows_one_client() {
    let up = Up::start().await;
    let tester = Creds::new("tester", "no-secret");
    let ask = async |creds: &Creds, have: &[&str], need: &[&str]| {
        let body = json!({"clientScopes": have, "requiredScopes": need});
        up.call("POST", "/api/auth/v1/test-authenticate", creds, &body).await
    };
    assert_eq!(ask(&tester, &["test:*"], &["test:x"]).await.json()["clientId"], json!("tester"));
    assert_eq!(ask(&tester, &["other"], &["test:x"]).await.status, 403);
    assert_eq!(ask(&Creds::new("tester", "x"), &["test:*"], &[]).await.status, 401);
    assert_eq!(ask(&up.root(), &["test:*"], &[]).await.status, 401);
    assert_eq!(up.get("/api/auth/v1/test-authenticate-get/", &tester).await.status, 200);
}

#[tokio::test]
async fn behind_a_proxy_signatures_are_for_the_root_url() {
    let up = Up::with(|config| config.root_url = Some("https://tc.example.com".parse().unwrap())).await;
    assert_eq!(up.running.root_url(), "https://tc.example.com");
    for (host, status) in [(("tc.example.com", 443), 200), (("tc.example.com", 80), 401), (("other.example", 443), 401)]
    {
        let header = up.sign_for(&up.root(), "GET", CURRENT, host, &format!("{host:?}").replace('"', ""), 0, None);
        let answer = up.send("GET", CURRENT, &[("Authorization", &header)], &Value::Null).await;
        assert_eq!(answer.status, status, "{host:?}");
    }
    assert_eq!(up.get(CURRENT, &up.root()).await.status, 200, "around the proxy");
}
