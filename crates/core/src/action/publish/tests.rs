use std::collections::BTreeSet;

use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Publication, PublishError, added_to, left_out};
use crate::action::ACTIONS;
use crate::action::render::{Template, render};
use crate::params::Parameters;
use crate::plan::Policy;

fn parameters(more: &Value) -> Parameters {
    let mut fields = json!({
        "head_repository": "https://github.com/example/lander", "base_repository": "https://github.com/example/lander",
        "project": "lander", "level": "3", "pushlog_id": "2", "head_rev": "abc", "base_rev": "def",
        "head_ref": "main", "base_ref": "main", "tasks_for": "github-push",
    });
    for (name, value) in more.as_object().unwrap() {
        fields[name] = value.clone();
    }
    Parameters::new(fields).unwrap()
}

fn publication(parameters: &Parameters, policy: Policy) -> Publication<'_> {
    Publication { parameters, trust_domain: "lander", hook_hash: "0123456789", decision: "DECISION-TASK", policy }
}

fn published(more: &Value, policy: Policy, without: &[&str]) -> Value {
    let without = without.iter().map(|name| (*name).to_owned()).collect();
    publication(&parameters(more), policy).actions_json(&without).unwrap()
}

fn callbacks(file: &Value) -> Vec<&str> {
    file["actions"].as_array().unwrap().iter().map(|entry| super::callback(entry).unwrap()).collect()
}

#[test]
fn ours_stand_among_the_references_in_the_order_of_menus() {
    let all = published(&json!({}), Policy::Graft, &[]);
    let reference = published(&json!({}), Policy::Reference, &[]);
    assert_eq!(callbacks(&all), ACTIONS.iter().map(|action| action.cb_name).collect::<Vec<_>>());
    let of_reference: Vec<&Value> =
        all["actions"].as_array().unwrap().iter().filter(|entry| !super::is_ours(entry)).collect();
    assert_eq!(of_reference, reference["actions"].as_array().unwrap().iter().collect::<Vec<_>>());
    assert!(published(&json!({}), Policy::Graft, &["rerun"]) != all);
}

#[test]
fn pull_requests_have_hooks_of_their_own() {
    let file = published(&json!({"tasks_for": "github-pull-request-untrusted", "level": "1"}), Policy::Graft, &[]);
    assert_eq!(file["actions"][0]["hookId"], "in-tree-pr-action-1-retrigger-decision/0123456789");
    assert_eq!(file["actions"][1]["hookId"], "in-tree-pr-action-1-generic/0123456789");
}

#[test]
fn what_is_left_out_has_to_exist() {
    let out = |disabled: &[&str], registers, more: &[&str], policy| {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        left_out(&owned(disabled), registers, &owned(more), policy)
    };
    let both = BTreeSet::from(["rerun".to_owned(), "backfill".to_owned()]);
    assert_eq!(out(&["rerun"], false, &["backfill"], Policy::Graft), Ok(both));
    for refused in [
        out(&["reruns"], false, &[], Policy::Graft),
        out(&["backfill"], false, &[], Policy::Reference),
        out(&[], true, &["own"], Policy::Graft),
    ] {
        assert!(matches!(refused, Err(PublishError::Unknown { .. })));
    }
    assert!(out(&["own"], true, &[], Policy::Graft).is_ok(), "the project's own code may have registered it");
    let told = out(&["x", "b"], false, &[], Policy::Reference).unwrap_err().to_string();
    assert!(told.starts_with("leave out b, x: no such actions; there are retrigger-decision, retrigger, "), "{told}");
}

#[test]
fn what_a_decision_task_published_stays_as_it_is() {
    let ours = published(&json!({}), Policy::Graft, &["rerun"]);
    let mut existing = published(&json!({}), Policy::Reference, &["retrigger-multiple"]);
    existing["variables"] = json!({"x": 1});
    existing["actions"][1]["title"] = json!("Once more");
    existing["actions"].as_array_mut().unwrap().push(json!({"name": "backfill", "kind": "hook"}));
    let before = existing["actions"].as_array().unwrap().clone();
    let added = added_to(existing, &ours).unwrap();
    let expected = [
        "retrigger-decision",
        "retrigger",
        "retrigger-disabled",
        "add-new-jobs",
        "add-matching-jobs",
        "retrigger-failed",
        "run-missing-jobs",
        "rerun",
        "cancel",
        "cancel-all",
        "rebuild-cached-tasks",
    ];
    let entries = added["actions"].as_array().unwrap();
    let found: Vec<&str> = entries.iter().filter_map(super::callback).collect();
    assert_eq!(found, expected, "no backfill: the project has its own");
    let kept: Vec<&Value> = entries.iter().filter(|entry| !super::is_ours(entry)).collect();
    assert_eq!(kept, before.iter().collect::<Vec<_>>());
    assert_eq!(added["variables"], json!({"x": 1}));
    assert_eq!(added_to(added.clone(), &ours).unwrap(), added, "once more changes nothing");
    for bad in [json!([]), json!({"version": 2, "actions": []}), json!({"version": 1})] {
        assert!(matches!(added_to(bad, &ours), Err(PublishError::Existing(_))));
    }
}

#[test]
fn a_branch_is_data_whatever_it_is_called() {
    let context = json!({"input": {"secret": 1}, "taskId": null, "taskGroupId": "g"});
    let branch = "${input.secret}-{$eval}-$${x}";
    let file = published(&json!({"head_ref": branch, "base_rev": null}), Policy::Graft, &[]);
    for entry in file["actions"].as_array().unwrap() {
        let payload = &entry["hookPayload"];
        let rendered = render(&Template::check(payload).unwrap(), &context, Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(rendered["decision"]["push"]["branch"], branch);
        assert_eq!(rendered["decision"]["push"]["base_branch"], "main");
        assert_eq!(rendered["decision"]["push"]["base_revision"], Value::Null);
        assert_eq!(rendered["user"]["input"], json!({"secret": 1}));
    }
    let reference = published(&json!({"head_ref": branch}), Policy::Reference, &[]);
    assert_eq!(
        reference["actions"][0]["hookPayload"]["decision"]["push"]["branch"], branch,
        "as the reference writes it"
    );
}

#[test]
fn parameters_that_lack_something_are_named() {
    let file = Parameters::new(json!({"tasks_for": "github-push", "level": "3"})).unwrap();
    let error = publication(&file, Policy::Graft).actions_json(&BTreeSet::new()).unwrap_err().to_string();
    assert_eq!(error, "publish actions: parameter `head_repository` must be given");
}

proptest! {
    #[test]
    fn adding_is_idempotent_whatever_stands_there(
        names in prop::collection::vec("(backfill|rerun|retrigger|own|cancel)", 0..6), hidden in 0..13_usize
    ) {
        let ours = published(&json!({}), Policy::Graft, &[ACTIONS[hidden].cb_name]);
        let entries: Vec<Value> = names
            .iter()
            .map(|name| json!({"name": name, "hookPayload": {"decision": {"action": {"cb_name": name}}}}))
            .collect();
        let once = added_to(json!({"version": 1, "actions": entries}), &ours).unwrap();
        prop_assert_eq!(added_to(once.clone(), &ours).unwrap(), once);
    }
}
