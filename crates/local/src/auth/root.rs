//! The root credentials: drawn at random when a data directory is new, and kept in a file that only its owner can read.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicI64;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use taskgraft_core::ids::TaskId;

use super::directory::{Client, stored};

/// The file's name within the data directory.
pub const ROOT_CREDENTIALS: &str = "root-credentials.json";

/// The root client. Ids that start so cannot be changed over the API.
const ROOT_CLIENT: &str = "static/taskgraft/root";

/// When the root client expires: noon of the first day of 3000.
const FAR: i64 = 32_503_723_200_000;

/// Credentials that hold the scope `*`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RootCredentials {
    /// The client's name.
    pub client_id: String,
    /// Its secret.
    pub access_token: String,
}

/// Leaves the secret out.
impl std::fmt::Debug for RootCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RootCredentials").field("client_id", &self.client_id).finish_non_exhaustive()
    }
}

/// Why there are no root credentials.
#[derive(Debug, thiserror::Error)]
pub enum RootError {
    /// The file can't be read or written.
    #[error("failed to read or write {path}")]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file holds something else.
    #[error("{path} holds no credentials")]
    Content {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
}

impl RootCredentials {
    /// Reads them, or draws them where there are none.
    pub(crate) fn load_or_draw(data_dir: &Path) -> Result<Self, RootError> {
        let path = data_dir.join(ROOT_CREDENTIALS);
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|source| RootError::Content { path, source }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::draw(&path),
            Err(source) => Err(RootError::File { path, source }),
        }
    }

    fn draw(path: &Path) -> Result<Self, RootError> {
        let credentials = Self { client_id: ROOT_CLIENT.to_owned(), access_token: draw_token() };
        let content = |source| RootError::Content { path: path.to_owned(), source };
        let text = serde_json::to_vec_pretty(&credentials).map_err(content)?;
        // Whole or not at all: a file written half would be refused for ever.
        let half = path.with_extension("new");
        let write = || {
            let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&half)?;
            file.write_all(&text)?;
            file.sync_all()?;
            fs::rename(&half, path)
        };
        write().map_err(|source| RootError::File { path: path.to_owned(), source })?;
        Ok(credentials)
    }

    pub(super) fn client(&self) -> Client {
        let epoch = Timestamp::UNIX_EPOCH;
        Client {
            client_id: self.client_id.clone(),
            access_token: self.access_token.clone(),
            description: "Made at first start; may do everything.".to_owned(),
            scopes: vec!["*".to_owned()],
            expires: stored(FAR),
            created: epoch,
            last_modified: epoch,
            last_date_used: AtomicI64::new(0),
            last_rotated: epoch,
            delete_on_expiration: false,
            disabled: false,
        }
    }
}

/// A new access token: two random slugids, 244 bits.
pub(super) fn draw_token() -> String {
    format!("{}{}", TaskId::from_bytes(rand::random()), TaskId::from_bytes(rand::random()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn drawn_once_and_readable_by_the_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        let first = RootCredentials::load_or_draw(dir.path()).unwrap();
        assert_eq!(RootCredentials::load_or_draw(dir.path()).unwrap(), first);
        let mode = fs::metadata(dir.path().join(ROOT_CREDENTIALS)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let other = tempfile::tempdir().unwrap();
        assert_ne!(RootCredentials::load_or_draw(other.path()).unwrap().access_token, first.access_token);
        assert!(!format!("{first:?}").contains(&first.access_token));
    }

    #[test]
    fn a_file_with_something_else_is_not_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(ROOT_CREDENTIALS), "oops").unwrap();
        assert!(matches!(RootCredentials::load_or_draw(dir.path()), Err(RootError::Content { .. })));
    }
}
