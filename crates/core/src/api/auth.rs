//! Requests and answers of Taskcluster's auth service, version 1.

use serde::{Deserialize, Serialize};

use crate::time::Millis;

/// A list of scopes: the body of `currentScopes` and `expandScopes`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScopeSet {
    /// Scopes, sorted where a server answers.
    pub scopes: Vec<String>,
}

/// What limits temporary credentials; carried in the `ext` field of a Hawk header as JSON, base64-coded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// Always 1.
    pub version: u8,
    /// The scopes that the credentials have at most.
    pub scopes: Vec<String>,
    /// Milliseconds since 1970.
    pub start: i64,
    /// Milliseconds since 1970, at most 31 days after `start`.
    pub expiry: i64,
    /// 44 characters from which the temporary access token is derived.
    pub seed: String,
    /// HMAC-SHA256 over the other fields with the issuer's access token, base64.
    pub signature: String,
    /// The client that signed, in named temporary credentials only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
}

/// A client as anyone may read it: without its access token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Client {
    /// The client's name.
    pub client_id: String,
    /// Markdown.
    pub description: String,
    /// From then on the client is refused.
    pub expires: Millis,
    /// When it was made.
    pub created: Millis,
    /// When it was last changed.
    pub last_modified: Millis,
    /// When it was last seen, to within some hours.
    pub last_date_used: Millis,
    /// When its access token was last made.
    pub last_rotated: Millis,
    /// Whether it is deleted some time after it expires.
    pub delete_on_expiration: bool,
    /// Scopes given to it.
    pub scopes: Vec<String>,
    /// Those, with what roles add.
    pub expanded_scopes: Vec<String>,
    /// A disabled client is refused.
    pub disabled: bool,
}

/// A client with its access token: the only answers that ever hold one.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreateClientResponse {
    /// The client.
    #[serde(flatten)]
    pub client: Client,
    /// Its secret.
    pub access_token: String,
}

/// Leaves the secret out.
impl std::fmt::Debug for CreateClientResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CreateClientResponse").field("client", &self.client).finish_non_exhaustive()
    }
}

/// The body of `createClient` and `updateClient`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreateClientRequest {
    /// Markdown, at most 10,240 characters.
    pub description: String,
    /// From then on the client is refused.
    pub expires: Millis,
    /// Scopes to give; absent in an update leaves them as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
    /// Whether it is deleted some time after it expires.
    #[serde(default)]
    pub delete_on_expiration: bool,
}

/// A page of clients.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListClientsResponse {
    /// Sorted by id.
    pub clients: Vec<Client>,
    /// There is more when set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continuation_token: Option<String>,
}

/// A role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Role {
    /// The role's name; it is held through `assume:<roleId>`.
    pub role_id: String,
    /// Scopes given to it.
    pub scopes: Vec<String>,
    /// All that comes with `assume:<roleId>`.
    pub expanded_scopes: Vec<String>,
    /// Markdown.
    pub description: String,
    /// When it was last changed.
    pub last_modified: Millis,
    /// When it was made.
    pub created: Millis,
}

/// The body of `createRole` and `updateRole`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateRoleRequest {
    /// Markdown, at most 10,240 characters.
    pub description: String,
    /// Scopes to give.
    pub scopes: Vec<String>,
}

/// A page of roles (`listRoles2`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListRolesResponse {
    /// Sorted by id.
    pub roles: Vec<Role>,
    /// There is more when set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continuation_token: Option<String>,
}

/// A page of role ids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListRoleIdsResponse {
    /// Sorted.
    pub role_ids: Vec<String>,
    /// There is more when set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continuation_token: Option<String>,
}

/// A request that another service received and wants judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthenticateHawkRequest {
    /// Lower-case HTTP method.
    pub method: String,
    /// Path and query string as received.
    pub resource: String,
    /// Host that the client called.
    pub host: String,
    /// Port that the client called.
    pub port: u16,
    /// The `Authorization` header, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization: Option<String>,
    /// Who called, for logs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_ip: Option<String>,
}

/// What became of [`AuthenticateHawkRequest`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all_fields = "camelCase")]
pub enum AuthenticateHawkResponse {
    /// The signature is right.
    #[serde(rename = "auth-success")]
    Success {
        /// Always `hawk`.
        scheme: String,
        /// When the credentials end.
        expires: Millis,
        /// Expanded scopes.
        scopes: Vec<String>,
        /// Who signed.
        client_id: String,
        /// The payload hash that was signed; whoever holds the payload must compare it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hash: Option<String>,
    },
    /// There was no signature.
    #[serde(rename = "no-auth")]
    Anonymous {
        /// Always `none`.
        scheme: String,
        /// When to ask again.
        expires: Millis,
        /// What the role `anonymous` has.
        scopes: Vec<String>,
    },
    /// The signature is not right.
    #[serde(rename = "auth-failed")]
    Failed {
        /// Why.
        message: String,
    },
}

/// The body of `testAuthenticate`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TestAuthenticateRequest {
    /// Scopes that the client `tester` has for this call.
    pub client_scopes: Vec<String>,
    /// Scopes that this call needs.
    pub required_scopes: Vec<String>,
}

/// Who called `testAuthenticate` with what scopes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TestAuthenticateResponse {
    /// The caller.
    pub client_id: String,
    /// Its scopes.
    pub scopes: Vec<String>,
}
