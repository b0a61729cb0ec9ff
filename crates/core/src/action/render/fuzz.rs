//! Fuzzing of rendering: whatever template and data there are, it ends soon, says the same twice, and keeps data data.

#![expect(clippy::disallowed_methods, reason = "rendering has to end soon")]

use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use taskgraft_testkit::fuzz::fuzz;
use taskgraft_testkit::rng::Rng;
use taskgraft_testkit::templates::{context, expression_soup, template};

use super::*;

/// How long one rendering may take in a build that isn't optimised, on a machine that does other things too.
const SOON: Duration = Duration::from_secs(30);

fn rendered(template: &Value, context: &Value) -> Result<Value, RenderError> {
    let start = Instant::now();
    let result = Template::check(template).and_then(|template| render(&template, context, Timestamp::UNIX_EPOCH));
    assert!(start.elapsed() < SOON, "{:?} for {template}", start.elapsed());
    result
}

fn text(rng: &mut Rng) -> String {
    const PARTS: &[&str] = &[
        "${",
        "}",
        "$${",
        "$",
        "$$",
        "$eval",
        "$if",
        "n",
        "xs",
        "t",
        " ",
        "\n",
        "\"",
        "'",
        "(",
        "((((((((",
        ")",
        "[",
        "]",
        "{",
        "{{",
        "é",
        "𝒳",
        "1",
        "1e999",
        "99999999999999999999",
        "0.1",
        "**",
        "*",
        "range(0,",
        "join(",
        "each(x)",
        "by(x)",
        "$let",
        "in",
        "now",
        "fromNow('",
        "999999999 years",
        "\u{0}",
        "\\",
        "len",
        "-",
        "!",
        ",",
        ":",
        ".",
    ];
    (0..rng.below(8)).map(|_| *rng.pick(PARTS)).collect()
}

/// Any JSON, operators and interpolations in it or not.
fn anything(rng: &mut Rng, depth: usize) -> Value {
    match rng.below(if depth == 0 { 5 } else { 7 }) {
        0 => Value::Null,
        1 => json!(rng.chance(50)),
        2 => json!(i64::from_ne_bytes(rng.draw().to_ne_bytes()) >> rng.below(64)),
        3 => json!(f64::from_bits(rng.draw())),
        4 => json!(text(rng)),
        5 => (0..rng.below(4)).map(|_| anything(rng, depth - 1)).collect(),
        _ => Value::Object((0..rng.below(4)).map(|_| (text(rng), anything(rng, depth - 1))).collect()),
    }
}

/// A template that made sense, with some of it replaced.
fn damaged(rng: &mut Rng, template: Value) -> Value {
    const KEYS: &[&str] = &[
        "$eval",
        "$if",
        "then",
        "else",
        "$let",
        "in",
        "$map",
        "each(x)",
        "each(x,y)",
        "$reduce",
        "initial",
        "each(a,b)",
        "$find",
        "$match",
        "$switch",
        "$default",
        "$merge",
        "$mergeDeep",
        "$sort",
        "by(x)",
        "$reverse",
        "$json",
        "$flatten",
        "$flattenDeep",
        "$fromNow",
        "from",
        "$nope",
        "$$eval",
        "${t}",
    ];
    if rng.chance(6) {
        return match rng.below(3) {
            0 => anything(rng, 2),
            1 => json!(expression_soup(rng)),
            _ => json!(text(rng)),
        };
    }
    match template {
        Value::Array(items) => items.into_iter().map(|item| damaged(rng, item)).collect(),
        Value::Object(fields) => fields
            .into_iter()
            .map(|(key, value)| {
                let key = if rng.chance(4) { (*rng.pick(KEYS)).to_owned() } else { key };
                (key, damaged(rng, value))
            })
            .collect(),
        scalar @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => scalar,
    }
}

/// The template that renders to `value`.
fn escaped(value: &Value) -> Value {
    let text = |text: &str| text.replace("${", "$${");
    match value {
        Value::String(plain) => json!(text(plain)),
        Value::Array(items) => items.iter().map(escaped).collect(),
        Value::Object(fields) => {
            let key = |key: &str| if key.starts_with('$') { format!("${key}") } else { text(key) };
            fields.iter().map(|(name, value)| (key(name), escaped(value))).collect::<Map<_, _>>().into()
        }
        scalar @ (Value::Null | Value::Bool(_) | Value::Number(_)) => scalar.clone(),
    }
}

fn depth(value: &Value) -> u32 {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

/// As values come out of a rendering: whole floats are integers.
fn plain(value: &Value) -> Option<Value> {
    rendered(&json!({"$eval": "x"}), &json!({"x": value})).ok()
}

#[test]
fn fuzz_rendering() {
    fuzz("rendering", |rng| {
        let made = template(rng, 4);
        let (template, mut context) = (damaged(rng, made), context());
        for name in ["t", "xs", "o", "n"] {
            if rng.chance(10) {
                context[name] = anything(rng, 3);
            }
        }
        let result = rendered(&template, &context);
        assert_eq!(result, rendered(&template, &context), "{template}");
        if let Ok(result) = result {
            assert!(depth(&result) <= MAX_DEPTH, "{template}");
            assert!(!result.to_string().contains("\\u0000"), "{template}");
            assert_eq!(rendered(&escaped(&result), &json!({})).as_ref(), Ok(&result), "{template}");
        }
    });
}

#[test]
fn fuzz_that_data_stays_data() {
    fuzz("data in templates", |rng| {
        let data = anything(rng, 4);
        let Some(data) = plain(&data) else {
            assert!(data.to_string().contains("\\u0000"), "only a NUL is refused: {data}");
            return;
        };
        let template = json!({
            "as it is": {"$eval": "x"},
            "in a list": {"$map": {"$eval": "[x, x]"}, "each(y)": {"$eval": "y"}},
            "under a name": {"$let": {"y": {"$eval": "x"}}, "in": [{"$eval": "y"}, {"$if": "true", "then": {"$eval": "y"}}]},
            "found": {"$find": {"$eval": "[x]"}, "each(y)": "true"},
            "reduced": {"$reduce": [1], "initial": 0, "each(a,b)": {"$eval": "x"}},
            "merged": {"$merge": [{"k": 1}, {"k": {"$eval": "x"}}]},
            "as text": {"$json": {"$eval": "x"}},
        });
        let expected = json!({
            "as it is": data, "in a list": [data, data], "under a name": [data, data], "found": data, "reduced": data,
            "merged": {"k": data}, "as text": data.to_string(),
        });
        assert_eq!(rendered(&template, &json!({"x": data})), Ok(expected));
        if let Value::String(text) = &data {
            assert_eq!(rendered(&json!("<${x}>"), &json!({"x": text})), Ok(json!(format!("<{text}>"))));
            assert_eq!(rendered(&json!({"<${x}>": 1}), &json!({"x": text})), Ok(json!({format!("<{text}>"): 1})));
        }
    });
}
