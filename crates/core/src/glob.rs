//! Texts by pattern: `*` stands for any number of characters, `?` for one, everything else for itself.

/// A pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob(Vec<char>);

impl Glob {
    /// Any text is a pattern.
    #[must_use]
    pub fn new(pattern: &str) -> Self {
        Self(pattern.chars().collect())
    }

    /// Whether `text` has a character that makes it stand for more than itself.
    #[must_use]
    pub fn is_pattern(text: &str) -> bool {
        text.contains(['*', '?'])
    }

    /// Whether it matches all of `text`. Takes time proportional to the product of their lengths at most.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let (mut at, mut rest) = (0, text);
        // What follows the last star, and the text behind the first character that star has not swallowed yet.
        let mut star: Option<(usize, &str)> = None;
        while let Some(char) = rest.chars().next() {
            match self.0.get(at) {
                Some('*') => {
                    at += 1;
                    star = Some((at, behind_first(rest)));
                }
                Some(wanted) if *wanted == '?' || *wanted == char => (at, rest) = (at + 1, behind_first(rest)),
                Some(_) | None => match star {
                    Some((behind, swallow)) => {
                        star = Some((behind, behind_first(swallow)));
                        (at, rest) = (behind, swallow);
                    }
                    None => return false,
                },
            }
        }
        self.0[at..].iter().all(|left| *left == '*')
    }
}

fn behind_first(text: &str) -> &str {
    let mut chars = text.chars();
    chars.next();
    chars.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks() {
        for (pattern, label) in [
            ("test-*-unit-3", "test-linux64-unit-3"),
            ("test-linux64*-unit-3", "test-linux64-unit-3"),
            ("*", ""),
            ("build-?", "build-ä"),
            ("*ä", "aää"),
            ("**a*b", "xaxbab"),
            ("TaskLabel==A-JT3s", "TaskLabel==A-JT3s"),
        ] {
            assert!(Glob::new(pattern).matches(label), "{pattern} {label}");
        }
        for (pattern, label) in [("test-*-3", "test-unit-33"), ("?", ""), ("a", "ab"), ("[ab]", "a"), ("a*b", "ab c")] {
            assert!(!Glob::new(pattern).matches(label), "{pattern} {label}");
        }
    }

    #[test]
    fn many_stars_take_no_exponential_time() {
        assert!(!Glob::new(&format!("{}b", "*a".repeat(200))).matches(&"a".repeat(2000)));
    }

    proptest::proptest! {
        #[test]
        fn it_agrees_with_a_regular_expression(pattern in "[ab*?]{0,8}", text in "[ab]{0,12}") {
            let expression = pattern.replace('*', ".*").replace('?', ".");
            let expected = regex::Regex::new(&format!("^{expression}$")).unwrap().is_match(&text);
            proptest::prop_assert_eq!(Glob::new(&pattern).matches(&text), expected);
        }
    }
}
