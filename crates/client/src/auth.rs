//! The auth service.

use futures_util::TryStreamExt as _;
use http::Method;
use serde::de::IgnoredAny;
use taskgraft_core::api::auth::{
    self, AuthenticateHawkRequest, AuthenticateHawkResponse, CreateClientRequest, CreateClientResponse,
    CreateRoleRequest, ListClientsResponse, ListRolesResponse, Role, ScopeSet,
};

use crate::call::Call;
use crate::pages::pages;
use crate::{Client, Error};

/// Auth, through a [`Client`].
#[derive(Debug, Clone, Copy)]
pub struct Auth<'a> {
    client: &'a Client,
}

impl<'a> Auth<'a> {
    pub(crate) fn new(client: &'a Client) -> Self {
        Self { client }
    }

    fn call(name: &'static str, method: Method, path: &[&str]) -> Result<Call, Error> {
        Call::new(name, method, "auth", path)
    }

    /// Nothing, if the service answers.
    ///
    /// # Errors
    /// As any call.
    pub async fn ping(self) -> Result<(), Error> {
        self.client.fetch(Self::call("ping", Method::GET, &["ping"])?).await.map(|IgnoredAny| ())
    }

    /// The expanded scopes of whoever asks.
    ///
    /// # Errors
    /// As any call.
    pub async fn current_scopes(self) -> Result<Vec<String>, Error> {
        let call = Self::call("currentScopes", Method::GET, &["scopes", "current"])?;
        Ok(self.client.fetch::<ScopeSet>(call).await?.scopes)
    }

    /// `scopes` with what roles add.
    ///
    /// # Errors
    /// As any call.
    pub async fn expand_scopes(self, scopes: Vec<String>) -> Result<Vec<String>, Error> {
        let call = Self::call("expandScopes", Method::POST, &["scopes", "expand"])?.json(&ScopeSet { scopes })?;
        Ok(self.client.fetch::<ScopeSet>(call).await?.scopes)
    }

    /// Who signed a request that somebody else received, and what scopes they have. Whoever holds the payload has to compare
    /// its hash, and to see to it that a signature counts once.
    ///
    /// # Errors
    /// As any call; a signature that is not right is an answer, not an error.
    pub async fn authenticate_hawk(self, request: &AuthenticateHawkRequest) -> Result<AuthenticateHawkResponse, Error> {
        self.client.fetch(Self::call("authenticateHawk", Method::POST, &["authenticate-hawk"])?.json(request)?).await
    }

    /// A client.
    ///
    /// # Errors
    /// As any call; 404 for an unknown one.
    pub async fn client(self, id: &str) -> Result<auth::Client, Error> {
        self.client.fetch(Self::call("client", Method::GET, &["clients", id])?).await
    }

    /// All clients.
    ///
    /// # Errors
    /// As any call.
    pub async fn list_clients(self) -> Result<Vec<auth::Client>, Error> {
        // Only the trailing slash tells this from a client's own path.
        let call = Self::call("listClients", Method::GET, &["clients"]).map(Call::with_slash);
        let pages = pages(self.client, call, |page: &ListClientsResponse| page.continuation_token.clone());
        let collect = |mut all: Vec<_>, page: ListClientsResponse| async move {
            all.extend(page.clients);
            Ok(all)
        };
        pages.try_fold(Vec::new(), collect).await
    }

    /// Makes a client. Its access token is in the answer and nowhere else, so an answer that is lost leaves a client
    /// whose token must be reset.
    ///
    /// # Errors
    /// [`Error::Conflict`] when there is another one of this name.
    pub async fn create_client(self, id: &str, request: &CreateClientRequest) -> Result<CreateClientResponse, Error> {
        self.client.fetch(Self::call("createClient", Method::PUT, &["clients", id])?.json(request)?).await
    }

    /// Changes a client.
    ///
    /// # Errors
    /// As any call; 404 for an unknown one.
    pub async fn update_client(self, id: &str, request: &CreateClientRequest) -> Result<auth::Client, Error> {
        self.client.fetch(Self::call("updateClient", Method::POST, &["clients", id])?.json(request)?).await
    }

    /// Gives a client a new access token; the old one ends at once.
    ///
    /// # Errors
    /// As any call; 404 for an unknown one.
    pub async fn reset_access_token(self, id: &str) -> Result<CreateClientResponse, Error> {
        self.client.fetch(Self::call("resetAccessToken", Method::POST, &["clients", id, "reset"])?).await
    }

    /// Lets a disabled client in again.
    ///
    /// # Errors
    /// As any call; 404 for an unknown one.
    pub async fn enable_client(self, id: &str) -> Result<auth::Client, Error> {
        self.client.fetch(Self::call("enableClient", Method::POST, &["clients", id, "enable"])?).await
    }

    /// Shuts a client out.
    ///
    /// # Errors
    /// As any call; 404 for an unknown one.
    pub async fn disable_client(self, id: &str) -> Result<auth::Client, Error> {
        self.client.fetch(Self::call("disableClient", Method::POST, &["clients", id, "disable"])?).await
    }

    /// Removes a client, if there is one.
    ///
    /// # Errors
    /// As any call.
    pub async fn delete_client(self, id: &str) -> Result<(), Error> {
        self.client.send(Self::call("deleteClient", Method::DELETE, &["clients", id])?).await.map(drop)
    }

    /// A role.
    ///
    /// # Errors
    /// As any call; 404 for an unknown one.
    pub async fn role(self, id: &str) -> Result<Role, Error> {
        self.client.fetch(Self::call("role", Method::GET, &["roles", id])?).await
    }

    /// All roles.
    ///
    /// # Errors
    /// As any call.
    pub async fn list_roles(self) -> Result<Vec<Role>, Error> {
        let call = Self::call("listRoles2", Method::GET, &["roles2"]).map(Call::with_slash);
        let pages = pages(self.client, call, |page: &ListRolesResponse| page.continuation_token.clone());
        let collect = |mut all: Vec<_>, page: ListRolesResponse| async move {
            all.extend(page.roles);
            Ok(all)
        };
        pages.try_fold(Vec::new(), collect).await
    }

    /// Makes a role.
    ///
    /// # Errors
    /// [`Error::Conflict`] when there is another one of this name.
    pub async fn create_role(self, id: &str, request: &CreateRoleRequest) -> Result<Role, Error> {
        self.client.fetch(Self::call("createRole", Method::PUT, &["roles", id])?.json(request)?).await
    }

    /// Changes a role.
    ///
    /// # Errors
    /// As any call; 404 for an unknown one.
    pub async fn update_role(self, id: &str, request: &CreateRoleRequest) -> Result<Role, Error> {
        self.client.fetch(Self::call("updateRole", Method::POST, &["roles", id])?.json(request)?).await
    }

    /// Removes a role, if there is one.
    ///
    /// # Errors
    /// As any call.
    pub async fn delete_role(self, id: &str) -> Result<(), Error> {
        self.client.send(Self::call("deleteRole", Method::DELETE, &["roles", id])?).await.map(drop)
    }
}
