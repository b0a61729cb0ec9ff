//! What a forced build's reason says, so that it is found again.

use std::fmt;

use taskgraft_core::ids::RequestId;

/// Before the request's id. What a master writes before the reason (`A build was forced by …:`) is not ours.
const WORD: &str = "taskgraft request ";
/// Between the copy and how often the request was undone before, if ever.
const UNDONE: &str = " undone ";

/// Which request a build belongs to, and which of its copies it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// The request.
    pub request: RequestId,
    /// From 1.
    pub copy: u32,
    /// How often somebody wanted the request undone before.
    pub undone: u32,
}

impl Mark {
    /// The mark in a reason, if it has one: the first counts, since nothing that comes from elsewhere stands before it.
    #[must_use]
    pub fn find(reason: &str) -> Option<Self> {
        let (_, rest) = reason.split_once(WORD)?;
        let (request, rest) = rest.split_once(' ')?;
        let (copy, rest) = number(rest.strip_prefix("copy ")?)?;
        let undone = rest.strip_prefix(UNDONE).and_then(number).map_or(0, |(undone, _)| undone);
        Some(Self { request: request.parse().ok()?, copy, undone })
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{WORD}{} copy {}", self.request, self.copy)?;
        if self.undone > 0 { write!(f, "{UNDONE}{}", self.undone) } else { Ok(()) }
    }
}

/// The number that a text begins with, and the rest of it.
fn number(text: &str) -> Option<(u32, &str)> {
    let (digits, rest) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    Some((digits.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_is_found_in_whatever_stands_around_it(
            id in "[A-Za-z0-9_-]{1,64}", copy in 1u32.., undone in 0u32.., before in "[^t]{0,20}", after in "([^0-9 ].{0,40})?",
        ) {
            let mark = Mark { request: id.parse().unwrap(), copy, undone };
            prop_assert_eq!(Mark::find(&format!("{before}{mark}{after}")), Some(mark));
        }

        #[test]
        fn any_text_may_be_looked_at(text in ".{0,80}") {
            prop_assert_eq!(Mark::find(&text), None);
        }
    }

    #[test]
    fn another_mark_behind_the_first_does_not_count() {
        let reason = "A build was forced by 'ci': taskgraft request A copy 2, for taskgraft request B copy 1";
        assert_eq!(Mark::find(reason).unwrap(), Mark { request: "A".parse().unwrap(), copy: 2, undone: 0 });
        for none in
            ["", "force build", "taskgraft request A", "taskgraft request A copy x", "taskgraft request  copy 1"]
        {
            assert_eq!(Mark::find(none), None, "{none}");
        }
    }
}
