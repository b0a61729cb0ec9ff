//! Judging a signature: whose it is, whether it is right, fresh and new, and what it allows.

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use jiff::Timestamp;
use rusqlite::Transaction;
use serde_json::{Value, json};
use taskgraft_core::nonces::{Nonces, Refused};
use taskgraft_core::scopes::satisfies;
use url::Url;

use super::certificate::{self, TemporaryCredentials};
use super::directory::{Directory, DirectoryError};
use super::grant::Grant;
use super::hawk::{self, Signature, Unauthenticated};
use super::{Authentication, RootCredentials, SignedRequest};
use taskgraft_store::Store;

/// Judges signatures against the clients and roles there are.
pub struct Auth {
    root: RootCredentials,
    directory: RwLock<Arc<Directory>>,
    nonces: Mutex<Nonces>,
}

impl Auth {
    /// Reads all clients and roles.
    pub async fn open(store: &Store, root: RootCredentials) -> Result<Self, DirectoryError> {
        let for_load = root.clone();
        let directory = store.read(move |tx| Directory::load(tx, for_load.client())).await?;
        Ok(Self { root, directory: RwLock::new(Arc::new(directory)), nonces: Mutex::default() })
    }

    /// A judge that knows other clients (for `testAuthenticate`), without a memory for signatures.
    pub(super) fn of(directory: Directory, root: RootCredentials) -> Self {
        Self { root, directory: RwLock::new(Arc::new(directory)), nonces: Mutex::default() }
    }

    /// Judges one request, at a moment. A signature that is right is used up.
    #[must_use]
    pub fn authenticate(&self, request: &SignedRequest, now: Timestamp) -> Authentication {
        let directory = self.directory();
        let judged = match Signature::of(request) {
            Ok(None) => directory.expand_with_anonymous(&[]).map(|scopes| Authentication::Anonymous { scopes }),
            Ok(Some(signature)) => self.judge(&directory, &signature, request, now),
            Err(error) => Err(error),
        };
        judged.unwrap_or_else(|error| Authentication::Failed { message: error.0 })
    }

    fn judge(
        &self,
        directory: &Directory,
        signature: &Signature,
        request: &SignedRequest,
        now: Timestamp,
    ) -> Result<Authentication, Unauthenticated> {
        if signature.is_bewit() && signature.ts <= now.as_second() {
            return Err(Unauthenticated::unauthorized("Access expired"));
        }
        let name = &signature.client_id;
        let ext = signature.ext.as_deref().map(certificate::parse_ext).transpose()?.unwrap_or(Value::Null);
        let issuer = certificate::issuer(&ext, name)?.unwrap_or(name);
        let grant = certificate::certified(directory.grant(issuer, now)?, name, issuer, &ext, now)?;
        if !signature.is_by(&grant.access_token, request) {
            return Err(Unauthenticated::unauthorized("Bad mac"));
        }
        if !signature.is_bewit() {
            self.use_up(signature, now)?;
        }
        let Grant { scopes, expires, .. } = certificate::authorized(grant, &ext, directory)?;
        let scopes = directory.expand_with_anonymous(&scopes)?;
        Ok(Authentication::Success { client_id: name.clone(), scopes, expires, hash: signature.hash.clone() })
    }

    fn use_up(&self, signature: &Signature, now: Timestamp) -> Result<(), Unauthenticated> {
        let mut nonces = self.nonces.lock().unwrap_or_else(PoisonError::into_inner);
        let noted = nonces.note(&signature.client_id, signature.ts, &signature.nonce, now.as_second());
        noted.map_err(|refused| match refused {
            Refused::Replayed => Unauthenticated::unauthorized("Invalid nonce"),
            Refused::Stale => Unauthenticated::unauthorized("Stale timestamp"),
        })
    }

    /// The root credentials.
    #[must_use]
    pub fn root(&self) -> &RootCredentials {
        &self.root
    }

    /// Temporary credentials under a name, issued by the root client; `life` is when they start and end.
    #[must_use]
    pub fn issue(&self, client_id: String, scopes: Vec<String>, life: (Timestamp, Timestamp)) -> TemporaryCredentials {
        certificate::issue((&self.root.client_id, &self.root.access_token), client_id, scopes, life)
    }

    /// Who acts within this process, with one scope and all that comes with it, for somebody who may not have them.
    pub(crate) fn acting(&self, client_id: &str, scope: String) -> Authentication {
        match self.directory().expand_with_anonymous(&[scope]) {
            Ok(scopes) => {
                Authentication::Success { client_id: client_id.to_owned(), scopes, expires: Timestamp::MAX, hash: None }
            }
            Err(error) => Authentication::Failed { message: error.0 },
        }
    }

    /// Whether everybody holds a scope, without a signature.
    #[must_use]
    pub fn is_public(&self, scope: &str) -> bool {
        self.directory().expand_with_anonymous(&[]).is_ok_and(|scopes| satisfies(&scopes, scope))
    }

    /// `url` with a bewit that allows a GET of it until `expires`, and nothing but what `scopes` allow.
    #[must_use]
    pub fn with_bewit(&self, mut url: Url, scopes: &[String], expires: Timestamp) -> Url {
        use base64::Engine as _;
        let ext = base64::engine::general_purpose::STANDARD.encode(json!({"authorizedScopes": scopes}).to_string());
        let resource = url[url::Position::BeforePath..].to_owned();
        let host = (url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or(80));
        let RootCredentials { client_id, access_token } = &self.root;
        if let Some(bewit) = hawk::bewit(client_id, access_token, host, &resource, expires.as_second(), &ext) {
            url.query_pairs_mut().append_pair("bewit", &bewit);
        }
        url
    }

    pub(super) fn directory(&self) -> Arc<Directory> {
        Arc::clone(&self.directory.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// All clients and roles as a transaction left them; refuses a state that can't be.
    pub(super) fn reloaded(&self, tx: &Transaction<'_>) -> Result<Directory, DirectoryError> {
        Directory::load(tx, self.root.client())
    }

    /// Judges by this from now on. Called after the commit, in the order of commits.
    pub(super) fn replace(&self, directory: Directory) {
        *self.directory.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(directory);
    }
}
