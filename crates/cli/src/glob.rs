//! Labels by pattern: `*` stands for any number of characters, `?` for one, everything else for itself.

/// Whether `text` has a character that makes it a pattern.
pub(crate) fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?'])
}

/// Whether `pattern` matches all of `label`. Takes time proportional to the product of their lengths at most.
pub(crate) fn matches(pattern: &str, label: &str) -> bool {
    let (pattern, label): (Vec<char>, Vec<char>) = (pattern.chars().collect(), label.chars().collect());
    let (mut p, mut l) = (0, 0);
    // Where the last star stands, and how far its match reaches so far.
    let mut star: Option<(usize, usize)> = None;
    while l < label.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, l));
                p += 1;
            }
            Some(c) if *c == '?' || *c == label[l] => (p, l) = (p + 1, l + 1),
            Some(_) | None => match star {
                Some((at, reach)) => {
                    star = Some((at, reach + 1));
                    (p, l) = (at + 1, reach + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
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
            ("**a*b", "xaxbab"),
            ("TaskLabel==A-JT3s", "TaskLabel==A-JT3s"),
        ] {
            assert!(matches(pattern, label), "{pattern} {label}");
        }
        for (pattern, label) in [("test-*-3", "test-unit-33"), ("?", ""), ("a", "ab"), ("[ab]", "a"), ("a*b", "ab c")] {
            assert!(!matches(pattern, label), "{pattern} {label}");
        }
    }

    #[test]
    fn many_stars_take_no_exponential_time() {
        assert!(!matches(&format!("{}b", "*a".repeat(200)), &"a".repeat(2000)));
    }
}
