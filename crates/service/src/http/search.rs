//! Which labels a text means.

use taskgraft_core::glob::Glob;

use super::problem::Problem;

/// The longest text that is searched for, in characters.
const MAX_TEXT: usize = 200;

/// What labels are compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Search {
    /// Everything is meant.
    All,
    /// The whole label is like this, as in `taskgraft labels`.
    Glob(Glob),
    /// It is somewhere in the label, whatever the case.
    Substring(String),
    /// Its characters are in the label in this order, whatever the case and whatever is between them.
    Fuzzy(Vec<char>),
}

impl Search {
    /// `text`, compared in the `manner` that was asked for; without one a text with `*` or `?` is a glob, and any other a
    /// substring.
    ///
    /// # Errors
    /// A text that is too long, or a manner that there isn't.
    pub(super) fn new(text: Option<&str>, manner: Option<&str>) -> Result<Self, Problem> {
        let text = text.unwrap_or_default();
        if text.chars().count() > MAX_TEXT {
            return Err(Problem::parameter("search", format!("longer than {MAX_TEXT} characters")));
        }
        let manner = match manner {
            Some(manner @ ("glob" | "substring" | "fuzzy")) => manner,
            Some(_) => return Err(Problem::parameter("match", "glob, substring or fuzzy is needed")),
            None if Glob::is_pattern(text) => "glob",
            None => "substring",
        };
        Ok(match manner {
            _ if text.is_empty() => Self::All,
            "glob" => Self::Glob(Glob::new(text)),
            "fuzzy" => Self::Fuzzy(text.to_lowercase().chars().filter(|char| !char.is_whitespace()).collect()),
            _ => Self::Substring(text.to_lowercase()),
        })
    }

    pub(super) fn matches(&self, label: &str) -> bool {
        match self {
            Self::All => true,
            Self::Glob(glob) => glob.matches(label),
            Self::Substring(text) => label.to_lowercase().contains(text),
            Self::Fuzzy(wanted) => {
                let mut wanted = wanted.iter().peekable();
                for char in label.to_lowercase().chars() {
                    if wanted.peek().is_some_and(|next| **next == char) {
                        wanted.next();
                    }
                }
                wanted.peek().is_none()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_mean_labels_in_three_manners() {
        let matches = |text, manner, label: &str| Search::new(Some(text), manner).unwrap().matches(label);
        assert!(matches("Unit", None, "test-unit-3"));
        assert!(!matches("unit*", None, "test-unit-3"), "a glob is for the whole label");
        assert!(matches("*unit*", None, "test-unit-3"));
        assert!(!matches("*unit*", Some("substring"), "test-unit-3"));
        assert!(matches("tu3", Some("fuzzy"), "test-unit-3"));
        assert!(!matches("3ut", Some("fuzzy"), "test-unit-3"));
        assert!(matches("", Some("glob"), "anything"));
    }

    #[test]
    fn what_can_not_be_searched_for_is_said() {
        assert_eq!(Search::new(Some("x"), Some("regex")).unwrap_err().place.as_deref(), Some("match"));
        assert_eq!(Search::new(Some(&"x".repeat(201)), None).unwrap_err().place.as_deref(), Some("search"));
    }
}
