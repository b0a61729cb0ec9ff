//! Hawk: headers and bewits taken apart, and their signatures compared.
//!
//! The `hawk` crate computes and compares signatures. It does not take them apart here: it overflows on a timestamp of
//! twenty digits, and what comes in may be anything.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hawk::mac::{Mac, MacType};
use hawk::{Key, SHA256};

use super::SignedRequest;

/// The longest header, in bytes, that a real deployment takes; longer ones fail there, so they should fail here.
const MAX_HEADER: usize = 4096;

/// Why a request is not authenticated: the text that the caller gets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unauthenticated(pub(crate) String);

impl Unauthenticated {
    pub(super) fn unauthorized(what: &str) -> Self {
        Self(format!("Unauthorized: {what}"))
    }

    fn bad_request(what: &str) -> Self {
        Self(format!("Bad Request: {what}"))
    }
}

/// A signature as it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Signature {
    pub(super) client_id: String,
    /// Seconds since 1970: when a header was signed, or when a bewit ends.
    pub(super) ts: i64,
    /// Empty in a bewit.
    pub(super) nonce: String,
    pub(super) ext: Option<String>,
    /// The payload's hash, base64; never in a bewit.
    pub(super) hash: Option<String>,
    mac: Vec<u8>,
    /// What was signed: in a bewit's case the path and query without the bewit.
    resource: String,
    bewit: bool,
}

impl Signature {
    /// Takes a request's header or bewit apart; `None` if it has neither.
    pub(super) fn of(request: &SignedRequest) -> Result<Option<Self>, Unauthenticated> {
        match &request.authorization {
            Some(header) => parse_header(header, &request.resource).map(Some),
            None => match without_bewit(&request.resource) {
                Some((resource, bewit)) => parse_bewit(&request.method, resource, bewit).map(Some),
                None => Ok(None),
            },
        }
    }

    /// Whether it is a bewit: those have no nonce, and end instead of growing stale.
    pub(super) fn is_bewit(&self) -> bool {
        self.bewit
    }

    /// Whether it was made with this key, for this request, as called under any of its hosts.
    pub(super) fn is_by(&self, key: &str, request: &SignedRequest) -> bool {
        let Ok(key) = Key::new(key, SHA256) else { return false };
        let method = if self.bewit { "GET" } else { request.method.as_str() };
        let hash = self.hash.as_ref().map(|hash| STANDARD.decode(hash).unwrap_or_default());
        let ts = seconds(self.ts);
        request.hosts.iter().any(|(host, port)| {
            let (hash, ext) = (hash.as_deref(), self.ext.as_deref());
            let kind = if self.bewit { MacType::Bewit } else { MacType::Header };
            let mac = Mac::new(kind, &key, ts, &self.nonce, method, host, *port, &self.resource, hash, ext);
            mac.is_ok_and(|mac| mac == Mac::from(self.mac.clone()))
        })
    }
}

fn seconds(ts: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(ts.unsigned_abs())
}

/// Seconds since 1970 up to the year 5138: more cannot be meant.
fn timestamp(text: &str) -> Option<i64> {
    (text.len() <= 11 && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

fn parse_header(header: &str, resource: &str) -> Result<Signature, Unauthenticated> {
    if header.len() > MAX_HEADER {
        return Err(Unauthenticated::bad_request("Header length too long"));
    }
    let (scheme, rest) = header.split_once(' ').unwrap_or((header, ""));
    if !scheme.eq_ignore_ascii_case("hawk") {
        return Err(Unauthenticated::unauthorized("Unauthorized"));
    }
    let [id, ts, nonce, mac, ext, hash] = attributes(rest)?;
    let missing = || Unauthenticated::bad_request("Missing attributes");
    let hash = match hash {
        Some(hash) if STANDARD.decode(hash).is_err() => {
            return Err(Unauthenticated::bad_request("Bad attribute value: hash"));
        }
        Some(_) | None => hash,
    };
    Ok(Signature {
        client_id: id.ok_or_else(missing)?.to_owned(),
        ts: timestamp(ts.ok_or_else(missing)?)
            .ok_or_else(|| Unauthenticated::bad_request("Bad attribute value: ts"))?,
        nonce: nonce.ok_or_else(missing)?.to_owned(),
        ext: ext.map(str::to_owned),
        hash: hash.map(str::to_owned),
        mac: STANDARD.decode(mac.ok_or_else(missing)?).map_err(|_| Unauthenticated::unauthorized("Bad mac"))?,
        resource: resource.to_owned(),
        bewit: false,
    })
}

/// `id="…", ts="…", …` in any order: the values of id, ts, nonce, mac, ext and hash.
fn attributes(text: &str) -> Result<[Option<&str>; 6], Unauthenticated> {
    const NAMES: [&str; 6] = ["id", "ts", "nonce", "mac", "ext", "hash"];
    let format = || Unauthenticated::bad_request("Bad header format");
    let mut values = [None; 6];
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(Unauthenticated::bad_request("Invalid header syntax"));
    }
    while !rest.is_empty() {
        let (name, after) = rest.split_once("=\"").ok_or_else(format)?;
        let (value, after) = after.split_once('"').ok_or_else(format)?;
        let at = NAMES.iter().position(|known| *known == name);
        let at = at.ok_or_else(|| Unauthenticated::bad_request(&format!("Unknown attribute: {name}")))?;
        if value.is_empty() || value.contains('\\') {
            return Err(Unauthenticated::bad_request(&format!("Bad attribute value: {name}")));
        }
        if values[at].replace(value).is_some() {
            return Err(Unauthenticated::bad_request(&format!("Duplicate attribute: {name}")));
        }
        rest = match after.strip_prefix(',') {
            Some(after) => after.trim_start(),
            None if after.trim().is_empty() => "",
            None => return Err(format()),
        };
    }
    Ok(values)
}

/// The path and query without their bewit, and the bewit.
fn without_bewit(resource: &str) -> Option<(String, &str)> {
    let (path, query) = resource.split_once('?')?;
    let bewit = query.split('&').find_map(|part| part.strip_prefix("bewit="))?;
    let others: Vec<&str> = query.split('&').filter(|part| !part.starts_with("bewit=")).collect();
    let resource = if others.is_empty() { path.to_owned() } else { format!("{path}?{}", others.join("&")) };
    Some((resource, bewit))
}

fn parse_bewit(method: &str, resource: String, bewit: &str) -> Result<Signature, Unauthenticated> {
    if !matches!(method, "GET" | "HEAD") {
        return Err(Unauthenticated::unauthorized("Invalid method"));
    }
    if bewit.len() > MAX_HEADER {
        return Err(Unauthenticated::bad_request("Resource path exceeds max length"));
    }
    if bewit.is_empty() {
        return Err(Unauthenticated::unauthorized("Empty bewit"));
    }
    let structure = || Unauthenticated::bad_request("Invalid bewit structure");
    let text = URL_SAFE_NO_PAD.decode(bewit.trim_end_matches('=')).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let text = text.ok_or_else(|| Unauthenticated::bad_request("Invalid bewit encoding"))?;
    let parts: Vec<&str> = text.split('\\').collect();
    let [id, exp, mac, ext] = parts[..] else { return Err(structure()) };
    if id.is_empty() || exp.is_empty() || mac.is_empty() {
        return Err(Unauthenticated::bad_request("Missing bewit attributes"));
    }
    Ok(Signature {
        client_id: id.to_owned(),
        ts: timestamp(exp).ok_or_else(structure)?,
        nonce: String::new(),
        ext: Some(ext.to_owned()).filter(|ext| !ext.is_empty()),
        hash: None,
        mac: STANDARD.decode(mac).map_err(|_| Unauthenticated::unauthorized("Bad mac"))?,
        resource,
        bewit: true,
    })
}

/// A bewit for a GET of `resource` (path and query, without one) until `expires`, in seconds since 1970.
pub(super) fn bewit(
    client_id: &str,
    key: &str,
    host: (&str, u16),
    resource: &str,
    expires: i64,
    ext: &str,
) -> Option<String> {
    let key = Key::new(key, SHA256).ok()?;
    let ext = Some(ext);
    let mac = Mac::new(MacType::Bewit, &key, seconds(expires), "", "GET", host.0, host.1, resource, None, ext).ok()?;
    Some(hawk::Bewit::new(client_id, seconds(expires), mac, ext).to_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(authorization: Option<&str>, resource: &str) -> SignedRequest {
        SignedRequest {
            method: "GET".to_owned(),
            resource: resource.to_owned(),
            hosts: vec![("example.com".to_owned(), 8000)],
            authorization: authorization.map(str::to_owned),
        }
    }

    fn refused(header: &str) -> String {
        Signature::of(&request(Some(header), "/")).unwrap_err().0
    }

    /// The example that the Hawk specification works through.
    #[test]
    fn the_specifications_example_is_right() {
        let header = "Hawk id=\"dh37fgj492je\", ts=\"1353832234\", nonce=\"j4h3g2\", ext=\"some-app-ext-data\", \
                      mac=\"6R4rV5iE+NPoym+WwjeHzjAGXUtLNIxmo1vpMofpLAE=\"";
        let request = request(Some(header), "/resource/1?b=1&a=2");
        let signature = Signature::of(&request).unwrap().unwrap();
        assert!(signature.is_by("werxhqb98rpaxn39848xrunpaw3489ruxnpa98w4rxn", &request));
        assert!(!signature.is_by("another key", &request));
        let elsewhere = SignedRequest { hosts: vec![("example.org".to_owned(), 8000)], ..request.clone() };
        assert!(!signature.is_by("werxhqb98rpaxn39848xrunpaw3489ruxnpa98w4rxn", &elsewhere));
        let proxied = SignedRequest { hosts: vec![("example.org".to_owned(), 1), request.hosts[0].clone()], ..request };
        assert!(signature.is_by("werxhqb98rpaxn39848xrunpaw3489ruxnpa98w4rxn", &proxied));
    }

    #[test]
    fn hostile_headers_are_refused_not_worked_on() {
        assert_eq!(refused("Bearer abc"), "Unauthorized: Unauthorized");
        assert_eq!(refused("Hawk "), "Bad Request: Invalid header syntax");
        assert_eq!(refused("Hawk id=\"x\", ts=\"1\", nonce=\"a\""), "Bad Request: Missing attributes");
        assert_eq!(refused("Hawk id=\"x\", zz=\"1\""), "Bad Request: Unknown attribute: zz");
        assert_eq!(refused("Hawk id=\"x\", id=\"y\""), "Bad Request: Duplicate attribute: id");
        assert_eq!(refused("Hawk id=\"x\" nonce=\"y\""), "Bad Request: Bad header format");
        let huge = format!("Hawk id=\"x\", ts=\"{}\", nonce=\"a\", mac=\"YQ==\"", u64::MAX);
        assert_eq!(refused(&huge), "Bad Request: Bad attribute value: ts");
        assert_eq!(refused(&format!("Hawk id=\"{}\"", "x".repeat(5000))), "Bad Request: Header length too long");
    }

    #[test]
    fn a_bewit_signs_its_url_and_nothing_else() {
        let made = bewit("me", "key", ("example.com", 8000), "/a?b=1", 2_000_000_000, "ext").unwrap();
        for resource in [format!("/a?b=1&bewit={made}"), format!("/a?bewit={made}&b=1")] {
            let request = request(None, &resource);
            let signature = Signature::of(&request).unwrap().unwrap();
            assert_eq!((signature.client_id.as_str(), signature.ts), ("me", 2_000_000_000));
            assert_eq!(signature.ext.as_deref(), Some("ext"));
            assert!(signature.is_by("key", &request));
        }
        let other = request(None, &format!("/c?b=1&bewit={made}"));
        assert!(!Signature::of(&other).unwrap().unwrap().is_by("key", &other));
        let put = SignedRequest { method: "PUT".to_owned(), ..request(None, &format!("/a?b=1&bewit={made}")) };
        assert_eq!(Signature::of(&put).unwrap_err().0, "Unauthorized: Invalid method");
        for garbage in ["", "abc", "%%%", "bWVcMVwx", "w7w"] {
            assert!(Signature::of(&request(None, &format!("/a?bewit={garbage}"))).is_err(), "{garbage}");
        }
        assert_eq!(Signature::of(&request(None, "/a?b=1")), Ok(None));
    }
}
