//! Why a query found nothing, and what was close.

use std::cell::RefCell;
use std::collections::BTreeSet;

use serde_json::Value;

use super::query::{Condition, Query};
use crate::json::{BadValue, GraphFile, Head, ReadError};
use crate::plan::nearest;

/// The most different texts that are compared with a wanted one.
const VOCABULARY: usize = 100_000;
/// So few are all named.
const FEW: usize = 5;

/// What there is where one condition looks.
#[derive(Default)]
struct There {
    /// How many jobs the condition alone would find.
    found: usize,
    values: BTreeSet<String>,
    names: BTreeSet<String>,
}

/// Why `query` finds nothing in `graph`: the conditions that no job fulfils with what comes nearest, or else that no job
/// fulfils all of them.
pub(super) fn near(query: &Query, graph: &GraphFile) -> Result<String, ReadError> {
    let there: RefCell<Vec<There>> = RefCell::new(query.conditions.iter().map(|_| There::default()).collect());
    graph.select(|head| {
        for (condition, there) in query.conditions.iter().zip(there.borrow_mut().iter_mut()) {
            there.look(condition, head)?;
        }
        Ok(false)
    })?;
    let each: Vec<(&Condition, There)> = query.conditions.iter().zip(there.into_inner()).collect();
    let alone: Vec<String> =
        each.iter().filter(|(_, there)| there.found == 0).map(|(condition, there)| there.close_to(condition)).collect();
    if !alone.is_empty() {
        return Ok(alone.join("; "));
    }
    let counts: Vec<String> = each.iter().map(|(condition, there)| format!("{condition} ({})", there.found)).collect();
    Ok(format!("each condition holds for some jobs, but none has all of {}", counts.join(", ")))
}

impl There {
    fn look(&mut self, condition: &Condition, head: &Head<'_>) -> Result<(), BadValue> {
        if condition.holds(head)? {
            self.found += 1;
        }
        // What is close is only of interest where nothing is found.
        if self.found > 0 {
            return Ok(());
        }
        let seen = condition.of.seen(head)?;
        let several = match seen {
            Some(Value::Array(several)) => several,
            Some(one) => vec![one],
            None => Vec::new(),
        };
        let texts = several.into_iter().map(|one| one.as_str().map_or_else(|| one.to_string(), str::to_owned));
        add(&mut self.values, texts);
        if self.values.is_empty() {
            add(&mut self.names, condition.of.names(head)?);
        }
        Ok(())
    }

    fn close_to(&self, condition: &Condition) -> String {
        if self.values.is_empty() {
            let names: BTreeSet<&str> = self.names.iter().map(String::as_str).collect();
            let wanted = condition.of.name().unwrap_or_default();
            let has = if condition.of.name().is_some() { "no job has the " } else { "no job has a " };
            return format!("{has}{}{}", condition.of, suggestion(&[wanted], &names));
        }
        let wanted: Vec<&str> = condition.texts().collect();
        let values: BTreeSet<&str> = self.values.iter().map(String::as_str).collect();
        format!("{condition}{}", suggestion(&wanted, &values))
    }
}

fn add(set: &mut BTreeSet<String>, texts: impl IntoIterator<Item = String>) {
    for text in texts {
        if set.len() < VOCABULARY {
            set.insert(text);
        }
    }
}

/// What comes nearest to the wanted texts, in parentheses; all that there is if that is little.
fn suggestion(wanted: &[&str], there: &BTreeSet<&str>) -> String {
    let is_part = |char: char| char.is_alphanumeric();
    let mut close: Vec<String> = Vec::new();
    for pattern in wanted.iter().take(FEW) {
        let plain: String = pattern.chars().filter(|char| !matches!(char, '*' | '?')).collect();
        close.extend(nearest(&plain, there.iter().copied(), 3));
        if close.is_empty() {
            let parts: BTreeSet<&str> = there.iter().flat_map(|text| text.split(|char| !is_part(char))).collect();
            let words = pattern.split(|char| !is_part(char)).filter(|word| word.len() > 2 && !parts.contains(word));
            close.extend(words.flat_map(|word| nearest(word, parts.iter().copied(), 2)));
        }
    }
    if close.is_empty() && there.len() <= FEW {
        close.extend(there.iter().map(|text| (*text).to_owned()));
    }
    let mut named = BTreeSet::new();
    let close: Vec<String> = close.into_iter().filter(|text| named.insert(text.clone())).take(FEW).collect();
    if close.is_empty() {
        return String::new();
    }
    format!(" (there is {})", close.iter().map(|text| format!("`{text}`")).collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn graph() -> GraphFile {
        let entry = |label: &str, kind: &str, task: Value, attributes: Value| {
            json!({"attributes": attributes, "dependencies": {}, "kind": kind, "label": label, "optimization": null,
                   "task": task})
        };
        let linux = json!({"extra": {"treeherder": {"machine": {"platform": "linux64"}, "collection": {"opt": true}}},
                           "tags": {"os": "linux"}});
        let graph = json!({
            "build-linux64": entry("build-linux64", "build", linux.clone(), json!({"run_on": ["all", "try"]})),
            "test-linux64-talos-1": entry("test-linux64-talos-1", "test", linux, json!({"suite": "talos", "chunk": 1})),
            "test-win-talos-1": entry("test-win-talos-1", "test", json!({}), json!({"suite": "talos", "chunk": 2})),
        });
        GraphFile::read(graph.to_string().into()).unwrap()
    }

    fn found(query: Value) -> Vec<String> {
        Query::new(&query).labels(&graph()).unwrap()
    }

    #[test]
    fn all_conditions_must_hold_and_any_of_several_values_will_do() {
        assert_eq!(found(json!({"label": "*talos*"})), ["test-linux64-talos-1", "test-win-talos-1"]);
        assert_eq!(found(json!({"label": ["build-*", "*win*"]})), ["build-linux64", "test-win-talos-1"]);
        assert_eq!(found(json!({"kind": "test", "platform": "linux64/opt"})), ["test-linux64-talos-1"]);
        assert_eq!(found(json!({"platform": "linux64"})).len(), 2);
        assert_eq!(found(json!({"platform": "linux64/debug"})).len(), 0);
        assert_eq!(found(json!({"attributes": {"suite": "talos", "chunk": [2, 3]}})), ["test-win-talos-1"]);
        assert_eq!(found(json!({"attributes": {"run_on": "try"}})), ["build-linux64"]);
        assert_eq!(found(json!({"attributes": {"suite": null}})), ["build-linux64"]);
        assert_eq!(found(json!({"attributes": {"kind": "build"}})), ["build-linux64"]);
        assert_eq!(found(json!({"tags": {"os": "lin?x"}, "kind": ["test"]})), ["test-linux64-talos-1"]);
    }

    #[test]
    fn nothing_found_names_what_was_close() {
        for (query, expected) in [
            (json!({"label": "*talso*"}), "label `*talso*` (there is `talos`)"),
            (json!({"label": "bulid-linux64"}), "label `bulid-linux64` (there is `build-linux64`)"),
            (json!({"kind": "tset", "label": "*"}), "kind `tset` (there is `test`)"),
            (json!({"kind": "nothing-like-it"}), "kind `nothing-like-it` (there is `build`, `test`)"),
            (json!({"platform": "linux32/opt"}), "platform `linux32/opt` (there is `linux64/opt`)"),
            (json!({"attributes": {"suit": "talos"}}), "no job has the attribute `suit` (there is `suite`)"),
            (json!({"attributes": {"chunk": 3}}), "attribute `chunk` `3` (there is `1`, `2`)"),
            (json!({"tags": {"os": "linus"}}), "tag `os` `linus` (there is `linux`)"),
            (
                json!({"kind": "build", "label": "test-*"}),
                "each condition holds for some jobs, but none has all of label `test-*` (2), kind `build` (1)",
            ),
        ] {
            assert_eq!(found(query.clone()), [""; 0], "{query}");
            assert_eq!(near(&Query::new(&query), &graph()).unwrap(), expected);
        }
    }
}
