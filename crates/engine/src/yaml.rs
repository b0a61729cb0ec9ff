//! YAML as PyYAML writes and reads it (version 1.1), as JSON values.
//!
//! Parameters are written by `yaml.safe_dump`, whose plain scalars mean something else under YAML 1.2: `0o17` and
//! `12345e67` are strings, `0777`, `1_000` and `1:30` numbers, `yes` and `off` booleans. So only the structure is left
//! to the parser, and [`scalar`] resolves what stands unquoted. What JSON lacks (dates, infinities, integers above 64
//! bits) stays the text it was. One difference is left: NEL, LS and PS are no line breaks here, as in YAML 1.2.

mod scalar;

use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle, ScanError, Tag};
use serde_json::{Map, Value};

/// No value nests deeper.
const MAX_DEPTH: usize = 100;
/// No document has more nodes, each use of an alias counted as what it stands for.
const MAX_NODES: usize = 1_000_000;

/// Why a text is no document.
#[derive(Debug, thiserror::Error)]
pub enum YamlError {
    /// Not YAML.
    #[error("not YAML: {0}")]
    Syntax(String),
    /// It would take more than is fair.
    #[error("more than {MAX_NODES} values, or more than {MAX_DEPTH} deep")]
    TooLarge,
    /// A tag or structure that no data has.
    #[error("line {line}: {what} is not understood here")]
    Unsupported {
        /// From 1.
        line: usize,
        /// What stands there.
        what: String,
    },
}

/// Parses the first document of `text`; an empty text is null.
///
/// # Errors
/// If it is not YAML, is unreasonably large, or holds tags other than the plain data types.
pub fn parse(text: &str) -> Result<Value, YamlError> {
    let mut builder = Builder::default();
    for next in Parser::new_from_str(text) {
        let (event, span) = next.map_err(|error: ScanError| YamlError::Syntax(error.to_string()))?;
        builder.line = span.start.line();
        #[expect(clippy::wildcard_enum_match_arm, reason = "the rest is presentation, and the enum may grow")]
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = matches!(style, ScalarStyle::Plain);
                if plain && text == "<<" && tag.is_none() {
                    builder.merge_key()?;
                    continue;
                }
                let value = builder.scalar(&text, plain, tag.as_deref())?;
                builder.add(value, anchor)?;
            }
            Event::Alias(anchor) => builder.alias(anchor)?,
            Event::SequenceStart(_, anchor, tag) => {
                builder.known_tag(tag.as_deref(), "seq")?;
                builder.open(Open::Sequence(Vec::new()), anchor)?;
            }
            Event::MappingStart(_, anchor, tag) => {
                builder.known_tag(tag.as_deref(), "map")?;
                builder.open(Open::Mapping(Mapping::default()), anchor)?;
            }
            Event::SequenceEnd | Event::MappingEnd => builder.close()?,
            Event::DocumentEnd => break,
            _ => {}
        }
    }
    Ok(builder.done.unwrap_or_default())
}

/// A collection that has begun and not ended.
enum Open {
    Sequence(Vec<Value>),
    Mapping(Mapping),
}

#[derive(Default)]
struct Mapping {
    fields: Map<String, Value>,
    /// What merge keys bring along; the mapping's own fields win.
    merged: Map<String, Value>,
    /// The key whose value comes next.
    key: Option<Key>,
}

enum Key {
    Name(String),
    /// `<<`.
    Merge,
}

impl Mapping {
    /// Takes the fields of a mapping, or of a list of mappings of which the first that has a field wins.
    fn merge(&mut self, value: Value) -> Result<(), &'static str> {
        match value {
            Value::Object(fields) => self.merged.extend(fields),
            Value::Array(items) => {
                for item in items.into_iter().rev() {
                    let Value::Object(fields) = item else { return Err("a merge of what is no mapping") };
                    self.merged.extend(fields);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                return Err("a merge of what is no mapping");
            }
        }
        Ok(())
    }

    fn close(mut self) -> Value {
        self.merged.extend(self.fields);
        Value::Object(self.merged)
    }
}

#[derive(Default)]
struct Builder {
    stack: Vec<(Open, usize)>,
    anchors: HashMap<usize, (Value, usize)>,
    nodes: usize,
    line: usize,
    done: Option<Value>,
}

impl Builder {
    fn unsupported(&self, what: impl Into<String>) -> YamlError {
        YamlError::Unsupported { line: self.line, what: what.into() }
    }

    fn count(&mut self, nodes: usize) -> Result<(), YamlError> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > MAX_NODES { Err(YamlError::TooLarge) } else { Ok(()) }
    }

    fn known_tag(&self, tag: Option<&Tag>, kind: &str) -> Result<(), YamlError> {
        match tag {
            Some(tag) if tag.core_suffix() != Some(kind) => {
                Err(self.unsupported(format!("the tag `{}`", tag.suffix())))
            }
            _ => Ok(()),
        }
    }

    fn scalar(&self, text: &str, plain: bool, tag: Option<&Tag>) -> Result<Value, YamlError> {
        match tag {
            None if plain => Ok(scalar::resolve(text)),
            None => Ok(text.into()),
            Some(tag) if tag.core_suffix() == Some("str") || (tag.handle().is_empty() && tag.suffix() == "!") => {
                Ok(text.into())
            }
            Some(tag) if matches!(tag.core_suffix(), Some("int" | "float" | "bool" | "null")) => {
                Ok(scalar::resolve(text))
            }
            Some(tag) => Err(self.unsupported(format!("the tag `{}`", tag.suffix()))),
        }
    }

    /// A plain `<<`, which means something as a key only.
    fn merge_key(&mut self) -> Result<(), YamlError> {
        self.count(1)?;
        match self.stack.last_mut() {
            Some((Open::Mapping(map), _)) if map.key.is_none() => {
                map.key = Some(Key::Merge);
                Ok(())
            }
            Some(_) | None => Err(self.unsupported("`<<` where no key stands")),
        }
    }

    fn open(&mut self, open: Open, anchor: usize) -> Result<(), YamlError> {
        self.count(1)?;
        if self.stack.len() >= MAX_DEPTH {
            return Err(YamlError::TooLarge);
        }
        self.stack.push((open, anchor));
        Ok(())
    }

    fn close(&mut self) -> Result<(), YamlError> {
        match self.stack.pop() {
            Some((Open::Sequence(items), anchor)) => self.add(items.into(), anchor),
            Some((Open::Mapping(map), anchor)) => self.add(map.close(), anchor),
            None => Ok(()),
        }
    }

    fn alias(&mut self, anchor: usize) -> Result<(), YamlError> {
        let Some((value, nodes)) = self.anchors.get(&anchor) else {
            return Err(self.unsupported("a value that contains itself"));
        };
        let (value, nodes) = (value.clone(), *nodes);
        self.count(nodes)?;
        self.add(value, 0)
    }

    /// Puts a finished value where it belongs: into the collection that is open, or at the top.
    fn add(&mut self, value: Value, anchor: usize) -> Result<(), YamlError> {
        self.count(1)?;
        if anchor != 0 {
            let (nodes, depth) = size(&value);
            if depth + self.stack.len() > MAX_DEPTH {
                return Err(YamlError::TooLarge);
            }
            self.anchors.insert(anchor, (value.clone(), nodes));
        }
        match self.stack.last_mut() {
            None => self.done = Some(value),
            Some((Open::Sequence(items), _)) => items.push(value),
            Some((Open::Mapping(map), _)) => {
                let unsupported = |what: &str| YamlError::Unsupported { line: self.line, what: what.into() };
                match map.key.take() {
                    Some(Key::Name(key)) => drop(map.fields.insert(key, value)),
                    Some(Key::Merge) => map.merge(value).map_err(unsupported)?,
                    None => {
                        let key = key_text(value).ok_or_else(|| unsupported("a key that is a collection"))?;
                        map.key = Some(Key::Name(key));
                    }
                }
            }
        }
        Ok(())
    }
}

/// How many values `value` holds, itself included, and how deep it nests.
fn size(value: &Value) -> (usize, usize) {
    let inner = |sizes: &mut dyn Iterator<Item = (usize, usize)>| {
        sizes.fold((1, 1), |(nodes, depth), (more, deeper)| (nodes + more, depth.max(deeper + 1)))
    };
    match value {
        Value::Array(items) => inner(&mut items.iter().map(size)),
        Value::Object(map) => inner(&mut map.values().map(size)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => (1, 1),
    }
}

/// A key as JSON writes it: `json.dumps` makes texts of the other scalars too.
fn key_text(key: Value) -> Option<String> {
    match key {
        Value::String(text) => Some(text),
        Value::Null | Value::Bool(_) | Value::Number(_) => Some(key.to_string()),
        Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn structure_anchors_and_multi_line_scalars() {
        let text = "a: &id001\n- x\n- 'multi\n\n  line'\nb: *id001\nc: |-\n  two\n  lines\nd: {}\n? e\n: \"\\u00e9\\n\"\nf: >\n  a\n  b\n";
        let list = json!(["x", "multi\nline"]);
        assert_eq!(
            parse(text).unwrap(),
            json!({"a": list, "b": list, "c": "two\nlines", "d": {}, "e": "é\n", "f": "a b\n"})
        );
        assert_eq!(parse("").unwrap(), Value::Null);
    }

    #[test]
    fn a_revision_is_a_string_whatever_it_looks_like() {
        for revision in
            ["12345e6789012345678901234567890123456789", "1e1", "0o17", "'1111111111111111111111111111111111111111'"]
        {
            let value = parse(&format!("head_rev: {revision}\n")).unwrap();
            assert_eq!(value, json!({"head_rev": revision.trim_matches('\'')}), "{revision}");
        }
    }

    #[test]
    fn keys_become_texts() {
        assert_eq!(parse("1: a\nyes: b\n~: c\n").unwrap(), json!({"1": "a", "true": "b", "null": "c"}));
    }

    #[test]
    fn merged_mappings_bring_what_is_not_there() {
        let text = "base: &a {x: 1, y: 1}\nother: &b {y: 2, z: 2}\none: {<<: *a, y: 3}\nfirst: {<<: [*a, *b]}\n\
                    last:\n  <<: *a\n  <<: *b\nquoted: {'<<': 1}\n";
        let read = parse(text).unwrap();
        assert_eq!(read["one"], json!({"x": 1, "y": 3}));
        assert_eq!(read["first"], json!({"x": 1, "y": 1, "z": 2}));
        assert_eq!(read["last"], json!({"x": 1, "y": 2, "z": 2}));
        assert_eq!(read["quoted"], json!({"<<": 1}));
    }

    #[test]
    fn bombs_and_foreign_tags_are_refused() {
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for n in 1..10 {
            let uses = vec![format!("*a{}", n - 1); 10].join(", ");
            bomb.push_str(&format!("a{n}: &a{n} [{uses}]\n"));
        }
        assert!(matches!(parse(&bomb), Err(YamlError::TooLarge)));
        assert!(parse(&"[".repeat(10_000)).is_err());
        for text in [
            "!!python/object:os.system x",
            "a: !!binary aGk=",
            "<<: 1",
            "<<: [1]",
            "a: <<",
            "- <<",
            "{a: 1",
            "a: &x [*x]",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
