//! An artifact as the tables keep it.

use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, Row, Transaction, params};
use serde_json::Value;
use taskgraft_core::api::queue::{Artifact as Listed, StorageType};
use taskgraft_core::time::Millis;

use crate::queue::task::{moment, parsed};
use taskgraft_store::StoreError;

/// An artifact of one run.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Artifact {
    /// 0 until it is inserted.
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) storage: StorageType,
    pub(super) content_type: String,
    pub(super) content_length: Option<i64>,
    /// What only this storage type has: `{url}`, `{artifact}`, `{reason, message}` or `{uploadId}`.
    pub(super) details: Value,
    /// Whether readers may see it.
    pub(super) present: bool,
    pub(super) expires: Timestamp,
    /// Of bytes that are put to us: what names them in URLs, and what signs those.
    pub(super) blob: Option<(String, String)>,
    /// Where the bytes are, once they came.
    pub(super) file: Option<String>,
    /// How they were encoded.
    pub(super) encoding: Option<String>,
}

const ARTIFACTS: &str = "SELECT id, name, storage_type, content_type, content_length, details, present, expires, \
                         blob, secret, file, encoding FROM artifacts ";

impl Artifact {
    fn of(row: &Row<'_>) -> rusqlite::Result<Self> {
        let blob: Option<String> = row.get(8)?;
        Ok(Self {
            id: row.get(0)?,
            name: row.get(1)?,
            storage: parsed(2, serde_json::from_value(Value::String(row.get(2)?)))?,
            content_type: row.get(3)?,
            content_length: row.get(4)?,
            details: parsed(5, serde_json::from_str(row.get_ref(5)?.as_str()?))?,
            present: row.get(6)?,
            expires: moment(row, 7)?,
            blob: blob.zip(row.get(9)?),
            file: row.get(10)?,
            encoding: row.get(11)?,
        })
    }

    pub(super) fn find(tx: &Transaction<'_>, task: i64, run: u16, name: &str) -> Result<Option<Self>, StoreError> {
        let mut statement = tx.prepare_cached(&format!("{ARTIFACTS} WHERE task = ?1 AND run = ?2 AND name = ?3"))?;
        Ok(statement.query_row(params![task, run, name], Self::of).optional()?)
    }

    pub(super) fn by_blob(tx: &Transaction<'_>, blob: &str) -> Result<Option<Self>, StoreError> {
        let mut statement = tx.prepare_cached(&format!("{ARTIFACTS} WHERE blob = ?"))?;
        Ok(statement.query_row([blob], Self::of).optional()?)
    }

    /// A run's artifacts whose names come after `after`, by name.
    pub(super) fn of_run(
        tx: &Transaction<'_>,
        task: i64,
        run: u16,
        after: &str,
        limit: usize,
    ) -> Result<Vec<Self>, StoreError> {
        let mut statement = tx.prepare_cached(&format!(
            "{ARTIFACTS} WHERE task = ?1 AND run = ?2 AND name > ?3 ORDER BY name LIMIT ?4"
        ))?;
        Ok(statement
            .query_map(params![task, run, after, i64::try_from(limit).unwrap_or(i64::MAX)], Self::of)?
            .collect::<Result<_, _>>()?)
    }

    pub(super) fn insert(&self, tx: &Transaction<'_>, task: i64, run: u16) -> Result<(), StoreError> {
        let (blob, secret) = self.blob.as_ref().map(|(blob, secret)| (blob, secret)).unzip();
        tx.prepare_cached(
            "INSERT INTO artifacts (task, run, name, storage_type, content_type, content_length, details, present, \
             expires, blob, secret) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        )?
        .execute(params![
            task,
            run,
            self.name,
            code(self.storage),
            self.content_type,
            self.content_length,
            self.details.to_string(),
            self.present,
            self.expires.as_millisecond(),
            blob,
            secret,
        ])?;
        Ok(())
    }

    /// Writes what may change of an artifact.
    pub(super) fn update(&self, tx: &Transaction<'_>) -> Result<(), StoreError> {
        tx.prepare_cached(
            "UPDATE artifacts SET storage_type = ?2, details = ?3, expires = ?4, file = ?5, encoding = ?6 WHERE id = ?1",
        )?
        .execute(params![
            self.id,
            code(self.storage),
            self.details.to_string(),
            self.expires.as_millisecond(),
            self.file,
            self.encoding,
        ])?;
        Ok(())
    }

    /// Whether anybody may read it who has the plain URL.
    pub(super) fn is_public(&self) -> bool {
        self.name.starts_with("public/")
    }

    /// A text in the details.
    pub(super) fn detail(&self, key: &str) -> &str {
        self.details.get(key).and_then(Value::as_str).unwrap_or_default()
    }

    /// As on the wire.
    pub(super) fn listed(self) -> Listed {
        Listed {
            storage_type: self.storage,
            name: self.name,
            expires: Millis::from(self.expires),
            content_type: self.content_type,
            content_length: self.content_length.map(i64::unsigned_abs),
        }
    }
}

/// The word on the wire and in the tables.
pub(super) fn code(storage: StorageType) -> &'static str {
    match storage {
        StorageType::S3 => "s3",
        StorageType::Object => "object",
        StorageType::Reference => "reference",
        StorageType::Link => "link",
        StorageType::Error => "error",
    }
}
