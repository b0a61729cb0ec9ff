//! Reading a TOML table key by key, collecting all that is wrong with it.
//!
//! What is asked for is what is known: at its end a table tells each key that nobody asked for.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use taskgraft_core::plan::nearest;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::duration;
use super::problem::Problem;

/// The longest text that a key may have, in bytes.
const MAX_TEXT: usize = 4096;
/// The most entries of a list.
const MAX_ENTRIES: usize = 1000;

/// A file that is being read.
pub(super) struct Reading<'a> {
    text: &'a str,
    problems: RefCell<Vec<(usize, String)>>,
    asked: RefCell<BTreeSet<String>>,
}

/// One of its tables.
pub(super) struct Table<'r> {
    reading: &'r Reading<'r>,
    /// The table's own name in the file.
    path: String,
    /// The same with `NAME` for names that the file's writer chose.
    kind: String,
    at: usize,
    entries: Option<&'r DeTable<'r>>,
    known: RefCell<BTreeSet<&'static str>>,
}

impl<'a> Reading<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, problems: RefCell::default(), asked: RefCell::default() }
    }

    /// The whole file as a table.
    pub(super) fn root<T>(&self, entries: &DeTable<'_>, read: impl FnOnce(&Table<'_>) -> T) -> T {
        Table::read(self, (String::new(), String::new()), 0, Some(entries), read)
    }

    pub(super) fn problem(&self, at: usize, what: String) {
        self.problems.borrow_mut().push((at, what));
    }

    /// All that is wrong, in the order of the file.
    pub(super) fn problems(self) -> Vec<Problem> {
        let mut problems = self.problems.into_inner();
        problems.sort();
        problems.into_iter().map(|(at, what)| Problem::new(self.text, at, what)).collect()
    }

    /// Every key that was asked for, as `project.NAME.level`.
    #[cfg(test)]
    pub(super) fn asked(&self) -> BTreeSet<String> {
        self.asked.borrow().clone()
    }
}

impl<'r> Table<'r> {
    fn read<'t, T>(
        reading: &'t Reading<'t>,
        (path, kind): (String, String),
        at: usize,
        entries: Option<&'t DeTable<'t>>,
        read: impl FnOnce(&Table<'_>) -> T,
    ) -> T {
        let table = Table { reading, path, kind, at, entries, known: RefCell::default() };
        let value = read(&table);
        table.end();
        value
    }

    /// Tells the keys that nobody asked for.
    fn end(&self) {
        let known = self.known.borrow();
        for key in self.entries.into_iter().flat_map(|entries| entries.keys()) {
            let name = key.get_ref().as_ref();
            if known.contains(name) {
                continue;
            }
            let near = nearest(name, known.iter().copied(), 1);
            let way_out = match near.first() {
                Some(near) => format!("did you mean `{near}`?"),
                None => {
                    format!("there are {}", known.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", "))
                }
            };
            self.reading.problem(key.span().start, format!("there is no key `{}`: {way_out}", self.named(name)));
        }
    }

    fn named(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    fn kind_of(&self, key: &str) -> String {
        if self.kind.is_empty() { key.to_owned() } else { format!("{}.{key}", self.kind) }
    }

    fn get(&self, key: &'static str) -> Option<&'r Spanned<DeValue<'r>>> {
        self.known.borrow_mut().insert(key);
        self.reading.asked.borrow_mut().insert(self.kind_of(key));
        self.entries?.get(key)
    }

    /// Whether a key is there, whatever is wrong with it.
    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.is_some_and(|entries| entries.contains_key(key))
    }

    /// Something is wrong with a key, or with its absence.
    pub(super) fn wrong(&self, key: &str, what: impl Display) {
        let at = self.entries.and_then(|entries| entries.get(key)).map_or(self.at, |value| value.span().start);
        self.reading.problem(at, format!("`{}`: {what}", self.named(key)));
    }

    /// What has to be there.
    pub(super) fn required<T>(&self, key: &'static str, found: Option<T>) -> Option<T> {
        if found.is_none() && !self.has(key) {
            self.wrong(key, "it is missing");
        }
        found
    }

    /// A text that can be turned into something.
    pub(super) fn parsed<T, E: Display>(
        &self,
        key: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let value = self.get(key)?.get_ref();
        let DeValue::String(text) = value else {
            return self.refuse(key, format!("a text is needed, and this is {}", kind(value)));
        };
        if text.len() > MAX_TEXT {
            return self.refuse(key, format!("more than {MAX_TEXT} bytes"));
        }
        match parse(text) {
            Ok(value) => Some(value),
            Err(why) => self.refuse(key, why),
        }
    }

    fn refuse<T>(&self, key: &str, what: impl Display) -> Option<T> {
        self.wrong(key, what);
        None
    }

    /// A text that isn't empty.
    pub(super) fn text(&self, key: &'static str) -> Option<String> {
        self.parsed(key, |text| if text.is_empty() { Err("it is empty") } else { Ok(text.to_owned()) })
    }

    /// A duration within bounds.
    pub(super) fn duration(&self, key: &'static str, bounds: RangeInclusive<Duration>) -> Option<Duration> {
        let text = |bound: &Duration| duration::text(*bound);
        self.parsed(key, |given| match duration::parse(given)? {
            found if bounds.contains(&found) => Ok(found),
            _ => Err(format!("it must be {} to {}", text(bounds.start()), text(bounds.end()))),
        })
    }

    /// A whole number within bounds.
    pub(super) fn number(&self, key: &'static str, bounds: RangeInclusive<u64>) -> Option<u64> {
        let DeValue::Integer(number) = self.get(key)?.get_ref() else {
            return self.refuse(key, "a whole number is needed");
        };
        match u64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) if bounds.contains(&number) => Some(number),
            Ok(_) | Err(_) => self.refuse(key, format!("it must be {} to {}", bounds.start(), bounds.end())),
        }
    }

    /// True or false.
    pub(super) fn flag(&self, key: &'static str) -> Option<bool> {
        let value = self.get(key)?.get_ref();
        match value {
            DeValue::Boolean(flag) => Some(*flag),
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_)
            | DeValue::Table(_) => self.refuse(key, format!("true or false is needed, and this is {}", kind(value))),
        }
    }

    /// A list of texts that aren't empty.
    pub(super) fn texts(&self, key: &'static str) -> Option<Vec<String>> {
        let DeValue::Array(list) = self.get(key)?.get_ref() else { return self.refuse(key, "a list is needed") };
        if list.len() > MAX_ENTRIES {
            return self.refuse(key, format!("more than {MAX_ENTRIES} entries"));
        }
        let text = |entry: &Spanned<DeValue<'_>>| {
            let DeValue::String(text) = entry.get_ref() else { return None };
            (1..=MAX_TEXT).contains(&text.len()).then(|| text.to_string())
        };
        let texts: Option<Vec<String>> = list.iter().map(text).collect();
        texts.or_else(|| self.refuse(key, format!("a list of texts is needed, each of 1 to {MAX_TEXT} bytes")))
    }

    /// A table, which may be left out.
    pub(super) fn maybe<T>(&self, key: &'static str, read: impl FnOnce(&Table<'_>) -> T) -> Option<T> {
        let entry = self.get(key)?;
        let DeValue::Table(entries) = entry.get_ref() else { return self.refuse(key, "a table is needed") };
        let names = (self.named(key), self.kind_of(key));
        Some(Table::read(self.reading, names, entry.span().start, Some(entries), read))
    }

    /// A table; one that is left out has nothing in it.
    pub(super) fn table<T>(&self, key: &'static str, read: impl Fn(&Table<'_>) -> T) -> T {
        self.maybe(key, &read).unwrap_or_else(|| {
            let names = (self.named(key), self.kind_of(key));
            Table::read(self.reading, names, self.at, None, read)
        })
    }

    /// A list of tables.
    pub(super) fn tables<T>(&self, key: &'static str, read: impl Fn(&Table<'_>) -> T) -> Vec<T> {
        let Some(entry) = self.get(key) else { return Vec::new() };
        let DeValue::Array(list) = entry.get_ref() else {
            self.wrong(key, "a list of tables is needed, each headed [[…]]");
            return Vec::new();
        };
        let mut tables = Vec::new();
        for (n, entry) in list.iter().enumerate().take(MAX_ENTRIES) {
            let DeValue::Table(entries) = entry.get_ref() else {
                self.wrong(key, "a list of tables is needed");
                continue;
            };
            let names = (format!("{}[{n}]", self.named(key)), self.kind_of(key));
            tables.push(Table::read(self.reading, names, entry.span().start, Some(entries), &read));
        }
        tables
    }

    /// Tables under names that the file's writer chose, and that `fits` says yes to, or else what a name is.
    pub(super) fn named_tables<T>(
        &self,
        key: &'static str,
        fits: impl Fn(&str) -> Result<(), &'static str>,
        read: impl Fn(&Table<'_>) -> T,
    ) -> Vec<(String, T)> {
        let Some(entry) = self.get(key) else { return Vec::new() };
        let DeValue::Table(list) = entry.get_ref() else {
            self.wrong(key, format!("tables are needed, each headed [{key}.NAME]"));
            return Vec::new();
        };
        let mut tables = Vec::new();
        for (name, entry) in list.iter().take(MAX_ENTRIES) {
            let path = format!("{}.{}", self.named(key), name.get_ref());
            if let Err(why) = fits(name.get_ref()) {
                self.reading.problem(name.span().start, format!("`{path}` can't be called that: {why}"));
            }
            let DeValue::Table(entries) = entry.get_ref() else {
                self.reading.problem(entry.span().start, format!("`{path}`: a table is needed"));
                continue;
            };
            let names = (path, format!("{}.NAME", self.kind_of(key)));
            let table = Table::read(self.reading, names, name.span().start, Some(entries), &read);
            tables.push((name.get_ref().to_string(), table));
        }
        tables
    }
}

/// What a value is, in words.
fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
