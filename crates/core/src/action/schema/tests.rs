use proptest::prelude::*;
use serde_json::{Value, json};

use super::{InputError, closed, validate};
use crate::action::{ACTIONS, by_callback};

fn accept(callback: &str, input: Value) -> Result<Value, InputError> {
    by_callback(callback).unwrap().input(input)
}

fn says(result: Result<Value, InputError>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn defaults_are_filled_in_however_deep() {
    assert_eq!(accept("add-new-jobs", json!({"tasks": ["a"]})), Ok(json!({"tasks": ["a"], "times": 1})));
    assert_eq!(accept("retrigger", Value::Null), Ok(json!({"downstream": false, "times": 1})));
    let schema = json!({
        "type": "object",
        "properties": {
            "list": {"type": "array", "items": {"$ref": "#/definitions/part"}},
            "part": {"$ref": "#/definitions/part"},
            "pair": {"type": "array", "items": [{}, {"properties": {"x": {"default": 2}}}]},
            "absent": {"type": "object", "properties": {"x": {"default": 1}}},
            "other": {"anyOf": [{"properties": {"x": {"default": 1}}}, {}], "default": {}},
        },
        "allOf": [{"properties": {"all": {"default": []}}}],
        "definitions": {"part": {"type": "object", "properties": {"n": {"type": "integer", "default": 7}}, "default": {}}},
    });
    let filled = validate(&schema, json!({"list": [{}, {"n": 1.0}], "pair": [{}, {}]})).unwrap();
    let wanted = json!({
        "list": [{"n": 7}, {"n": 1}], "part": {"n": 7}, "pair": [{}, {"x": 2}], "other": {}, "all": [],
    });
    assert_eq!(filled.to_string(), wanted.to_string());
}

#[test]
fn no_input_at_all_is_the_schemas_own_default() {
    assert_eq!(validate(&json!({"default": [1]}), Value::Null), Ok(json!([1])));
    assert_eq!(validate(&json!({"type": ["null", "object"], "default": {}}), Value::Null), Ok(Value::Null));
    assert!(validate(&json!({"type": "string"}), Value::Null).is_err());
}

#[test]
fn a_mistake_names_its_place_and_what_is_wanted() {
    let cases = [
        ("add-new-jobs", json!({"tasks": ["a"], "times": 101}), "`/times` must be at most 100, is 101"),
        ("add-new-jobs", json!({"tasks": ["a"], "times": 0}), "`/times` must be at least 1, is 0"),
        ("add-new-jobs", json!({"tasks": ["a", 2]}), "`/tasks/1` must be a string, is 2"),
        ("add-new-jobs", json!({"tasks": "a"}), "`/tasks` must be a list, is \"a\""),
        ("add-new-jobs", json!([]), "it must be an object, is []"),
        ("add-new-jobs", json!({"task": ["a"]}), "it must not have `task`; did you mean `tasks`?"),
        ("rerun", json!({"force": true}), "it must not have `force`; it takes none"),
        ("cancel", json!({"x": 1}), "it must be left out: `cancel` takes no input"),
        (
            "retrigger-multiple",
            json!({"requests": [{"tasks": ["a"], "tims": 2}]}),
            "`/requests/0` must not have `tims`; did you mean `times`?",
        ),
        (
            "add-matching-jobs",
            json!({"times": 2}),
            "it must have one of `label`, `kind`, `platform`, `attributes`, `tags`",
        ),
        ("backfill", json!({"depth": 1.5}), "`/depth` must be an integer, is 1.5"),
    ];
    for (callback, input, wanted) in cases {
        assert_eq!(says(accept(callback, input.clone())), format!("read the action's input: {wanted}"), "{input}");
    }
}

#[test]
fn published_schemas_let_pass_what_the_callback_refuses() {
    let published = (by_callback("add-new-jobs").unwrap().schema.unwrap())();
    assert!(validate(&published, json!({"tasks": [], "more": 1})).is_ok());
    assert!(validate(&closed(published), json!({"tasks": [], "more": 1})).is_err());
}

#[test]
fn every_schema_of_ours_can_be_followed_and_closes_what_it_lists() {
    for action in ACTIONS {
        if let Some(schema) = action.schema {
            assert!(!matches!(validate(&schema(), Value::Null), Err(InputError::Schema(_))), "{}", action.cb_name);
        }
        let unknown = says(action.input(json!({"no such key": 1})));
        assert!(unknown.contains("must not have `no such key`") || unknown.contains("must be left out"), "{unknown}");
    }
}

#[test]
fn schemas_that_reach_out_or_contain_themselves_are_refused() {
    let twice = |next: u32| json!({"allOf": [{"$ref": format!("#/d/{next}")}, {"$ref": format!("#/d/{next}")}]});
    let mut doubling = json!({"$ref": "#/d/0", "d": {"16": {}}});
    (0..16).for_each(|n| doubling["d"][n.to_string()] = twice(n + 1));
    let mut chain = json!({"$ref": "#/d/999", "d": {"0": {}}});
    (1..1000).for_each(|n| chain["d"][n.to_string()] = json!({"$ref": format!("#/d/{}", n - 1)}));
    let mut deep = json!({});
    (0..100).for_each(|_| deep = json!({"not": deep.take()}));
    let cases = [
        (json!({"$ref": "http://192.0.2.1/schema"}), "no reference to a part of it"),
        (json!({"$ref": "file:///etc/passwd"}), "no reference to a part of it"),
        (json!({"$ref": "#"}), "contains itself"),
        (json!({"properties": {"a": {"$ref": "#/properties/a"}}}), "contains itself"),
        (json!({"$dynamicRef": "#x"}), "is not followed"),
        (json!({"properties": {"a": {"$id": "http://192.0.2.1/"}}}), "at its top only"),
        (doubling, "too large"),
        (chain, "nested more than 64 deep"),
        (deep, "nested more than 64 deep"),
        (json!({"pattern": "(((a{100}){100}){100})"}), ""),
        (json!({"pattern": "(?=a)b"}), ""),
        (json!({"pattern": "a".repeat(1001)}), "1,000 bytes"),
        (
            json!({"properties": {"x": {"patternProperties": (0..200).map(|n| (n.to_string(), json!({}))).collect::<Value>()}}}),
            "100 patterns",
        ),
        (json!({"type": "nothing"}), ""),
        (json!({"enum": ["x".repeat(300_000)]}), "256 KiB"),
    ];
    for (schema, wanted) in cases {
        let result = validate(&schema, json!({"a": 1}));
        let text = format!("{:.200}", result.as_ref().map_or_else(ToString::to_string, ToString::to_string));
        assert!(matches!(result, Err(InputError::Schema(_))) && text.contains(wanted), "{schema:.100}: {text}");
    }
}

#[test]
fn inputs_have_bounds_and_are_told_short() {
    let any = json!({});
    let mut deep = json!(1);
    (0..100).for_each(|_| deep = json!([deep.take()]));
    assert_eq!(validate(&any, deep), Err(InputError::TooLarge("64 levels")));
    assert_eq!(validate(&any, json!("x".repeat(9 << 20))), Err(InputError::TooLarge("8 MiB")));
    let list = Value::from(vec![0; 1_000_001]);
    assert_eq!(validate(&any, list), Err(InputError::TooLarge("1,000,000 values")));
    let text = says(accept("add-new-jobs", json!({"tasks": "x".repeat(1 << 20)})));
    assert!(text.len() < 500 && text.ends_with('…'), "{text}");
    let many: Vec<Value> = (0..1000).map(Value::from).collect();
    assert!(says(accept("add-new-jobs", json!({"tasks": many}))).len() < 1000);
    assert_eq!(
        says(validate(&any, json!({"a": ["x", "\u{0}"]}))),
        "read the action's input: `/a/1` must not hold the character NUL"
    );
}

#[test]
fn a_default_for_each_item_of_a_long_list_is_no_bomb() {
    let schema = json!({"items": {"properties": {"x": {"default": "y".repeat(200_000)}}}});
    let list = Value::from(vec![json!({}); 100_000]);
    assert_eq!(validate(&schema, list), Err(InputError::TooLarge("8 MiB, its defaults filled in")));
}

#[test]
fn a_pattern_that_backtracks_elsewhere_is_judged_in_time() {
    let schema = json!({"pattern": "^(a+)+$"});
    let faults = validate(&schema, json!("a".repeat(200_000) + "b"));
    assert!(matches!(faults, Err(InputError::Invalid(_))), "{faults:?}");
    let long = says(validate(&schema, json!("a".repeat(300_000))));
    assert!(long.ends_with("too long to try them on"), "{long}");
}

#[test]
fn what_tries_to_break_out_comes_through_as_it_is() {
    let labels = ["\"'`\n$(id)", "{{x}}", "${y}", "$eval", &"(".repeat(10_000), &"x".repeat(1 << 20)];
    let input = json!({"tasks": labels, "times": 1});
    assert_eq!(accept("add-new-jobs", input.clone()), Ok(input));
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[a-z]{0,4}".prop_map(Value::from),
    ];
    let key = prop_oneof![
        Just("tasks".to_owned()),
        Just("times".to_owned()),
        Just("requests".to_owned()),
        Just("label".to_owned()),
        Just("type".to_owned()),
        Just("properties".to_owned()),
        Just("items".to_owned()),
        Just("$ref".to_owned()),
        Just("default".to_owned()),
        Just("allOf".to_owned()),
        "[a-z]{1,3}",
    ];
    leaf.prop_recursive(5, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(key.clone(), inner, 0..5).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

proptest! {
    #[test]
    fn filling_in_is_idempotent_and_nothing_panics(schema in value(), input in value()) {
        if let Ok(filled) = validate(&schema, input.clone()) {
            prop_assert_eq!(validate(&schema, filled.clone()), Ok(filled));
        }
        for action in ACTIONS {
            if let Ok(filled) = action.input(input.clone()) {
                prop_assert_eq!(action.input(filled.clone()), Ok(filled));
            }
        }
    }
}
