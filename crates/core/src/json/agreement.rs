//! The fast reader and the one that takes anything give the same graph, whatever the layout.

use proptest::prelude::*;
use serde_json::Value;
use taskgraft_testkit::graphs::case;
use taskgraft_testkit::rng::Rng;

use super::*;

/// A task as it is compared: everything that reading gives.
pub(super) type Read = (Label, String, String, Value, Vec<(String, Label)>, Vec<Label>, Vec<Label>, Value, Bytes);

pub(super) fn tasks(graph: &TaskGraph) -> Vec<Read> {
    let read = |task: &Task| {
        let optimization = task
            .optimization
            .as_ref()
            .map(|it| (Value::from(it.fields().clone()), it.strategy().map(|it| it.0.to_owned())));
        (
            task.label.clone(),
            task.kind.clone(),
            task.description.clone(),
            Value::from(task.attributes.clone()),
            task.dependencies.clone().into_iter().collect(),
            task.soft_dependencies.clone(),
            task.if_dependencies.clone(),
            serde_json::json!(optimization),
            task.definition.clone(),
        )
    };
    graph.iter().map(|(_, task)| read(task)).collect()
}

/// White space that a writer puts between tokens, and how often.
#[derive(Debug, Clone, Copy)]
enum Layout {
    Reference,
    Compact,
    Indented(usize),
    /// Anything anywhere, most of it much like the reference's.
    Wild,
}

fn layouts() -> impl Strategy<Value = Layout> {
    prop_oneof![
        Just(Layout::Reference),
        Just(Layout::Compact),
        (0..5usize).prop_map(Layout::Indented),
        Just(Layout::Wild),
    ]
}

fn print(value: &Value, layout: Layout, level: usize, rng: &mut Rng, out: &mut String) {
    let wild = ["", " ", "\n", "\n  ", "\n    ", "\r\n", "\t", "\n  \n"];
    let gap = |level: usize, rng: &mut Rng, out: &mut String| match layout {
        Layout::Reference => out.extend(std::iter::once('\n').chain(std::iter::repeat_n(' ', level * 2))),
        Layout::Compact => {}
        Layout::Indented(width) => out.extend(std::iter::once('\n').chain(std::iter::repeat_n(' ', level * width))),
        Layout::Wild => out.push_str(rng.pick::<&str>(&wild)),
    };
    let items: Vec<(Option<&String>, &Value)> = match value {
        Value::Array(items) => items.iter().map(|item| (None, item)).collect(),
        Value::Object(fields) => fields.iter().map(|(key, field)| (Some(key), field)).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return out.push_str(&value.to_string()),
    };
    out.push(if value.is_array() { '[' } else { '{' });
    for (at, (key, item)) in items.iter().enumerate() {
        out.push_str(if at > 0 { "," } else { "" });
        gap(level + 1, rng, out);
        if let Some(key) = key {
            out.push_str(&Value::from(key.as_str()).to_string());
            out.push_str(if matches!(layout, Layout::Compact) { ":" } else { ": " });
        }
        print(item, layout, level + 1, rng, out);
    }
    if !items.is_empty() {
        gap(level, rng, out);
    }
    out.push(if value.is_array() { ']' } else { '}' });
}

fn hostile_graph(rng: &mut Rng) -> Value {
    hostile(case(rng.draw()).graph)
}

/// A graph with texts in it that look like the ends of tasks.
pub(super) fn hostile(mut graph: serde_json::Map<String, Value>) -> Value {
    for (label, task) in &mut graph {
        task["task"]["payload"]["x"] =
            serde_json::json!({"y": "\n  },\n  \"z\": {\n    \"", "label": label, "\n  }\n}": {}});
        task["task"] = serde_json::json!({"kind": {"task": task["task"].clone()}, "label": {"label": {}}});
    }
    Value::Object(graph)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn readers_agree_on_any_layout(seed: u64, layout in layouts()) {
        let mut rng = Rng::new(seed);
        let graph = hostile_graph(&mut rng);
        let mut text = String::new();
        print(&graph, layout, 0, &mut rng, &mut text);
        let read = GraphFile::read(text.clone().into()).unwrap();
        if matches!(layout, Layout::Reference) {
            prop_assert_eq!(read.reader, Reader::Scan);
        }
        let typed = GraphFile::read_typed(text.into()).unwrap();
        prop_assert_eq!(tasks(&read.whole().unwrap()), tasks(&typed.whole().unwrap()));
        prop_assert_eq!(read.labels().collect::<Vec<_>>(), typed.labels().collect::<Vec<_>>());
        let labels: Vec<String> = typed.labels().map(Cow::into_owned).collect();
        let some = rng.some_of(&labels, 20);
        prop_assert_eq!(tasks(&read.closure(&some).unwrap()), tasks(&typed.closure(&some).unwrap()));
    }

    /// Lines taken out, doubled or swapped: often no JSON any more, sometimes JSON with another meaning.
    #[test]
    fn readers_agree_on_damaged_files(seed: u64, damage in 1..4usize) {
        let mut rng = Rng::new(seed);
        let text = to_string_sorted(&hostile_graph(&mut rng));
        let mut lines: Vec<&str> = text.lines().collect();
        for _ in 0..damage {
            let (at, other) = (rng.below(lines.len()), rng.below(lines.len()));
            match rng.below(4) {
                0 => drop(lines.remove(at)),
                1 => lines.insert(at, lines[other]),
                2 => lines.swap(at, other),
                _ => lines.insert(at, *rng.pick(&["  },", "  }", "  \"a\": {", "    \"b\": 1", "}", "{"])),
            }
        }
        let text = lines.join("\n");
        let whole = |file: Result<GraphFile, ReadError>| file.and_then(|file| file.whole()).ok().map(|graph| tasks(&graph));
        let typed = whole(GraphFile::read_typed(text.clone().into()));
        prop_assert_eq!(whole(GraphFile::read(text.into())), typed);
    }

    /// A raw newline is the only way to write one that ends a line, and no JSON string may hold it.
    #[test]
    fn no_string_can_look_like_the_end_of_a_task(text: String) {
        let written = to_string_sorted(&Value::from(text.clone() + "\n  }"));
        prop_assert!(!written.contains('\n'));
        let raw = format!("\"{text}\n  }}\"");
        prop_assert!(serde_json::from_str::<Value>(&raw).is_err());
    }
}
