//! One entry of a task graph: checked, and turned into a [`Task`].

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::{BadValue, parse, place};
use crate::graph::{Label, Optimization, Task};

/// An entry as the reference writes it. Other keys are left alone, as the reference leaves them.
#[derive(Deserialize)]
struct Entry<'a> {
    kind: String,
    label: String,
    #[serde(default)]
    description: String,
    #[serde(borrow)]
    attributes: &'a RawValue,
    dependencies: BTreeMap<String, String>,
    #[serde(default)]
    soft_dependencies: Vec<String>,
    #[serde(default)]
    if_dependencies: Vec<String>,
    #[serde(borrow)]
    optimization: &'a RawValue,
    #[serde(borrow)]
    task: &'a RawValue,
}

/// A key as it stands in the file, without its quotes, or what is wrong with it.
pub(super) fn label(raw: &[u8]) -> Result<Cow<'_, str>, String> {
    let text = std::str::from_utf8(raw).map_err(|error| format!("a label: {error}"))?;
    if !text.contains('\\') {
        return Ok(Cow::Borrowed(text));
    }
    let label = serde_json::from_str::<String>(&format!("\"{text}\""));
    label.map(Cow::Owned).map_err(|error| format!("label `{text}`: {}", place::reason(&error)))
}

/// The task that `bytes` holds under the key `label`, or what is wrong with it and where.
pub(super) fn task(label: &Label, bytes: &Bytes) -> Result<Task, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    let entry: Entry<'_> = serde_json::from_str(text).map_err(|error| BadValue::new(bytes, &error).to_string())?;
    if entry.label != **label {
        return Err(format!("it is labelled `{}`", entry.label));
    }
    let inside = |at: &str, bad: BadValue| bad.below(at).to_string();
    let Value::Object(mut attributes) =
        parse(entry.attributes.get().as_bytes()).map_err(|bad| inside("/attributes", bad))?
    else {
        return Err("/attributes: not an object".to_owned());
    };
    attributes.insert("kind".to_owned(), Value::from(entry.kind.as_str()));
    if !entry.task.get().starts_with('{') {
        return Err("/task: not an object".to_owned());
    }
    let optimization = optimization(entry.optimization.get()).map_err(|bad| inside("/optimization", bad))?;
    let labels = |labels: Vec<String>| labels.into_iter().map(Label::from).collect();
    Ok(Task {
        label: label.clone(),
        kind: entry.kind,
        description: entry.description,
        attributes,
        dependencies: entry.dependencies.into_iter().map(|(name, label)| (name, label.into())).collect(),
        soft_dependencies: labels(entry.soft_dependencies),
        if_dependencies: labels(entry.if_dependencies),
        optimization,
        definition: bytes.slice_ref(entry.task.get().as_bytes()),
    })
}

fn optimization(text: &str) -> Result<Option<Optimization>, BadValue> {
    match parse(text.as_bytes())? {
        Value::Null => Ok(None),
        Value::Object(fields) => {
            let first = first_key(text, &fields)?;
            Ok(Some(Optimization::from_fields(first, fields)))
        }
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Err(BadValue::here("not an object")),
    }
}

/// The key that comes first in the text: parsed objects are sorted.
fn first_key(text: &str, fields: &Map<String, Value>) -> Result<String, BadValue> {
    struct First;
    impl<'de> Visitor<'de> for First {
        type Value = Option<String>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
            let first = entries.next_key()?;
            if first.is_some() {
                entries.next_value::<IgnoredAny>()?;
                while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            }
            Ok(first)
        }
    }
    if let (1, Some(only)) = (fields.len(), fields.keys().next()) {
        return Ok(only.clone());
    }
    let mut reader = serde_json::Deserializer::from_str(text);
    let first = reader.deserialize_map(First).map_err(|error| BadValue::new(text.as_bytes(), &error))?;
    Ok(first.unwrap_or_default())
}
