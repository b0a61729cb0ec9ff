//! The head of an entry: what can be told of a task without reading its definition, or without reading all of it.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer as _, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::{BadValue, GraphFile, ReadError, parse};

/// What can be told of a task with little reading.
pub struct Head<'a> {
    label: Cow<'a, str>,
    entry: &'a [u8],
}

/// The fields that come first in an entry.
#[derive(Default)]
struct First<'a> {
    kind: Option<Cow<'a, str>>,
    attributes: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(borrow)]
    task: Definition<'a>,
}

#[derive(Deserialize)]
struct Definition<'a> {
    #[serde(borrow)]
    tags: Option<&'a RawValue>,
    #[serde(borrow)]
    extra: Option<&'a RawValue>,
}

impl<'a> Head<'a> {
    /// The task's label.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Its kind. The reference writes it before the definition, which is not read then.
    ///
    /// # Errors
    /// It has none.
    pub fn kind(&self) -> Result<Cow<'a, str>, BadValue> {
        self.first(|first| first.kind.is_some())?.kind.ok_or_else(|| BadValue::here("no kind"))
    }

    /// Its attributes, to which `kind` belongs. The definition is not read for them either.
    ///
    /// # Errors
    /// It has none, or they are no object.
    pub fn attributes(&self) -> Result<Map<String, Value>, BadValue> {
        let first = self.first(|first| first.kind.is_some() && first.attributes.is_some())?;
        let (Some(kind), Some(attributes)) = (first.kind, first.attributes) else {
            return Err(BadValue::here("no kind or no attributes"));
        };
        let mut attributes = object(attributes, "/attributes")?;
        attributes.insert("kind".to_owned(), Value::from(kind));
        Ok(attributes)
    }

    /// Its definition's tags and `extra`, each empty where it has none.
    ///
    /// # Errors
    /// It has no definition, or they are no objects.
    pub fn tags_and_extra(&self) -> Result<[Map<String, Value>; 2], BadValue> {
        let entry: Entry<'_> = serde_json::from_slice(self.entry).map_err(|error| BadValue::new(self.entry, &error))?;
        let part = |raw: Option<&RawValue>, at| raw.map_or_else(|| Ok(Map::new()), |raw| object(raw, at));
        Ok([part(entry.task.tags, "/task/tags")?, part(entry.task.extra, "/task/extra")?])
    }

    /// The first fields, up to those that are `enough`: then the reader is stopped by an error that says nothing.
    fn first(&self, enough: fn(&First<'a>) -> bool) -> Result<First<'a>, BadValue> {
        let mut first = First::default();
        let read =
            serde_json::Deserializer::from_slice(self.entry).deserialize_map(Until { first: &mut first, enough });
        match read {
            Err(error) if !enough(&first) => Err(BadValue::new(self.entry, &error)),
            Ok(()) | Err(_) => Ok(first),
        }
    }
}

fn object(raw: &RawValue, at: &str) -> Result<Map<String, Value>, BadValue> {
    match parse(raw.get().as_bytes()).map_err(|bad| bad.below(at))? {
        Value::Object(fields) => Ok(fields),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err(BadValue::here("not an object").below(at))
        }
    }
}

impl fmt::Debug for Head<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Head").field("label", &self.label).finish_non_exhaustive()
    }
}

struct Until<'f, 'a> {
    first: &'f mut First<'a>,
    enough: fn(&First<'a>) -> bool,
}

impl<'a> Visitor<'a> for Until<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a task")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut fields: A) -> Result<(), A::Error> {
        while let Some(name) = fields.next_key::<Text<'a>>()? {
            match &*name.0 {
                "kind" => self.first.kind = Some(fields.next_value::<Text<'a>>()?.0),
                "attributes" => self.first.attributes = Some(fields.next_value()?),
                _ => drop(fields.next_value::<IgnoredAny>()?),
            }
            if (self.enough)(self.first) {
                return Err(A::Error::custom("enough"));
            }
        }
        Ok(())
    }
}

impl GraphFile {
    /// The labels, in their order, of the tasks that are `wanted`. Tasks are read as far as `wanted` looks at them.
    ///
    /// # Errors
    /// A task that is looked at and can't be read.
    pub fn select(&self, wanted: impl Fn(&Head<'_>) -> Result<bool, BadValue>) -> Result<Vec<String>, ReadError> {
        let labels = self.each(|head| Ok(wanted(head)?.then(|| head.label().to_owned())))?;
        Ok(labels.into_iter().flatten().collect())
    }

    /// What `read` makes of each task, in the order of their labels. Tasks are read as far as `read` looks at them.
    ///
    /// # Errors
    /// A task that is looked at and can't be read.
    pub fn each<T>(&self, read: impl Fn(&Head<'_>) -> Result<T, BadValue>) -> Result<Vec<T>, ReadError> {
        self.checked(|file| {
            (0..file.len())
                .map(|rank| {
                    let at = file.at_rank(rank);
                    let head = Head { label: file.label(at)?, entry: file.spans.values[at].of(&file.bytes) };
                    let entry =
                        |bad: BadValue| ReadError::Entry { label: head.label.to_string(), problem: bad.to_string() };
                    read(&head).map_err(entry)
                })
                .collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// A graph in the reference writer's layout, then with its keys the other way round and on one line.
    fn both() -> [GraphFile; 2] {
        let entry = |label: &str, kind: &str, suite: &str| {
            json!({
                "attributes": {"suite": suite}, "dependencies": {}, "description": "", "kind": kind, "label": label,
                "optimization": null,
                "task": {"extra": {"n": 1}, "kind": "of the task", "tags": {"os": "linux"}},
            })
        };
        let graph =
            json!({"a": entry("a", "build", "x"), "b": entry("b", "test", "y\"z"), "c": entry("c", "test", "")});
        let reversed = graph.as_object().unwrap().iter().rev().map(|(label, entry)| {
            let fields = entry.as_object().unwrap().iter().rev().map(|(name, value)| format!("{:?}:{value}", name));
            format!("{label:?}:{{{}}}", fields.collect::<Vec<_>>().join(","))
        });
        let reversed = format!("{{{}}}", reversed.collect::<Vec<_>>().join(","));
        [crate::json::to_string_sorted(&graph), reversed].map(|text| GraphFile::read(text.into()).unwrap())
    }

    #[test]
    fn tasks_are_found_by_their_heads_in_any_layout() {
        for graph in both() {
            let tests = graph.select(|head| Ok(head.kind()? == "test")).unwrap();
            assert_eq!(tests, ["b", "c"]);
            let quoted = graph.select(|head| Ok(head.attributes()?.get("suite") == Some(&json!("y\"z")))).unwrap();
            assert_eq!(quoted, ["b"]);
            let tagged = graph.select(|head| {
                let [tags, extra] = head.tags_and_extra()?;
                Ok(tags.get("os") == Some(&json!("linux")) && extra.get("n") == Some(&json!(1)))
            });
            assert_eq!(tagged.unwrap(), ["a", "b", "c"]);
        }
    }

    #[test]
    fn heads_agree_with_whole_tasks() {
        for graph in both() {
            let whole = graph.whole().unwrap();
            let task = |label: &str| whole.task(whole.by_label(label).unwrap()).clone();
            let agree = graph.select(|head| {
                let task = task(head.label());
                Ok(head.kind()? == task.kind.as_str() && head.attributes()? == task.attributes)
            });
            assert_eq!(agree.unwrap().len(), whole.len());
        }
    }

    #[test]
    fn a_task_that_is_looked_at_and_broken_is_named() {
        let text = r#"{"a": {"kind": 7, "task": {"tags": []}}, "b": {"kind": "k", "attributes": 7, "task": {}}}"#;
        let graph = GraphFile::read(text.into()).unwrap();
        assert!(graph.select(|_| Ok(true)).is_ok(), "nothing is looked at");
        for error in [
            graph.select(|head| head.kind().map(|_| true)),
            graph.select(|head| head.attributes().map(|_| true)),
            graph.select(|head| head.tags_and_extra().map(|_| true)),
        ] {
            let error = error.unwrap_err();
            assert!(matches!(&error, ReadError::Entry { label, .. } if label == "a"), "{error}");
        }
    }
}
