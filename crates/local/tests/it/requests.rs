//! A server of one's own, a clock that moves when told, and requests that may be wrong in any way.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use ring::digest::{SHA256, digest};
use ring::hmac;
use serde_json::{Value, json};
use taskgraft_local::{Clock, Config, Running, Server};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A clock that stands still until it is moved.
pub(crate) struct TestClock(Mutex<Timestamp>);

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

/// A running server in a directory of its own.
pub(crate) struct Up {
    pub(crate) running: Running,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) dir: tempfile::TempDir,
}

/// Whose signature, and under what certificate.
#[derive(Clone)]
pub(crate) struct Creds {
    pub(crate) client_id: String,
    pub(crate) access_token: String,
    pub(crate) ext: Option<Value>,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Up {
    /// A server whose clock starts at the real time.
    pub(crate) async fn start() -> Self {
        Self::with(|_| ()).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(TestClock(Mutex::new(Timestamp::now())));
        let mut config = Config::new(dir.path().join("data"));
        config.clock = Arc::clone(&clock) as Arc<dyn Clock>;
        change(&mut config);
        Self { running: Server::start(config).await.unwrap(), clock, dir }
    }

    pub(crate) fn advance(&self, seconds: i64) {
        let mut now = self.clock.0.lock().unwrap();
        *now += SignedDuration::from_secs(seconds);
    }

    /// A moment from now, as the wire writes it.
    pub(crate) fn date(&self, seconds: i64) -> String {
        taskgraft_core::time::format_ms(self.clock.now() + SignedDuration::from_secs(seconds))
    }

    pub(crate) fn root(&self) -> Creds {
        let root = self.running.credentials();
        Creds { client_id: root.client_id.clone(), access_token: root.access_token.clone(), ext: None }
    }

    /// Temporary credentials of the root client, with a name if one is given.
    pub(crate) fn temporary(&self, scopes: &[&str], name: Option<&str>) -> Creds {
        self.issued(&self.root(), scopes, name, (-60, 3600))
    }

    /// Temporary credentials that start and end so many seconds from now.
    pub(crate) fn issued(&self, issuer: &Creds, scopes: &[&str], name: Option<&str>, life: (i64, i64)) -> Creds {
        let now = self.clock.now().as_millisecond();
        let (start, expiry) = (now + life.0 * 1000, now + life.1 * 1000);
        let seed = STANDARD.encode([7; 32]);
        let mut lines = vec!["version:1".to_owned()];
        let mut certificate =
            json!({"version": 1, "scopes": scopes, "start": start, "expiry": expiry, "seed": seed.clone()});
        if let Some(name) = name {
            lines.extend([format!("clientId:{name}"), format!("issuer:{}", issuer.client_id)]);
            certificate["issuer"] = json!(issuer.client_id);
        }
        lines.extend([format!("seed:{seed}"), format!("start:{start}"), format!("expiry:{expiry}"), "scopes:".into()]);
        lines.extend(scopes.iter().map(|scope| (*scope).to_owned()));
        certificate["signature"] = json!(STANDARD.encode(mac(&issuer.access_token, &lines.join("\n"))));
        Creds {
            client_id: name.unwrap_or(&issuer.client_id).to_owned(),
            access_token: URL_SAFE_NO_PAD.encode(mac(&issuer.access_token, &seed)),
            ext: Some(json!({"certificate": certificate})),
        }
    }

    /// A Hawk header for a request to this server, made `skew` seconds from now.
    pub(crate) fn sign(&self, creds: &Creds, method: &str, target: &str, skew: i64, hash: Option<&str>) -> String {
        let nonce = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 9]>());
        let address = self.running.address();
        self.sign_for(creds, method, target, (&address.ip().to_string(), address.port()), &nonce, skew, hash)
    }

    #[expect(clippy::too_many_arguments, reason = "a test may want any part of a signature to be wrong")]
    pub(crate) fn sign_for(
        &self,
        creds: &Creds,
        method: &str,
        target: &str,
        (host, port): (&str, u16),
        nonce: &str,
        skew: i64,
        hash: Option<&str>,
    ) -> String {
        let ts = self.clock.now().as_second() + skew;
        let ext = creds.ext.as_ref().map(|ext| STANDARD.encode(ext.to_string())).unwrap_or_default();
        let hashed = hash.unwrap_or_default();
        let text = format!("hawk.1.header\n{ts}\n{nonce}\n{method}\n{target}\n{host}\n{port}\n{hashed}\n{ext}\n");
        let mac = STANDARD.encode(mac(&creds.access_token, &text));
        let mut header = format!("Hawk id=\"{}\", ts=\"{ts}\", nonce=\"{nonce}\", mac=\"{mac}\"", creds.client_id);
        for (name, value) in [("ext", ext.as_str()), ("hash", hashed)] {
            if !value.is_empty() {
                header += &format!(", {name}=\"{value}\"");
            }
        }
        header
    }

    pub(crate) async fn get(&self, target: &str, creds: &Creds) -> Answer {
        self.call("GET", target, creds, &Value::Null).await
    }

    /// A signed request with a JSON body, or none for null.
    pub(crate) async fn call(&self, method: &str, target: &str, creds: &Creds, body: &Value) -> Answer {
        let header = self.sign(creds, method, target, 0, None);
        self.send(method, target, &[("Authorization", &header)], body).await
    }

    pub(crate) async fn anonymous(&self, method: &str, target: &str, body: &Value) -> Answer {
        self.send(method, target, &[], body).await
    }

    pub(crate) async fn send(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        self.send_bytes(method, target, headers, &body).await
    }

    pub(crate) async fn send_bytes(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let address = self.running.address();
        let mut head = format!("{method} {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
        if !body.is_empty() {
            head += &format!("Content-Length: {}\r\n", body.len());
            if !headers.iter().any(|(name, _)| *name == "Content-Type") {
                head += "Content-Type: application/json\r\n";
            }
        }
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        raw(address, &[head.as_bytes(), b"\r\n", body].concat()).await
    }
}

/// Sends bytes as they are, and reads what comes until the server closes.
pub(crate) async fn raw(address: SocketAddr, request: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("an answer has headers");
    let head = String::from_utf8(answer[..end].to_vec()).unwrap().to_lowercase();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    assert!(!head.contains("transfer-encoding"), "only answers of known length are read here");
    Answer { status, head, body: answer[end + 4..].to_vec() }
}

pub(crate) fn mac(key: &str, text: &str) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
    hmac::sign(&key, text.as_bytes()).as_ref().to_vec()
}

/// The hash of a JSON payload that a signature may cover.
pub(crate) fn payload_hash(body: &Value) -> String {
    STANDARD.encode(digest(&SHA256, format!("hawk.1.payload\napplication/json\n{body}\n").as_bytes()))
}

impl Creds {
    pub(crate) fn new(client_id: &str, access_token: &str) -> Self {
        Self { client_id: client_id.to_owned(), access_token: access_token.to_owned(), ext: None }
    }

    /// The same, narrowed by `authorizedScopes`.
    pub(crate) fn only(mut self, scopes: &[&str]) -> Self {
        self.ext.get_or_insert_with(|| json!({}))["authorizedScopes"] = json!(scopes);
        self
    }

    /// The same with its certificate changed.
    pub(crate) fn tampered(mut self, change: impl FnOnce(&mut Value)) -> Self {
        change(&mut self.ext.as_mut().unwrap()["certificate"]);
        self
    }
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&self.body)))
    }

    /// The status and the first line of the message, or the status alone.
    pub(crate) fn refusal(&self) -> (u16, String) {
        let message = self.json()["message"].as_str().unwrap_or_default().to_owned();
        (self.status, message.lines().next().unwrap_or_default().to_owned())
    }

    pub(crate) fn scopes(&self) -> Vec<String> {
        assert_eq!(self.status, 200, "{}", String::from_utf8_lossy(&self.body));
        self.json()["scopes"].as_array().unwrap().iter().map(|scope| scope.as_str().unwrap().to_owned()).collect()
    }
}
