use std::path::Path;

use serde_json::{Value, json};
use taskgraft_testkit::python::python;
use taskgraft_testkit::recorded::workspace;
use taskgraft_testkit::rng::{Rng, seed};
use taskgraft_testkit::templates::{context, expression_soup, template};

use super::{NOW, rendered};

/// How many templates a run makes up.
const CASES: usize = 4_000;

fn oracle(arguments: &[&Path]) -> Vec<Value> {
    let script = workspace().join("tests/oracle/json_e.py");
    assert!(python().arg(script).args(arguments).status().unwrap().success());
    serde_json::from_slice(&std::fs::read(arguments.last().unwrap()).unwrap()).unwrap()
}

/// Whole floats as integers, which is how ours are anyway.
fn plain(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(plain).collect(),
        Value::Object(fields) => fields.into_iter().map(|(key, value)| (key, plain(value))).collect(),
        Value::Number(number) => {
            let whole = number.as_f64().filter(|float| number.is_f64() && float.fract() == 0.0 && float.abs() < 1e15);
            whole.and_then(|float| format!("{float:.0}").parse::<i64>().ok()).map_or(Value::Number(number), Value::from)
        }
        scalar @ (Value::Null | Value::Bool(_) | Value::String(_)) => scalar,
    }
}

#[test]
fn made_up_templates_render_as_with_the_json_e_package() {
    let seed = seed();
    println!("made-up templates from TASKGRAFT_SEED={seed}");
    let mut rng = Rng::new(seed);
    let mut context = context();
    context["now"] = json!(NOW);
    let cases: Vec<Value> = (0..CASES)
        .map(|at| {
            let template =
                if at % 4 == 0 { json!({"$eval": expression_soup(&mut rng)}) } else { template(&mut rng, 4) };
            json!({"template": template, "context": context})
        })
        .collect();
    let directory = tempfile::tempdir().unwrap();
    let (input, output) = (directory.path().join("cases.json"), directory.path().join("results.json"));
    std::fs::write(&input, serde_json::to_vec(&cases).unwrap()).unwrap();
    let theirs = oracle(&[&input, &output]);
    let mut values = 0;
    for (case, theirs) in cases.iter().zip(&theirs) {
        let ours = rendered(&case["template"], &case["context"]);
        let template = &case["template"];
        match (&ours, theirs.get("result")) {
            (Ok(ours), Some(theirs)) => {
                assert_eq!(&plain(ours.clone()), theirs, "TASKGRAFT_SEED={seed}: {template}");
                values += 1;
            }
            (Err(_), None) => {}
            (ours, _) => panic!("TASKGRAFT_SEED={seed}: ours {ours:?}, theirs {theirs}: {template}"),
        }
    }
    // Most must get to a value, or little has been compared.
    assert!(values > CASES / 2, "only {values} of {CASES} made-up templates have a value");
}

/// JSON-e's specification is no part of this repository: `TASKGRAFT_JSON_E_SPECIFICATION` names the file.
#[test]
fn the_specification_holds() {
    let Some(path) = std::env::var_os("TASKGRAFT_JSON_E_SPECIFICATION") else {
        println!("not run: TASKGRAFT_JSON_E_SPECIFICATION names no specification.yml");
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let cases = oracle(&[Path::new("--specification"), Path::new(&path), &directory.path().join("cases.json")]);
    let mut wrong = Vec::new();
    for case in &cases {
        let title = case["title"].as_str().unwrap();
        let ours = rendered(&case["template"], &case["context"]);
        let right = match (&ours, case.get("result")) {
            (Ok(ours), Some(theirs)) => plain(ours.clone()) == *theirs,
            (Err(_), None) => true,
            _ => false,
        };
        if !right {
            wrong.push(format!(
                "{title}: {} gives {ours:?} for {}",
                case["template"],
                case.get("result").unwrap_or(&json!("an error"))
            ));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    println!("{} cases of the specification hold", cases.len());
}
