//! Path patterns of `skip-unless-changed`, with the reference's rules: `*` within one part of a path, `**` over any
//! number of parts, and a pattern that matches a directory matches all below it.

use regex::Regex;

/// The longest pattern that is compiled, in bytes.
const MAX_PATTERN_BYTES: usize = 4096;

/// A pattern, compiled.
#[derive(Debug, Clone)]
pub(crate) struct PathPattern(Option<Regex>);

/// A pattern that can't be compiled: it is too long.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the path pattern `{0}…` is too long")]
pub(crate) struct PatternError(String);

impl PathPattern {
    /// Compiles `pattern`.
    ///
    /// # Errors
    ///
    /// It is too long.
    pub(crate) fn new(pattern: &str) -> Result<Self, PatternError> {
        let too_long = || PatternError(pattern.chars().take(64).collect());
        if pattern.is_empty() {
            // Matches everything.
            return Ok(Self(None));
        }
        if pattern.len() > MAX_PATTERN_BYTES {
            return Err(too_long());
        }
        Regex::new(&expression(pattern)).map(|regex| Self(Some(regex))).map_err(|_| too_long())
    }

    /// Whether `path` matches.
    #[must_use]
    pub(crate) fn matches(&self, path: &str) -> bool {
        self.0.as_ref().is_none_or(|regex| regex.is_match(path))
    }
}

/// The regular expression that the reference makes of a pattern: `**/` at the start or behind a slash, then `**` at
/// the end, then single stars.
fn expression(pattern: &str) -> String {
    let mut expression = String::from("^");
    let mut rest = pattern;
    let mut at_start = true;
    while let Some(char) = rest.chars().next() {
        // A slash that a `**/` has used up doesn't introduce another.
        let stars = if at_start && rest.starts_with("**") {
            Some(("", &rest[2..]))
        } else {
            rest.strip_prefix("/**").map(|rest| ("/", rest))
        };
        at_start = false;
        match stars {
            Some((slash, after)) if after.starts_with('/') => {
                expression.push_str(slash);
                expression.push_str("(?:.+/)?");
                rest = &after[1..];
            }
            Some((slash, "")) => {
                expression.push_str("(?:");
                expression.push_str(slash);
                expression.push_str(".+)?");
                rest = "";
            }
            Some(_) | None => {
                if char == '*' {
                    expression.push_str("[^/]*");
                } else {
                    expression.push_str(&regex::escape(char.encode_utf8(&mut [0; 4])));
                }
                rest = &rest[char.len_utf8()..];
            }
        }
    }
    // Python's `$` also matches before a newline at the end.
    expression.push_str("(?:/.*)?\\n?$");
    expression
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_the_reference() {
        for (pattern, path, expected) in [
            ("foo", "foo/bar", true),
            ("foo", "foobar", false),
            ("foo/*/bar", "foo/bar", false),
            ("foo/**/bar", "foo/bar", true),
            ("foo/**/bar", "foo/a/b/bar", true),
            ("**/bar", "bar", true),
            ("**/bar", "a/b/bar/c", true),
            ("**/bar", "a/xbar", false),
            ("foo/**", "foo", true),
            ("foo/**", "foo/x/y", true),
            ("foo/**", "foox", false),
            ("**", "anything/at all", true),
            ("*.py", "a.py", true),
            ("*.py", "a/b.py", false),
            ("a**b", "axxb", true),
            ("a**b", "a/b", false),
            ("a/**/**/b", "a/x/y/b", true),
            ("a/**/**/b", "a/b", false),
            ("a+(b)", "a+(b)", true),
            ("a", "a\n", true),
            ("", "x", true),
        ] {
            assert_eq!(PathPattern::new(pattern).unwrap().matches(path), expected, "{pattern} {path:?}");
        }
    }

    #[test]
    fn long_patterns_are_refused() {
        assert!(PathPattern::new(&"a".repeat(5000)).is_err());
        assert!(PathPattern::new(&"**/".repeat(1300)).is_ok());
    }
}
