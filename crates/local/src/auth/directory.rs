//! All clients and roles, in memory as they are in the database: every request asks here, few change anything.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Row, Transaction};
use taskgraft_core::api;
use taskgraft_core::scopes::{Roles, RolesError, normalize};
use taskgraft_core::time::Millis;

use super::grant::Grant;
use super::hawk::Unauthenticated;
use crate::http::ApiError;
use taskgraft_store::StoreError;

/// What everybody holds, without signature too.
pub(super) const ANONYMOUS: &str = "assume:anonymous";

/// How many expansions are kept; when there are more, all are forgotten.
const MAX_CACHED: usize = 10_000;

/// A client's last use is noted when it was this long ago.
const USE_NOTED: SignedDuration = SignedDuration::from_hours(6);

/// A client as stored.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) client_id: String,
    pub(super) access_token: String,
    pub(super) description: String,
    /// Sorted.
    pub(super) scopes: Vec<String>,
    pub(super) expires: Timestamp,
    pub(super) created: Timestamp,
    pub(super) last_modified: Timestamp,
    /// Milliseconds since 1970; changes in place, and is stored now and then.
    pub(super) last_date_used: AtomicI64,
    pub(super) last_rotated: Timestamp,
    pub(super) delete_on_expiration: bool,
    pub(super) disabled: bool,
}

/// A role as stored.
#[derive(Debug, Clone)]
pub(super) struct Role {
    pub(super) role_id: String,
    pub(super) description: String,
    /// Sorted.
    pub(super) scopes: Vec<String>,
    pub(super) created: Timestamp,
    pub(super) last_modified: Timestamp,
}

/// One state of all clients and roles.
#[derive(Debug)]
pub(super) struct Directory {
    clients: BTreeMap<String, Client>,
    roles: BTreeMap<String, Role>,
    expander: Roles,
    expanded: Mutex<HashMap<Vec<String>, Arc<[String]>>>,
}

impl Directory {
    /// Everything that is stored, and the root client.
    pub(super) fn load(tx: &Transaction<'_>, root: Client) -> Result<Self, DirectoryError> {
        let mut clients = BTreeMap::from([(root.client_id.clone(), root)]);
        let mut statement = tx.prepare_cached("SELECT * FROM clients")?;
        for client in statement.query_map([], client_of)? {
            let client = client?;
            clients.insert(client.client_id.clone(), client);
        }
        let mut statement = tx.prepare_cached("SELECT * FROM roles")?;
        let roles = statement.query_map([], role_of)?.map(|role| role.map(|role| (role.role_id.clone(), role)));
        Self::new(clients, roles.collect::<Result<_, _>>()?)
    }

    /// Refuses roles that form a cycle, have ambiguous parameters, or come to too many scopes.
    pub(super) fn new(
        clients: BTreeMap<String, Client>,
        roles: BTreeMap<String, Role>,
    ) -> Result<Self, DirectoryError> {
        let expander = Roles::new(roles.values().map(|role| (&role.role_id, role.scopes.clone())))?;
        for role_id in roles.keys() {
            expander.expand([format!("assume:{role_id}")])?;
        }
        Ok(Self { clients, roles, expander, expanded: Mutex::default() })
    }

    pub(super) fn clients(&self) -> &BTreeMap<String, Client> {
        &self.clients
    }

    pub(super) fn roles(&self) -> &BTreeMap<String, Role> {
        &self.roles
    }

    /// A client that may sign at all, with its expanded scopes.
    pub(super) fn grant(&self, client_id: &str, now: Timestamp) -> Result<Grant, Unauthenticated> {
        let refuse = |with: &str| Err(Unauthenticated(format!("Client with clientId{with}")));
        let Some(client) = self.clients.get(client_id) else { return refuse(&format!(" '{client_id}' not found")) };
        if client.disabled {
            return refuse(&format!(" '{client_id}' is disabled"));
        }
        if client.expires < now {
            return refuse(&format!(": '{client_id}' has expired"));
        }
        client.note_use(now);
        let scopes = self.expand(&client.scopes)?;
        Ok(Grant { access_token: client.access_token.clone(), scopes: scopes.to_vec(), expires: client.expires })
    }

    /// The scopes and all that roles add, normalised.
    pub(super) fn expand(&self, scopes: &[String]) -> Result<Arc<[String]>, Unauthenticated> {
        let mut cache = self.expanded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = cache.get(scopes) {
            return Ok(Arc::clone(known));
        }
        let expanded = self.expander.expand(scopes).map_err(|error| Unauthenticated(error.to_string()))?;
        if cache.len() >= MAX_CACHED {
            cache.clear();
        }
        let expanded: Arc<[String]> = expanded.into();
        cache.insert(scopes.to_vec(), Arc::clone(&expanded));
        Ok(expanded)
    }

    /// The same with what everybody holds.
    pub(super) fn expand_with_anonymous(&self, scopes: &[String]) -> Result<Arc<[String]>, Unauthenticated> {
        let mut scopes = scopes.to_vec();
        scopes.push(ANONYMOUS.to_owned());
        self.expand(&normalize(scopes))
    }

    /// A client as the API shows it.
    pub(super) fn show_client(&self, client: &Client) -> api::auth::Client {
        api::auth::Client {
            client_id: client.client_id.clone(),
            description: client.description.clone(),
            expires: client.expires.into(),
            created: client.created.into(),
            last_modified: client.last_modified.into(),
            last_date_used: stored(client.last_date_used.load(Ordering::Relaxed)).into(),
            last_rotated: client.last_rotated.into(),
            delete_on_expiration: client.delete_on_expiration,
            scopes: client.scopes.clone(),
            expanded_scopes: self.show_expanded(&client.scopes),
            disabled: client.disabled,
        }
    }

    /// A role as the API shows it.
    pub(super) fn show_role(&self, role: &Role) -> api::auth::Role {
        api::auth::Role {
            role_id: role.role_id.clone(),
            scopes: role.scopes.clone(),
            expanded_scopes: self.show_expanded(&[format!("assume:{}", role.role_id)]),
            description: role.description.clone(),
            last_modified: Millis::from(role.last_modified),
            created: Millis::from(role.created),
        }
    }

    /// Scopes that come to too many are shown as they are.
    fn show_expanded(&self, scopes: &[String]) -> Vec<String> {
        self.expand(scopes).map_or_else(|_| scopes.to_vec(), |expanded| expanded.to_vec())
    }
}

impl Client {
    fn note_use(&self, now: Timestamp) {
        let now = now.as_millisecond();
        if now - self.last_date_used.load(Ordering::Relaxed) > i64::try_from(USE_NOTED.as_millis()).unwrap_or(i64::MAX)
        {
            self.last_date_used.store(now, Ordering::Relaxed);
        }
    }
}

/// A moment as stored, milliseconds since 1970.
pub(super) fn stored(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX)
}

/// Scopes as stored: a JSON list.
pub(super) fn stored_scopes(scopes: &[String]) -> String {
    serde_json::json!(scopes).to_string()
}

fn scopes_of(row: &Row<'_>) -> rusqlite::Result<Vec<String>> {
    let text: String = row.get("scopes")?;
    serde_json::from_str(&text)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, error.into()))
}

fn client_of(row: &Row<'_>) -> rusqlite::Result<Client> {
    Ok(Client {
        client_id: row.get("client_id")?,
        access_token: row.get("access_token")?,
        description: row.get("description")?,
        scopes: scopes_of(row)?,
        expires: stored(row.get("expires")?),
        created: stored(row.get("created")?),
        last_modified: stored(row.get("last_modified")?),
        last_date_used: AtomicI64::new(row.get("last_date_used")?),
        last_rotated: stored(row.get("last_rotated")?),
        delete_on_expiration: row.get("delete_on_expiration")?,
        disabled: row.get("disabled")?,
    })
}

fn role_of(row: &Row<'_>) -> rusqlite::Result<Role> {
    Ok(Role {
        role_id: row.get("role_id")?,
        description: row.get("description")?,
        scopes: scopes_of(row)?,
        created: stored(row.get("created")?),
        last_modified: stored(row.get("last_modified")?),
    })
}

/// Why clients and roles can't be as asked.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// The roles contradict each other.
    #[error(transparent)]
    Roles(#[from] RolesError),
    /// The database refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<rusqlite::Error> for DirectoryError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error.into())
    }
}

impl From<DirectoryError> for ApiError {
    fn from(error: DirectoryError) -> Self {
        match error {
            DirectoryError::Roles(error) => Self::input(error.to_string()),
            DirectoryError::Store(error) => error.into(),
        }
    }
}
