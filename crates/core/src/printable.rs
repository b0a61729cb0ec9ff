//! Texts of others, fit to be shown: labels, titles and messages come from graphs and from anybody.

use std::borrow::Cow;

/// `text` with its control characters escaped, so that it neither moves a terminal's cursor nor tells it anything. Line
/// ends and tabs stay.
#[must_use]
pub fn printable(text: &str) -> Cow<'_, str> {
    escaped(text, |c| c.is_control() && !matches!(c, '\n' | '\t'))
}

/// The same in one line, so that what follows a line end doesn't look like another one of ours.
#[must_use]
pub fn in_a_line(text: &str) -> Cow<'_, str> {
    escaped(text, char::is_control)
}

fn escaped(text: &str, is_bad: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&is_bad) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if is_bad(c) { escaped.extend(c.escape_unicode()) } else { escaped.push(c) }
    }
    Cow::Owned(escaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_write_moves_no_cursor() {
        assert_eq!(printable("build\u{1b}[2J\rall is well\u{9b}1m"), "build\\u{1b}[2J\\u{d}all is well\\u{9b}1m");
        assert_eq!(printable("test-ünit → 2\n\tnew"), "test-ünit → 2\n\tnew");
        assert_eq!(in_a_line("a\nerror: b\t"), "a\\u{a}error: b\\u{9}");
    }
}
