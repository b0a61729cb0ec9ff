//! Treeherder's exchanges, and how their messages are addressed.

use std::fmt;
use std::str::FromStr;

use super::field::shown;

/// The most characters of a namespace, which is the name of a Pulse user.
const MAX_NAMESPACE: usize = 64;

/// What an exchange's messages are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Jobs to be added to a push, by name.
    AddNewJobs,
    /// Something to be done with all of a push.
    PushAction,
    /// Something to be done with one job.
    JobAction,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::AddNewJobs, Self::PushAction, Self::JobAction];

    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AddNewJobs => "add-new-jobs",
            Self::PushAction => "push-action",
            Self::JobAction => "job-action",
        }
    }

    /// The last part of its exchange's name.
    #[must_use]
    pub fn exchange(self) -> &'static str {
        match self {
            Self::AddNewJobs => "resultset-runnable-job-actions",
            Self::PushAction => "resultset-actions",
            Self::JobAction => "job-actions",
        }
    }

    /// The binding that routes a project's messages of this kind, or those of all projects, to a queue.
    #[must_use]
    pub fn binding(self, project: Option<&str>) -> String {
        let project = project.unwrap_or("*");
        match self {
            Self::AddNewJobs => project.to_owned(),
            Self::PushAction => format!("{project}.*"),
            Self::JobAction => format!("*.{project}.*"),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An exchange with such messages: Treeherder's are `exchange/<namespace>/v1/<name>`, its namespaces were `treeherder` and
/// `treeherder-stage`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Exchange {
    /// Its full name.
    pub name: String,
    /// What is published there.
    pub kind: Kind,
}

impl Exchange {
    /// Where Treeherder itself publishes messages of a kind.
    #[must_use]
    pub fn of_treeherder(kind: Kind) -> Self {
        Self { name: format!("exchange/treeherder/v1/{}", kind.exchange()), kind }
    }
}

/// A name that is none of Treeherder's exchanges.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the exchange {0} is none of exchange/NAMESPACE/v1/resultset-runnable-job-actions, \
     exchange/NAMESPACE/v1/resultset-actions and exchange/NAMESPACE/v1/job-actions"
)]
pub struct InvalidExchange(String);

impl FromStr for Exchange {
    type Err = InvalidExchange;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let parts: Vec<&str> = name.splitn(5, '/').collect();
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let kind = match parts.as_slice() {
            ["exchange", namespace, "v1", last]
                if (1..=MAX_NAMESPACE).contains(&namespace.len()) && namespace.bytes().all(plain) =>
            {
                Kind::ALL.into_iter().find(|kind| kind.exchange() == *last)
            }
            _ => None,
        };
        let kind = kind.ok_or_else(|| InvalidExchange(shown(name)))?;
        Ok(Self { name: name.to_owned(), kind })
    }
}

impl fmt::Display for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exchanges_read_as_they_are_written() {
        for namespace in ["treeherder", "treeherder-stage", "ann"] {
            for kind in Kind::ALL {
                let name = format!("exchange/{namespace}/v1/{}", kind.exchange());
                assert_eq!(name.parse(), Ok(Exchange { name, kind }));
            }
        }
        assert!(Kind::ALL.map(Exchange::of_treeherder).iter().all(|it| it.name.parse().as_ref() == Ok(it)));
    }

    #[test]
    fn others_are_refused() {
        for name in [
            "",
            "exchange",
            "exchange/treeherder/v1/",
            "exchange/treeherder/v2/job-actions",
            "exchange//v1/job-actions",
            "exchange/tree herder/v1/job-actions",
            "exchange/treeherder/v1/job-actions/more",
            "exchange/taskcluster-queue/v1/task-completed",
            "exchange/\u{1b}[31m/v1/job-actions",
        ] {
            let error = name.parse::<Exchange>().unwrap_err().to_string();
            assert!(!error.chars().any(char::is_control), "{error}");
        }
    }

    #[test]
    fn bindings_have_as_many_words_as_the_keys() {
        assert_eq!(Kind::ALL.map(|kind| kind.binding(Some("try"))), ["try", "try.*", "*.try.*"]);
        assert_eq!(Kind::ALL.map(|kind| kind.binding(None)), ["*", "*.*", "*.*.*"]);
    }
}
