use serde_json::{Value, json};
use taskgraft_core::action::render::{Template, render};

use super::rendered;

#[test]
fn integers_stay_integers() {
    for number in [0, 5_000_000_000, i64::MIN, i64::MAX, 9_007_199_254_740_993] {
        let context = json!({"n": number});
        let template =
            json!({"same": {"$eval": "n"}, "text": "${n}", "json": {"$json": {"$eval": "n"}}, "literal": number});
        let text = number.to_string();
        let expected = json!({"same": number, "text": text, "json": text, "literal": number});
        assert_eq!(rendered(&template, &context).unwrap().to_string(), expected.to_string());
    }
    assert_eq!(rendered(&json!({"$eval": "n"}), &json!({"n": u64::MAX})).unwrap(), json!(u64::MAX));
    for (expression, value) in [
        ("5000000000 * 3 + 1", json!(15_000_000_001_u64)),
        ("10 / 4", json!(2.5)),
        ("10 / 5", json!(2)),
        ("2 ** 62", json!(1_u64 << 62)),
        ("2 ** 0.5 * 2 ** 0.5 > 2", json!(true)),
        ("str(0.1 + 0.2)", json!("0.30000000000000004")),
        ("str(10 ** 21)", json!("1e+21")),
        ("str(1 / 10000000)", json!("1e-7")),
        ("ceil(1.2) + floor(-1.2)", json!(0)),
        ("number('7.0')", json!(7)),
        ("-9223372036854775807 - 1", json!(i64::MIN)),
    ] {
        let result = rendered(&json!({"$eval": expression}), &json!({})).unwrap();
        assert_eq!(result.to_string(), value.to_string(), "{expression}");
    }
}

#[test]
fn the_only_clock_is_the_callers() {
    let template =
        json!({"now": {"$eval": "now"}, "in": {"$fromNow": "1 day"}, "ago": {"$eval": "fromNow('- 1 hour')"}});
    let template = Template::check(&template).unwrap();
    let now = "2031-12-31T23:30:00.5Z".parse().unwrap();
    let expected = json!({
        "now": "2031-12-31T23:30:00.500Z", "in": "2032-01-01T23:30:00.500Z", "ago": "2031-12-31T22:30:00.500Z",
    });
    assert_eq!(render(&template, &json!({}), now), Ok(expected));
    // Unless the context has one of its own.
    let expected = json!({
        "now": "2020-02-28T00:00:00Z", "in": "2020-02-29T00:00:00.000Z", "ago": "2020-02-27T23:00:00.000Z",
    });
    assert_eq!(render(&template, &json!({"now": "2020-02-28T00:00:00Z"}), now), Ok(expected));
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    for (template, message) in [
        (json!({"a b": [{"$eval": "x.y"}]}), "InterpreterError at template[\"a b\"][0]: unknown context value x"),
        (json!({"$eval": "1 +"}), "SyntaxError: Unexpected end of input"),
        (json!({"a": "${1 2}"}), "SyntaxError at template.a: Found: 2 token, which can't be here"),
        (json!({"$if": "1", "them": 1}), "TemplateError: $if has undefined properties: them"),
        (json!({"$eval": "len(1)"}), "BuiltinError: invalid arguments to builtin: len"),
        (
            json!([{"f": {"$eval": "len"}}]),
            "TemplateError at template[0].f: evaluated template contained uncalled functions",
        ),
    ] {
        assert_eq!(rendered(&template, &json!({})).unwrap_err().to_string(), message);
    }
    assert_eq!(
        rendered(&json!(1), &Value::Null).unwrap_err().to_string(),
        "TemplateError: context must be a dictionary"
    );
}
