use std::time::{Duration, Instant};

use serde_json::{Value, json};
use taskgraft_core::action::render::{MAX_RESULT_BYTES, Problem, Template};

use super::rendered;

/// A hook's template as in-tree projects write them: input goes into the environment as JSON, into texts and arguments.
fn action_task() -> Value {
    json!({
        "$let": {"action": {"$eval": "payload.decision.action"}, "user": {"$eval": "payload.user"}},
        "in": {
            "metadata": {"name": "Action: ${action.title}", "description": "${action.description}"},
            "payload": {
                "command": ["action-callback", "${user.input.reason}"],
                "env": {
                    "$merge": [
                        {"ACTION_INPUT": {"$json": {"$eval": "user.input"}}, "ACTION_CALLBACK": "${action.cb_name}"},
                        {"$if": "action.title == 'Add'", "then": {"KIND": "add"}, "else": {"KIND": "other"}},
                    ],
                },
            },
            "extra": {"labels": {"$map": {"$eval": "user.input.labels"}, "each(label)": {"$eval": "label"}}},
            "tags": {"first": {"$find": {"$eval": "user.input.labels"}, "each(label)": "len(label) > 0"}},
        },
    })
}

fn context(labels: &[String], reason: &str) -> Value {
    let action = json!({"title": "Add", "description": reason, "cb_name": "add-new-jobs"});
    json!({"payload": {"decision": {"action": action}, "user": {"input": {"labels": labels, "reason": reason}}}})
}

/// What the template makes of input that breaks nothing, with the values put in by hand.
fn expected(labels: &[String], reason: &str) -> Value {
    json!({
        "metadata": {"name": "Action: Add", "description": reason},
        "payload": {
            "command": ["action-callback", reason],
            "env": {
                "ACTION_INPUT": json!({"labels": labels, "reason": reason}).to_string(),
                "ACTION_CALLBACK": "add-new-jobs",
                "KIND": "add",
            },
        },
        "extra": {"labels": labels},
        "tags": {"first": labels[0]},
    })
}

#[test]
fn input_changes_nothing_but_its_own_value() {
    let parentheses = format!("{}{}", "(".repeat(10_000), ")".repeat(10_000));
    for text in [
        "it's \"quoted\" `so`",
        "two\nlines\r\n\ttab",
        "$(rm -rf /) ; `true` && $HOME | cat > x",
        "{{task_labels}} {{{x}}}",
        "${payload} ${nosuch} $${user} ${",
        "$eval",
        "{\"$eval\": \"payload\"}",
        "'; DROP TABLE tasks; --",
        "--decision-id=x",
        "\u{202e}right to left\u{0} is refused below".split('\u{0}').next().unwrap(),
        &parentheses,
        &format!("${{{parentheses}}}"),
    ] {
        let labels = [text.to_owned(), format!("{text}2")];
        assert_eq!(rendered(&action_task(), &context(&labels, text)).unwrap(), expected(&labels, text), "{text:.60}");
    }
}

#[test]
fn large_input_is_carried_whole_and_quickly() {
    let start = Instant::now();
    let text = "x${y}\n".repeat(170_000);
    assert!(text.len() > 1_000_000);
    let one = [text.clone()];
    assert_eq!(rendered(&action_task(), &context(&one, "r")).unwrap(), expected(&one, "r"));
    let many: Vec<String> = (0..1_000).map(|at| format!("{at:04}{}", "ü${(".repeat(204))).collect();
    assert_eq!(rendered(&action_task(), &context(&many, "r")).unwrap(), expected(&many, "r"));
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}

#[test]
fn a_nul_is_refused_with_its_place() {
    let error = rendered(&action_task(), &context(&["a\u{0}b".to_owned()], "r")).unwrap_err();
    assert_eq!(error.problem(), &Problem::Nul);
    let error = rendered(&json!({"a": [1, {"$eval": "t"}]}), &json!({"t": "\u{0}"})).unwrap_err();
    assert_eq!(error.to_string(), "TemplateError at template.a[1]: a NUL character can't be part of a task");
    // A lone surrogate can't even be read as a text.
    assert!(serde_json::from_str::<Value>(r#"{"reason": "\ud800"}"#).is_err());
}

fn limit_of(template: &Value) -> &'static str {
    let error = rendered(template, &json!({"xs": [1, 2]})).unwrap_err();
    let Problem::Limit { what, .. } = error.problem() else { panic!("{error}") };
    what
}

#[test]
fn expressions_that_nest_too_deep_are_refused() {
    const DEPTH: &str = "the depth of nesting";
    for open in ["(", "[", "!", "-", "xs[", "{a:", "len(", "1 ** ", "1 + (2 * "] {
        assert_eq!(limit_of(&json!({"$eval": open.repeat(10_000)})), DEPTH, "{open}");
        assert_eq!(limit_of(&json!(format!("${{{}", open.repeat(10_000)))), DEPTH, "{open}");
    }
    for more in [" + 1", ".a", "[0]", "()", " && 1", " ** 1"] {
        assert_eq!(limit_of(&json!({"$eval": format!("xs{}", more.repeat(10_000))})), DEPTH, "{more}");
    }
    let nested = |depth: usize| json!({"$eval": format!("{}1{}", "(".repeat(depth), ")".repeat(depth))});
    // What people write nests far less than this, and costs next to nothing.
    assert_eq!(rendered(&nested(100), &json!({})).unwrap(), json!(1));
}

#[test]
fn templates_that_nest_too_deep_or_are_too_large_are_refused() {
    let nested = |depth: usize| (0..depth).fold(json!(1), |inner, _| json!([inner]));
    assert!(Template::check(&nested(128)).is_ok());
    let error = Template::check(&nested(129)).unwrap_err();
    assert_eq!(error.to_string(), "LimitError: the depth of nesting is more than 128 allowed");
    assert!(Template::check(&json!(vec![""; 5_000_000])).is_err());
    assert!(Template::check(&json!("x".repeat(5_000_000))).is_err());
}

#[test]
fn what_grows_while_rendering_is_refused() {
    let doubled = |times: usize, inner: Value| {
        (0..times).fold(inner, |inner, _| json!({"$let": {"x": inner}, "in": {"$eval": "[x, x]"}}))
    };
    assert_eq!(limit_of(&doubled(40, json!("seed"))), "the size of a rendered value");
    let texts = (0..40).fold(json!("seed"), |inner, _| json!({"$let": {"x": inner}, "in": "${x}${x}"}));
    assert_eq!(limit_of(&texts), "the size of a rendered value");
    let deep = json!({"$reduce": {"$eval": "range(0, 100000)"}, "initial": 1, "each(acc,x)": {"$eval": "[acc]"}});
    assert_eq!(limit_of(&deep), "the depth of nesting");
    assert_eq!(limit_of(&json!({"$eval": "range(0, 9000000000000)"})), "the size of a rendered value");
    let split = json!({"$let": {"t": "x".repeat(4_000_000)}, "in": {"$eval": "split(t, '')"}});
    assert_eq!(limit_of(&split), "the size of a rendered value");
    let loops = (0..6).fold(json!(1), |inner, _| json!({"$map": {"$eval": "range(0, 1000)"}, "each(x)": inner}));
    let start = Instant::now();
    assert!(["the work of rendering", "the size of a rendered value"].contains(&limit_of(&loops)));
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    assert!(rendered(&json!({"$eval": "9 ** 9 ** 9 ** 9"}), &json!({})).is_err());
}

#[test]
fn results_stay_within_the_bound() {
    let most = usize::try_from(MAX_RESULT_BYTES).unwrap();
    let text = "x".repeat(most - 10);
    assert_eq!(rendered(&json!("${t}"), &json!({"t": text})).unwrap(), json!(text));
    assert!(rendered(&json!("${t}${t}"), &json!({"t": text})).is_err());
}
