//! The database's tables.

/// Each leads from one version to the next; none is edited once released.
pub(crate) const MIGRATIONS: [&str; 3] =
    [include_str!("migrations/0001.sql"), include_str!("migrations/0002.sql"), include_str!("migrations/0003.sql")];
