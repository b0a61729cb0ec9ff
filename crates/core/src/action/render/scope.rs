//! The names that an expression can use.

use std::collections::BTreeMap;

use super::builtin::BUILTINS;
use super::value::Val;

/// Names of one `$let` or `each(…)`, over those around it. The functions are under all of them.
pub(super) struct Scope<'a> {
    outer: Option<&'a Scope<'a>>,
    names: BTreeMap<String, Val>,
}

impl<'a> Scope<'a> {
    /// The context that a template is rendered with.
    pub(super) fn root(names: BTreeMap<String, Val>) -> Self {
        Self { outer: None, names }
    }

    pub(super) fn inside(outer: &'a Scope<'a>) -> Self {
        Self { outer: Some(outer), names: BTreeMap::new() }
    }

    pub(super) fn set(&mut self, name: &str, value: Val) {
        self.names.insert(name.to_owned(), value);
    }

    pub(super) fn get(&self, name: &str) -> Option<Val> {
        let mut scope = Some(self);
        while let Some(here) = scope {
            if let Some(value) = here.names.get(name) {
                return Some(value.clone());
            }
            scope = here.outer;
        }
        BUILTINS.iter().find(|builtin| builtin.name == name).map(Val::Function)
    }
}

/// Whether `text` can be a name: a letter or `_`, then letters, digits and `_`.
pub(super) fn is_identifier(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
