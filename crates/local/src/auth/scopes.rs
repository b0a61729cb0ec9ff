//! Endpoints about scopes and signatures.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicI64;

use jiff::{SignedDuration, Timestamp};
use taskgraft_core::api::auth::{
    AuthenticateHawkRequest, AuthenticateHawkResponse, ScopeSet, TestAuthenticateRequest, TestAuthenticateResponse,
};
use taskgraft_core::scopes::{ScopeExpression, is_valid, normalize};

use super::directory::{Client, Directory};
use super::{Auth, Authentication, RootCredentials, SignedRequest};
use crate::Ctx;
use crate::http::{ApiError, Call, Reply};

/// How long others may rely on somebody having sent no signature.
const ANONYMOUS_FOR: SignedDuration = SignedDuration::from_mins(15);

/// The client that `testAuthenticate` knows; its secret is none.
const TESTER: (&str, &str) = ("tester", "no-secret");

pub(super) async fn expand(ctx: &Ctx, call: &mut Call) -> Result<Reply, ApiError> {
    let ScopeSet { scopes } = call.input()?;
    let expanded = ctx.auth.directory().expand(&normalize(scopes)).map_err(|error| ApiError::input(error.0))?;
    Reply::json(&ScopeSet { scopes: expanded.to_vec() })
}

pub(super) async fn current(call: &mut Call) -> Result<Reply, ApiError> {
    Reply::json(&ScopeSet { scopes: call.scopes().to_vec() })
}

pub(super) async fn authenticate_hawk(ctx: &Ctx, call: &mut Call) -> Result<Reply, ApiError> {
    let asked: AuthenticateHawkRequest = call.input()?;
    let request = SignedRequest {
        method: asked.method.to_uppercase(),
        resource: asked.resource,
        hosts: vec![(asked.host.to_lowercase(), asked.port)],
        authorization: asked.authorization,
    };
    let now = ctx.now();
    Reply::json(&match ctx.auth.authenticate(&request, now) {
        Authentication::Success { client_id, scopes, expires, hash } => AuthenticateHawkResponse::Success {
            scheme: "hawk".to_owned(),
            expires: expires.into(),
            scopes: scopes.to_vec(),
            client_id,
            hash,
        },
        Authentication::Anonymous { scopes } => AuthenticateHawkResponse::Anonymous {
            scheme: "none".to_owned(),
            expires: now.saturating_add(ANONYMOUS_FOR).unwrap_or(Timestamp::MAX).into(),
            scopes: scopes.to_vec(),
        },
        Authentication::Failed { message } => AuthenticateHawkResponse::Failed { message },
    })
}

pub(super) async fn test_authenticate(call: &mut Call) -> Result<Reply, ApiError> {
    let TestAuthenticateRequest { client_scopes, required_scopes } = call.input()?;
    test(call, client_scopes, ScopeExpression::all_of(required_scopes))
}

pub(super) async fn test_authenticate_get(call: &mut Call) -> Result<Reply, ApiError> {
    let scopes = ["test:*", "auth:create-client:test:*"].map(str::to_owned).to_vec();
    test(call, scopes, ScopeExpression::all_of(["test:authenticate-get"]))
}

/// Judges the call as if `tester` were the only client, with these scopes, and there were no roles.
fn test(call: &Call, scopes: Vec<String>, needed: ScopeExpression) -> Result<Reply, ApiError> {
    if let Some(bad) = scopes.iter().find(|scope| !is_valid(scope)) {
        return Err(ApiError::input(format!("`{bad}` is not a scope")));
    }
    let (client_id, access_token) = (TESTER.0.to_owned(), TESTER.1.to_owned());
    let moment = Timestamp::UNIX_EPOCH;
    let client = Client {
        client_id: client_id.clone(),
        access_token: access_token.clone(),
        description: String::new(),
        scopes: normalize(scopes),
        expires: Timestamp::MAX,
        created: moment,
        last_modified: moment,
        last_date_used: AtomicI64::new(0),
        last_rotated: moment,
        delete_on_expiration: false,
        disabled: false,
    };
    let directory = Directory::new(BTreeMap::from([(client_id.clone(), client)]), BTreeMap::new())?;
    let judge = Auth::of(directory, RootCredentials { client_id, access_token });
    let judged = call.judged_by(&judge);
    judged.authorize(&needed)?;
    let (client_id, scopes) = match judged {
        Authentication::Success { client_id, scopes, .. } => (client_id, scopes.to_vec()),
        Authentication::Anonymous { scopes } => ("auth-failed:no-auth".to_owned(), scopes.to_vec()),
        Authentication::Failed { message } => return Err(ApiError::unauthorized(message)),
    };
    Reply::json(&TestAuthenticateResponse { client_id, scopes })
}
