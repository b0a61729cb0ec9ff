//! The actions.json of real projects, read as whoever triggers them reads it.

use taskgraft_core::action::catalog::{Catalog, Way};
use taskgraft_core::action::{ACTIONS, Origin};
use taskgraft_testkit::recorded::{unpacked, workspace};

use super::run::directories;

#[test]
fn what_real_projects_publish_is_understood() {
    let Some(data) = unpacked("decision-real") else { return };
    let mut checked = 0;
    for run in directories(&data.join("decision")).iter().flat_map(|repo| directories(repo)) {
        let Ok(text) = std::fs::read(run.join("artifacts/actions.json")) else { continue };
        let catalog = Catalog::read(&text).unwrap();
        let written: serde_json::Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(catalog.actions.len(), written["actions"].as_array().unwrap().len(), "{}", run.display());
        assert!(!catalog.is_ours(), "{}", run.display());
        for ours in ACTIONS.iter().filter(|action| action.origin == Origin::Reference) {
            let found = catalog.actions.iter().find(|action| action.callback() == Some(ours.cb_name)).unwrap();
            assert_eq!(found.name, ours.name);
            assert_eq!(found.schema, ours.schema.map(|schema| schema()), "{}", ours.cb_name);
        }
        checked += 1;
    }
    assert!(checked >= 6, "{checked}");
}

#[test]
fn the_example_offers_to_add_jobs_by_a_hook() {
    for push in ["1", "2"] {
        let file = workspace().join(format!("examples/lander/pushes/{push}/actions.json"));
        let catalog = Catalog::read(&std::fs::read(file).unwrap()).unwrap();
        let add = catalog.choose("add-new-jobs", None).unwrap();
        assert!(matches!(&add.way, Way::Hook { group, .. } if group == "project-lander"));
    }
}
