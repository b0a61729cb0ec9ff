//! What is secret, and so never stands in a file.

use std::collections::BTreeMap;
use std::fmt;

/// Passwords, as whoever reads the environment found them.
#[derive(Clone, Default)]
pub struct Secrets {
    /// Of the pulse user.
    pub pulse: Option<String>,
    /// Of Buildbot masters, by the name that the configuration gives them.
    pub buildbot: BTreeMap<String, String>,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secrets")
            .field("pulse", &self.pulse.is_some())
            .field("buildbot", &self.buildbot.keys())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_not_shown() {
        let buildbot = BTreeMap::from([("main".to_owned(), "s3cret".to_owned())]);
        let shown = format!("{:?}", Secrets { pulse: Some("s3cret".to_owned()), buildbot });
        assert!(shown.contains("main") && !shown.contains("s3cret"), "{shown}");
    }
}
