//! Temporary credentials and narrowed ones: what the `ext` of a signature says about whoever signed.
//!
//! `ext` is base64 of `{certificate?, authorizedScopes?}`. A certificate is signed with the issuer's access token, and
//! from that and its seed follows the temporary access token; `authorizedScopes` narrow whatever the scopes are then.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use ring::hmac;
use serde_json::Value;
use taskgraft_core::api::auth::Certificate;
use taskgraft_core::scopes::{is_valid, missing, satisfies};

use super::directory::Directory;
use super::grant::Grant;
use super::hawk::Unauthenticated;

/// By how much the clocks of issuer and server may differ.
const SLACK: SignedDuration = SignedDuration::from_mins(5);

/// The longest that temporary credentials may last.
const MAX_LIFE: SignedDuration = SignedDuration::from_hours(31 * 24);

/// Reads the `ext` of a signature; `None` if it says nothing.
pub(super) fn parse_ext(ext: &str) -> Result<Value, Unauthenticated> {
    let parsed = STANDARD.decode(ext).or_else(|_| URL_SAFE_NO_PAD.decode(ext)).ok();
    let parsed = parsed.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    parsed.ok_or_else(|| Unauthenticated("Failed to parse ext".to_owned()))
}

/// The client that signed a certificate, if it is named in there.
pub(super) fn issuer<'a>(ext: &'a Value, client_id: &str) -> Result<Option<&'a str>, Unauthenticated> {
    let refuse = |why: &str| Err(Unauthenticated(format!("ext.certificate.issuer {why}")));
    match &ext["certificate"]["issuer"] {
        issuer if is_nothing(issuer) => Ok(None),
        Value::String(issuer) if issuer == client_id => refuse("must differ from the supplied clientId"),
        Value::String(issuer) => Ok(Some(issuer)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            refuse("must be a string")
        }
    }
}

/// JavaScript's idea of a value that is as good as absent.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Bool(true) | Value::Array(_) | Value::Object(_) => false,
    }
}

/// What the certificate in `ext`, if there is one, leaves of what a client may do. `name` is the client id that the
/// signature gives, `issuer` the client that `grant` belongs to; they differ in temporary credentials with a name.
pub(super) fn certified(
    grant: Grant,
    name: &str,
    issuer: &str,
    ext: &Value,
    now: Timestamp,
) -> Result<Grant, Unauthenticated> {
    match &ext["certificate"] {
        nothing if is_nothing(nothing) => Ok(grant),
        certificate => under_certificate(grant, name, issuer, certificate, now).map_err(Unauthenticated),
    }
}

fn under_certificate(
    grant: Grant,
    name: &str,
    issuer: &str,
    certificate: &Value,
    now: Timestamp,
) -> Result<Grant, String> {
    let certificate = read(certificate)?;
    let (start, expiry) = (moment(certificate.start)?, moment(certificate.expiry)?);
    if start.duration_since(now) > SLACK {
        return Err("ext.certificate.start > now".to_owned());
    }
    if now.duration_since(expiry) > SLACK {
        return Err("ext.certificate.expiry < now".to_owned());
    }
    if expiry.duration_since(start) > MAX_LIFE {
        return Err("ext.certificate cannot last longer than 31 days!".to_owned());
    }
    let may_name = format!("auth:create-client:{name}");
    if name != issuer && !satisfies(&grant.scopes, &may_name) {
        return Err(format!("ext.certificate issuer `{issuer}` doesn't have `{may_name}` for supplied clientId."));
    }
    if !missing(&grant.scopes, &certificate.scopes).is_empty() {
        return Err(format!(
            "ext.certificate issuer `{issuer}` doesn't satisfy all certificate scopes {}.  The temporary credentials were \
             not generated correctly.",
            certificate.scopes.join(", ")
        ));
    }
    let key = hmac::Key::new(hmac::HMAC_SHA256, grant.access_token.as_bytes());
    let signature = STANDARD.decode(&certificate.signature).unwrap_or_default();
    if hmac::verify(&key, signed_text(&certificate, name).as_bytes(), &signature).is_err() {
        let or = if certificate.issuer.is_some() { ", or wrong clientId provided" } else { "" };
        return Err(format!("ext.certificate.signature is not valid{or}"));
    }
    Ok(Grant {
        access_token: temporary_token(&key, &certificate.seed),
        scopes: certificate.scopes,
        expires: grant.expires.min(expiry),
    })
}

/// A certificate with everything in its place, or the first thing that isn't.
fn read(certificate: &Value) -> Result<Certificate, String> {
    let wrong = |what: &str| Err(format!("ext.certificate{what}"));
    if !certificate.is_object() {
        return wrong(" must be a JSON object");
    }
    if certificate["version"].as_f64() != Some(1.0) {
        return wrong(".version must be 1");
    }
    let Some(seed) = certificate["seed"].as_str() else { return wrong(".seed must be a string") };
    if seed.len() != 44 {
        return wrong(".seed must be 44 characters");
    }
    let Some(start) = certificate["start"].as_i64() else { return wrong(".start must be a number") };
    let Some(expiry) = certificate["expiry"].as_i64() else { return wrong(".expiry must be a number") };
    let Some(scopes) = certificate["scopes"].as_array() else { return wrong(".scopes must be an array") };
    let Some(scopes) = valid_scopes(scopes) else { return wrong(".scopes must be an array of valid scopes") };
    Ok(Certificate {
        version: 1,
        scopes,
        start,
        expiry,
        seed: seed.to_owned(),
        signature: certificate["signature"].as_str().unwrap_or_default().to_owned(),
        issuer: certificate["issuer"].as_str().filter(|issuer| !issuer.is_empty()).map(str::to_owned),
    })
}

fn valid_scopes(scopes: &[Value]) -> Option<Vec<String>> {
    scopes.iter().map(|scope| scope.as_str().filter(|scope| is_valid(scope)).map(str::to_owned)).collect()
}

fn moment(ms: i64) -> Result<Timestamp, String> {
    Timestamp::from_millisecond(ms).map_err(|_| "ext.certificate is of another age".to_owned())
}

/// What the `authorizedScopes` in `ext`, if there are any, leave of it. Comes after the signature was compared, since
/// the error tells what the credentials could do.
pub(super) fn authorized(grant: Grant, ext: &Value, directory: &Directory) -> Result<Grant, Unauthenticated> {
    let refuse = |why: &str| Err(Unauthenticated(format!("ext.authorizedScopes must be an array{why}")));
    if is_nothing(&ext["authorizedScopes"]) {
        return Ok(grant);
    }
    let Some(scopes) = ext["authorizedScopes"].as_array() else { return refuse("") };
    let Some(scopes) = valid_scopes(scopes) else { return refuse(" of valid scopes") };
    // What everybody holds may be asked for, so it is added before the comparison.
    let held = directory.expand_with_anonymous(&grant.scopes)?;
    if !missing(&held, &scopes).is_empty() {
        return Err(Unauthenticated(format!(
            "Supplied credentials do not satisfy authorizedScopes; credentials have scopes:\n\n```\n{}\n```\n\n\
             authorizedScopes are:\n\n```\n{}\n```",
            held.join("\n"),
            scopes.join("\n")
        )));
    }
    Ok(Grant { scopes, ..grant })
}

fn signed_text(certificate: &Certificate, name: &str) -> String {
    let mut lines = vec!["version:1".to_owned()];
    if let Some(issuer) = &certificate.issuer {
        lines.extend([format!("clientId:{name}"), format!("issuer:{issuer}")]);
    }
    let Certificate { seed, start, expiry, .. } = certificate;
    lines.extend([format!("seed:{seed}"), format!("start:{start}"), format!("expiry:{expiry}"), "scopes:".to_owned()]);
    lines.extend(certificate.scopes.iter().cloned());
    lines.join("\n")
}

fn temporary_token(issuer: &hmac::Key, seed: &str) -> String {
    URL_SAFE_NO_PAD.encode(hmac::sign(issuer, seed.as_bytes()))
}

/// Credentials for a while, issued by one client under the name of another.
#[derive(Clone, PartialEq, Eq)]
pub struct TemporaryCredentials {
    /// The name that they carry.
    pub client_id: String,
    /// The key of their signatures.
    pub access_token: String,
    /// What limits them.
    pub certificate: Certificate,
}

/// Leaves the secret out.
impl std::fmt::Debug for TemporaryCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TemporaryCredentials").field("client_id", &self.client_id).finish_non_exhaustive()
    }
}

/// Issues named temporary credentials.
pub(super) fn issue(
    (issuer, access_token): (&str, &str),
    client_id: String,
    scopes: Vec<String>,
    (start, expiry): (Timestamp, Timestamp),
) -> TemporaryCredentials {
    let key = hmac::Key::new(hmac::HMAC_SHA256, access_token.as_bytes());
    let mut certificate = Certificate {
        version: 1,
        scopes,
        start: start.as_millisecond(),
        expiry: expiry.as_millisecond(),
        seed: STANDARD.encode(rand::random::<[u8; 32]>()),
        signature: String::new(),
        issuer: Some(issuer.to_owned()),
    };
    certificate.signature = STANDARD.encode(hmac::sign(&key, signed_text(&certificate, &client_id).as_bytes()));
    TemporaryCredentials { access_token: temporary_token(&key, &certificate.seed), client_id, certificate }
}
