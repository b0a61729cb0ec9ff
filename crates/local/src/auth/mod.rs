//! Who calls, and what they may do: clients, roles and signatures.

mod certificate;
mod clients;
mod directory;
mod grant;
mod hawk;
mod jobs;
mod judge;
mod request;
mod roles;
mod root;
mod scopes;

pub use certificate::TemporaryCredentials;
pub use directory::DirectoryError;
pub(crate) use jobs::tidy;
pub use judge::Auth;
pub use request::{Authentication, SignedRequest};
pub use root::{ROOT_CREDENTIALS, RootCredentials, RootError};

use crate::http::{Access, Endpoint, PAGED, Query, Service};

/// `continuationToken`, `limit` and a prefix of client ids.
const CLIENTS_QUERY: &[Query] = &[PAGED[0], PAGED[1], ("prefix", CLIENT_ID)];

const CLIENT_ID: &str = "^[A-Za-z0-9!@/:.+|_-]+$";

const CLIENT_BODY: &str = "auth/v1/create-client-request.json";
const ROLE_BODY: &str = "auth/v1/create-role-request.json";

/// Taskcluster's auth service, without what ties it to other companies' services.
pub const SERVICE: Service =
    Service { name: "auth", params: &[("clientId", CLIENT_ID), ("roleId", "^[\\x20-\\x7e]+$")], endpoints: ENDPOINTS };

#[rustfmt::skip]
const ENDPOINTS: &[Endpoint] = &[
    Endpoint::get("listClients", "/clients/", Access::Scope("auth:list-clients"), |ctx, call| Box::pin(clients::list(ctx, call))).query(CLIENTS_QUERY),
    Endpoint::get("client", "/clients/<clientId>", Access::Scope("auth:get-client:<clientId>"), |ctx, call| Box::pin(clients::get(ctx, call))),
    Endpoint::put("createClient", "/clients/<clientId>", Access::Handler, |ctx, call| Box::pin(clients::create(ctx, call))).json(CLIENT_BODY),
    Endpoint::post("resetAccessToken", "/clients/<clientId>/reset", Access::Scope("auth:reset-access-token:<clientId>"), |ctx, call| Box::pin(clients::reset(ctx, call))),
    Endpoint::post("updateClient", "/clients/<clientId>", Access::Handler, |ctx, call| Box::pin(clients::update(ctx, call))).json(CLIENT_BODY),
    Endpoint::post("enableClient", "/clients/<clientId>/enable", Access::Scope("auth:enable-client:<clientId>"), |ctx, call| Box::pin(clients::switch(ctx, call, false))),
    Endpoint::post("disableClient", "/clients/<clientId>/disable", Access::Scope("auth:disable-client:<clientId>"), |ctx, call| Box::pin(clients::switch(ctx, call, true))),
    Endpoint::delete("deleteClient", "/clients/<clientId>", Access::Scope("auth:delete-client:<clientId>"), |ctx, call| Box::pin(clients::delete(ctx, call))),
    Endpoint::get("listRoles", "/roles/", Access::Scope("auth:list-roles"), |ctx, _| Box::pin(roles::list(ctx))),
    Endpoint::get("listRoles2", "/roles2/", Access::Scope("auth:list-roles"), |ctx, call| Box::pin(roles::list_page(ctx, call))).query(PAGED),
    Endpoint::get("listRoleIds", "/roleids/", Access::Scope("auth:list-roles"), |ctx, call| Box::pin(roles::list_ids(ctx, call))).query(PAGED),
    Endpoint::get("role", "/roles/<roleId>", Access::Scope("auth:get-role:<roleId>"), |ctx, call| Box::pin(roles::get(ctx, call))),
    Endpoint::put("createRole", "/roles/<roleId>", Access::Handler, |ctx, call| Box::pin(roles::create(ctx, call))).json(ROLE_BODY),
    Endpoint::post("updateRole", "/roles/<roleId>", Access::Handler, |ctx, call| Box::pin(roles::update(ctx, call))).json(ROLE_BODY),
    Endpoint::delete("deleteRole", "/roles/<roleId>", Access::Scope("auth:delete-role:<roleId>"), |ctx, call| Box::pin(roles::delete(ctx, call))),
    Endpoint::post("expandScopes", "/scopes/expand", Access::Scope("auth:expand-scopes"), |ctx, call| Box::pin(scopes::expand(ctx, call))).json("auth/v1/scopeset.json"),
    Endpoint::get("currentScopes", "/scopes/current", Access::Scope("auth:current-scopes"), |_, call| Box::pin(scopes::current(call))),
    Endpoint::post("authenticateHawk", "/authenticate-hawk", Access::Open, |ctx, call| Box::pin(scopes::authenticate_hawk(ctx, call))).json("auth/v1/authenticate-hawk-request.json"),
    Endpoint::post("testAuthenticate", "/test-authenticate", Access::Open, |_, call| Box::pin(scopes::test_authenticate(call))).json("auth/v1/test-authenticate-request.json"),
    Endpoint::get("testAuthenticateGet", "/test-authenticate-get/", Access::Open, |_, call| Box::pin(scopes::test_authenticate_get(call))),
];
