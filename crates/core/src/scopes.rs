//! Scopes: who holds what, what is missing, and what roles add.
//!
//! A scope is printable ASCII. One that ends in `*` holds every scope that it is a prefix of; a role is held through the
//! scope `assume:<roleId>`. The rules are Taskcluster's, see its documentation on scopes and roles.

use std::cmp::Ordering;
use std::fmt;

use serde::{Serialize, Serializer, ser::SerializeMap};

mod roles;

pub use roles::{MAX_EXPANDED_SCOPES, Roles, RolesError};

/// What a request needs, in terms of scopes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScopeExpression {
    /// One scope.
    Scope(String),
    /// Every one of these; none at all is always satisfied.
    AllOf(Vec<ScopeExpression>),
    /// At least one of these.
    AnyOf(Vec<ScopeExpression>),
}

impl ScopeExpression {
    /// Every scope of a list.
    pub fn all_of<S: Into<String>>(scopes: impl IntoIterator<Item = S>) -> Self {
        Self::AllOf(scopes.into_iter().map(|scope| Self::Scope(scope.into())).collect())
    }

    /// Whether a set of scopes is enough.
    #[must_use]
    pub fn satisfied_by<S: AsRef<str>>(&self, have: &[S]) -> bool {
        match self {
            Self::Scope(need) => satisfies(have, need),
            Self::AllOf(parts) => parts.iter().all(|part| part.satisfied_by(have)),
            Self::AnyOf(parts) => parts.iter().any(|part| part.satisfied_by(have)),
        }
    }

    /// What is left of the expression once the held scopes are taken out; `None` if nothing is.
    #[must_use]
    pub fn missing<S: AsRef<str>>(&self, have: &[S]) -> Option<Self> {
        let (parts, rebuild): (_, fn(Vec<Self>) -> Self) = match self {
            Self::Scope(need) => return (!satisfies(have, need)).then(|| self.clone()),
            Self::AnyOf(_) if self.satisfied_by(have) => return None,
            Self::AllOf(parts) => (parts, Self::AllOf),
            Self::AnyOf(parts) => (parts, Self::AnyOf),
        };
        let mut left: Vec<Self> = parts.iter().filter_map(|part| part.missing(have)).collect();
        match left.len() {
            0 => None,
            1 => left.pop(),
            _ => Some(rebuild(left)),
        }
    }
}

impl From<String> for ScopeExpression {
    fn from(scope: String) -> Self {
        Self::Scope(scope)
    }
}

impl Serialize for ScopeExpression {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (key, parts) = match self {
            Self::Scope(scope) => return serializer.serialize_str(scope),
            Self::AllOf(parts) => ("AllOf", parts),
            Self::AnyOf(parts) => ("AnyOf", parts),
        };
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(key, parts)?;
        map.end()
    }
}

/// A lone scope as it is, anything else as JSON with an indent of two.
impl fmt::Display for ScopeExpression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scope(scope) => f.write_str(scope),
            Self::AllOf(_) | Self::AnyOf(_) => {
                f.write_str(&serde_json::to_string_pretty(self).map_err(|_| fmt::Error)?)
            }
        }
    }
}

/// Whether one held scope covers the one that is needed.
#[must_use]
pub fn covers(have: &str, need: &str) -> bool {
    match have.strip_suffix('*') {
        Some(prefix) => need.starts_with(prefix),
        None => have == need,
    }
}

/// Whether any of the held scopes covers the one that is needed.
#[must_use]
pub fn satisfies<S: AsRef<str>>(have: &[S], need: &str) -> bool {
    have.iter().any(|scope| covers(scope.as_ref(), need))
}

/// The needed scopes that none of the held ones covers, in the order asked.
#[must_use]
pub fn missing<S: AsRef<str>, N: AsRef<str>>(have: &[S], need: &[N]) -> Vec<String> {
    need.iter().map(AsRef::as_ref).filter(|scope| !satisfies(have, scope)).map(str::to_owned).collect()
}

/// Whether a text can be a scope at all: printable ASCII and spaces only.
#[must_use]
pub fn is_valid(scope: &str) -> bool {
    scope.bytes().all(|b| (b' '..=b'~').contains(&b))
}

/// The order in which Taskcluster lists scopes: by bytes, but one that ends in `*` stands before all that it covers.
#[must_use]
pub fn compare(a: &str, b: &str) -> Ordering {
    if a == b {
        return Ordering::Equal;
    }
    let same = a.bytes().zip(b.bytes()).take_while(|(x, y)| x == y).count();
    let ends_here = |scope: &str| same + 1 == scope.len() && scope.ends_with('*');
    match (ends_here(a), ends_here(b)) {
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (true, true) | (false, false) => a.cmp(b),
    }
}

/// The shortest list with the same authority: sorted, without duplicates and without what another scope covers.
#[must_use]
pub fn normalize(mut scopes: Vec<String>) -> Vec<String> {
    // By what stands before a `*` at the end, with the `*` first: so it stands before all it covers, even `a*` before
    // `a**`, and what it covers stands together. Looking at the last one kept is enough.
    scopes.sort_unstable_by(|a, b| stem(a).cmp(&stem(b)));
    let mut kept: Vec<String> = Vec::with_capacity(scopes.len());
    for scope in scopes {
        if !kept.last().is_some_and(|last| covers(last, &scope)) {
            kept.push(scope);
        }
    }
    kept
}

fn stem(scope: &str) -> (&str, bool) {
    scope.strip_suffix('*').map_or((scope, true), |stem| (stem, false))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_star_covers_by_prefix_and_only_at_the_end() {
        assert!(satisfies(&["queue:*"], "queue:create-task:x"));
        assert!(satisfies(&["a*"], "a*"));
        assert!(satisfies(&["a*"], "a"));
        assert!(!satisfies(&["a"], "a*"));
        assert!(!satisfies(&["a*b"], "axb"));
        assert!(!satisfies(&[] as &[&str], ""));
    }

    #[test]
    fn what_is_missing_is_the_expression_without_what_is_held() {
        let expression = ScopeExpression::AllOf(vec![
            ScopeExpression::Scope("a".into()),
            ScopeExpression::AnyOf(vec![ScopeExpression::Scope("b".into()), ScopeExpression::Scope("c".into())]),
            ScopeExpression::Scope("d".into()),
        ]);
        assert_eq!(expression.missing(&["*"]), None);
        assert_eq!(expression.missing(&["b", "d"]), Some(ScopeExpression::Scope("a".into())));
        let left = expression.missing(&["a", "e"]).map(|left| serde_json::to_string(&left).unwrap());
        assert_eq!(left.as_deref(), Some(r#"{"AllOf":[{"AnyOf":["b","c"]},"d"]}"#));
        assert_eq!(missing(&["a*"], &["ab", "b"]), ["b"]);
    }

    proptest! {
        #[test]
        fn normalizing_keeps_authority_and_nothing_else(
            scopes in proptest::collection::vec("[ab:]{0,3}\\*{0,2}", 0..8), need in "[ab:]{0,3}\\*{0,2}",
        ) {
            let short = normalize(scopes.clone());
            prop_assert_eq!(satisfies(&scopes, &need), satisfies(&short, &need));
            for (at, scope) in short.iter().enumerate() {
                let others: Vec<_> = short.iter().enumerate().filter(|(n, _)| *n != at).map(|(_, s)| s).collect();
                prop_assert!(!satisfies(&others, scope), "{scope} is covered twice in {short:?}");
            }
            prop_assert_eq!(normalize(short.clone()), short);
        }
    }
}
