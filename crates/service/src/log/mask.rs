//! Secrets are not logged; should one get into a line all the same, it is masked there.

use std::borrow::Cow;

/// What stands before a secret, as Hawk headers, bewits, cookies and logins have it.
const BEFORE: [&str; 13] = [
    "bewit=",
    "mac=\"",
    "ext=\"",
    "mac=\\\"",
    "ext=\\\"",
    "accessToken\":\"",
    "accessToken\": \"",
    "access_token: \"",
    "access_token\": \"",
    "accessToken\\\":\\\"",
    "Basic ",
    "Bearer ",
    "TWISTED_SESSION=",
];
/// What ends one.
const END: [char; 11] = [' ', '\t', '\n', '\r', '"', '\'', '&', ',', ';', ')', '\\'];
/// What stands there instead.
const MASK: &str = "…";
/// How much of what somebody sent is shown, in characters.
const BEGINNING: usize = 2000;

/// `text` without what looks like the secret part of a signature, a signed URL, a login, or a password in a URL.
#[must_use]
pub fn mask(text: &str) -> Cow<'_, str> {
    let mut masked = Cow::Borrowed(text);
    for before in BEFORE {
        if masked.contains(before) {
            masked = Cow::Owned(behind(&masked, before));
        }
    }
    if masked.contains("://") && masked.contains('@') {
        masked = Cow::Owned(passwords(&masked));
    }
    masked
}

/// The beginning of what somebody sent, at most 2000 characters, as it may be shown.
pub(crate) fn beginning(sent: &[u8]) -> String {
    // No character has more than four bytes.
    let beginning = String::from_utf8_lossy(&sent[..sent.len().min(4 * BEGINNING)]);
    mask(&beginning).chars().take(BEGINNING).collect()
}

/// Masks what follows each `before`, up to what ends it.
fn behind(text: &str, before: &str) -> String {
    let mut parts = text.split(before);
    let mut masked = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(END).unwrap_or(part.len());
        masked.push_str(before);
        masked.push_str(if end > 0 { MASK } else { "" });
        masked.push_str(&part[end..]);
    }
    masked
}

/// Masks the password of each URL that has one.
fn passwords(text: &str) -> String {
    let mut parts = text.split("://");
    let mut masked = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        masked.push_str("://");
        let authority = part.find(['/', '?', '#', ' ', '"', '\'']).unwrap_or(part.len());
        match part[..authority].rfind('@').and_then(|at| Some((part[..at].find(':')?, at))) {
            Some((colon, at)) => {
                masked.push_str(&part[..=colon]);
                masked.push_str(MASK);
                masked.push_str(&part[at..]);
            }
            None => masked.push_str(part),
        }
    }
    masked
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_secret_goes_and_what_is_around_it_stays() {
        for (text, masked) in [
            ("get https://tc.example.com/x?bewit=aGk&y=1 twice", "get https://tc.example.com/x?bewit=…&y=1 twice"),
            (r#"Hawk id="ann", ts="1", mac="s3cret=", ext="eyJj""#, r#"Hawk id="ann", ts="1", mac="…", ext="…""#),
            ("amqps://ann:s3c:r@et@pulse.example.com:5671/%2f", "amqps://ann:…@pulse.example.com:5671/%2f"),
            (r#"{"accessToken":"s3cret","n":1}"#, r#"{"accessToken":"…","n":1}"#),
            (r#"{"accessToken": "s3cret"}"#, r#"{"accessToken": "…"}"#),
            (r#"Credentials { access_token: "s3cret", n: 1 }"#, r#"Credentials { access_token: "…", n: 1 }"#),
            ("Authorization: Basic YW5uOnMzY3JldA==; Bearer abc", "Authorization: Basic …; Bearer …"),
            (
                "no secret: ann@example.com at https://ann@example.com/a:b",
                "no secret: ann@example.com at https://ann@example.com/a:b",
            ),
        ] {
            assert_eq!(mask(text), masked);
        }
    }

    #[test]
    fn of_what_was_sent_the_beginning_is_shown_without_what_looks_secret() {
        assert_eq!(beginning(b"{\"url\": \"https://h/?bewit=s3cret\"}"), "{\"url\": \"https://h/?bewit=…\"}");
        assert_eq!(beginning("\u{1f30d}".repeat(BEGINNING + 5).as_bytes()), "\u{1f30d}".repeat(BEGINNING));
        assert_eq!(beginning(&[0xff; 100_000]).chars().count(), BEGINNING);
    }

    proptest! {
        #[test]
        fn masking_twice_is_masking_once(text in "([a-z:/@ \"]|bewit=|mac=\"|://|Basic ){0,30}") {
            let once = mask(&text).into_owned();
            prop_assert_eq!(mask(&once).into_owned(), once.clone());
        }

        #[test]
        fn a_password_in_a_url_is_never_left(password in "[a-zA-Z0-9:@]{6,20}") {
            prop_assume!(!"amqp://ann:…@h/x".contains(&password));
            let masked = mask(&format!("amqp://ann:{password}@h/x")).into_owned();
            prop_assert!(!masked.contains(&password), "{}", masked);
        }
    }
}
