//! Made-up task definitions.

use serde_json::{Value, json};

use crate::rng::Rng;

/// A definition for `task`, with all kinds of references and values that are hard to write.
pub(super) fn definition(rng: &mut Rng, task: &Value) -> Value {
    let label = task["label"].as_str().unwrap_or_default();
    let names: Vec<&str> =
        task["dependencies"].as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    let deadline = match rng.below(8) {
        0 => json!("2026-11-23T11:59:59.999Z"),
        1 => json!({"relative-datestamp": "3 hours"}),
        2 => json!({"relative-datestamp": "5days"}),
        _ => json!({"relative-datestamp": "1 day"}),
    };
    let mut definition = json!({
        "provisionerId": "lander-t",
        "workerType": "t-linux",
        "created": {"relative-datestamp": "0 seconds"},
        "deadline": deadline,
        "expires": {"relative-datestamp": "1 year"},
        "metadata": {"name": label, "description": format!("{label} – “quoted”"), "owner": "ann@lander.test", "source": "https://lander.test/kind.yml"},
        "scopes": [],
        "payload": payload(rng, &names),
    });
    if rng.chance(20) {
        definition["dependencies"] = json!(["KfWPc0C0TYCh3cQEJAiFtA"]);
    }
    if rng.chance(30) {
        definition["extra"] = json!({"index": {"rank": rng.below(3)}});
    }
    if rng.chance(50) {
        definition["routes"] = routes(rng);
    }
    definition
}

/// Few routes, or more than the queue takes.
fn routes(rng: &mut Rng) -> Value {
    let count = *rng.pick(&[0, 3, 64, 65, 80]);
    let route = |n: usize| match n % 7 {
        0 => format!("checks.{n}"),
        1 => format!("index.lander.cache.level-3.x.{n}"),
        2 => format!("index.x.y.{n}"),
        3 => format!("index.other.{n}.*+"),
        _ => format!("index.lander.v2.lander.revision.{n}.build"),
    };
    (0..count).map(route).collect()
}

fn payload(rng: &mut Rng, names: &[&str]) -> Value {
    // A name with `>` in it can't be referred to.
    let names: Vec<&str> =
        names.iter().copied().filter(|name| *name != "gone" && !name.contains(['<', '>', '/'])).collect();
    let mut references = vec!["<self>".to_owned(), "<decision>".to_owned(), "<<>x>".to_owned()];
    references.extend(names.iter().map(|name| format!("{name}=<{name}>")));
    let text = rng.some_of(&references, 60).join(" ") + " <";
    let mut payload = json!({
        "env": {"TASKS": {"task-reference": text}, "PLAIN": "<self>", "UNICODE": "é😀\u{7f}\u{1f}\u{2028}"},
        "numbers": [0, -1, 1.0, 1e16, 1e-5, 0.1, -2.5e-7, 1e22, u64::MAX, i64::MIN, 123_456_789.125],
        "nested": [[], {}, null, true, false, [{"deep": [{"task-reference": "<self>"}]}]],
        "not-a-reference": {"task-reference": "<nothing>", "but": "two keys"},
        "cache": {"task-reference": {"cache-<self>": {"relative-datestamp": "2 hours"}, "x": {"task-reference": "<decision>"}}},
        "expires": {"relative-datestamp": "28 days"},
    });
    if let Some(name) = names.first().filter(|_| rng.chance(50)) {
        let urls = format!("<{name}/public/build/x.zip> and <{name}/private/é.zip> and <decision/public/y>");
        payload["mounts"] = json!([{"content": {"url": {"artifact-reference": urls}}}]);
    }
    if rng.below(300) == 0 {
        payload["bad"] = json!({"task-reference": "<no-such-dependency>"});
    }
    payload
}
