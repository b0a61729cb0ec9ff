//! What PyYAML writes reads back as what it wrote.

use serde_json::Value;
use taskgraft_engine::read_parameters;
use taskgraft_testkit::python::python;

/// Prints values as YAML and as JSON, a pair a line.
const DUMP: &str = include_str!("dump_yaml.py");

#[test]
fn what_pyyaml_dumps_reads_back() {
    let seed: u32 = rand::random();
    println!("seed {seed}");
    let output = python().arg("-c").arg(DUMP).arg(seed.to_string()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut checked = 0;
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let (dumped, value): (String, Value) = serde_json::from_str(line).unwrap();
        let read = read_parameters(dumped.as_bytes()).unwrap_or_else(|error| panic!("seed {seed}: {error}:\n{dumped}"));
        for (name, value) in value.as_object().unwrap() {
            assert_eq!(read.get(name), Some(value), "seed {seed}, {name}:\n{dumped}");
        }
        assert_eq!(read.fields().len(), value.as_object().unwrap().len());
        checked += 1;
    }
    assert_eq!(checked, 302);
}

#[test]
fn merge_keys_mean_what_they_mean_to_pyyaml() {
    let text = "a: &a {x: 1, y: 1}\nb: &b\n  <<: *a\n  y: 2\n  z: [*a]\nc: {<<: [*b, *a], x: 3}\n\
                d:\n  k: 1\n  <<: *a\n  <<: *b\ne: {<<: {<<: *a, w: 1}, '<<': q}\nf: {<<: []}\n";
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    let expected = taskgraft_testkit::python::read_yaml(file.path());
    let read = read_parameters(text.as_bytes()).unwrap();
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(read.get(name), Some(value), "{name}");
    }
}
