//! The database's tables.

/// Each leads from one version to the next; none is edited once released.
pub(crate) const MIGRATIONS: [&str; 3] =
    [include_str!("migrations/0001.sql"), include_str!("migrations/0002.sql"), include_str!("migrations/0003.sql")];

/// How much of the database each connection keeps in memory, in KiB.
pub(crate) const CACHE_KIB: u32 = 32 << 10;
