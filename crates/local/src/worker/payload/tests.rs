use serde_json::{Value, json};

use super::{Artifact, ArtifactKind, Content, Image, MAX_RUN_TIME_SECONDS, Mount, Payload};

fn with(changes: Value) -> Value {
    let mut payload = json!({"command": [["true"]], "maxRunTime": 60});
    for (key, value) in changes.as_object().unwrap() {
        payload[key] = value.clone();
    }
    payload
}

fn refused(payload: &Value) -> String {
    Payload::parse(payload).unwrap_err().to_string()
}

#[test]
fn a_generic_worker_payload_is_read_with_its_defaults() {
    let payload = with(json!({
        "env": {"A": "b"},
        "artifacts": [
            {"type": "file", "path": "out/a.txt"},
            {"type": "directory", "path": "out", "name": "public/", "contentEncoding": "gzip", "optional": true},
        ],
        "onExitStatus": {"retry": [4]},
        "features": {"taskclusterProxy": true, "liveLog": true, "chainOfTrust": false},
    }));
    let Payload::Generic(generic) = Payload::parse(&payload).unwrap() else { panic!("no generic payload") };
    assert_eq!(generic.command, [["true"]]);
    assert_eq!(generic.on_exit_status.retry, [4]);
    assert!(generic.taskcluster_proxy);
    assert_eq!(generic.live_log, "public/logs/live.log");
    let names: Vec<_> = generic.artifacts.iter().map(|Artifact { name, kind, .. }| (&**name, *kind)).collect();
    assert_eq!(names, [("out/a.txt", ArtifactKind::File), ("public", ArtifactKind::Directory)]);
}

#[test]
fn what_is_wrong_is_named_with_its_path() {
    let cases = [
        (json!([]), "payload: an object is needed"),
        (json!({"maxRunTime": 1}), "payload: missing field `command`"),
        (with(json!({"command": []})), "payload.command: at least one command is needed"),
        (with(json!({"command": [[]]})), "payload.command[0]: a command starts with a program's name"),
        (with(json!({"command": ["ls"]})), "payload.command[0]: invalid type: string \"ls\", expected a sequence"),
        (with(json!({"command": [["a", "b\u{0}"]]})), "payload.command[0][1]: a NUL can't be passed to a process"),
        (with(json!({"env": {"A": 1}})), "payload.env.A: invalid type: integer `1`, expected a string"),
        (with(json!({"env": {"A=": "1"}})), "payload.env: \"A=\" is no name of an environment variable"),
        (with(json!({"maxRunTime": 0})), "payload.maxRunTime: between 1 and 432000 seconds are needed"),
        (with(json!({"osGroups": ["wheel"]})), "payload.osGroups[0]: tasks can't join the group \"wheel\" here"),
        (with(json!({"features": {"interactive": true}})), "payload.features.interactive: this worker does not have"),
        (with(json!({"features": {"nonsense": false}})), "payload.features.nonsense: no such feature"),
        (with(json!({"colour": 1})), "payload.colour: unknown field `colour`"),
        (with(json!({"logs": {"live": "public/../x"}})), "payload.logs.live: an artifact's name has no empty"),
        (with(json!({"logs": {"live": "public/l", "backing": "public/l"}})), "payload.logs: the live log and the"),
        (with(json!({"taskclusterProxyInterface": "docker-bridge"})), "payload.taskclusterProxyInterface: only"),
    ];
    for (payload, message) in cases {
        let refusal = refused(&payload);
        assert!(refusal.starts_with(message), "{refusal}\n  instead of {message}");
    }
    assert!(Payload::parse(&with(json!({"maxRunTime": MAX_RUN_TIME_SECONDS}))).is_ok());
}

#[test]
fn artifacts_stay_in_the_tasks_directory_and_under_plain_names() {
    let artifact = |artifact: Value| refused(&with(json!({"artifacts": [artifact]})));
    for path in ["/etc/passwd", "../x", "a/../../x", "a\u{0}b", ""] {
        let refusal = artifact(json!({"type": "file", "path": path, "name": "public/x"}));
        assert!(refusal.starts_with("payload.artifacts[0].path: "), "{refusal}");
    }
    for name in ["", "public/../x", "public//x", "public/ä", "/public/x"] {
        let refusal = artifact(json!({"type": "file", "path": "x", "name": name}));
        assert!(refusal.starts_with("payload.artifacts[0].name: "), "{name} {refusal}");
    }
    let refusal = artifact(json!({"type": "volume", "path": "x"}));
    assert!(refusal.starts_with("payload.artifacts[0].type: "), "{refusal}");
}

#[test]
fn mounts_are_files_directories_or_caches() {
    let id = "AWMGHageTNSYfeRM0ntWXg";
    let payload = with(json!({"mounts": [
        {"file": "a", "content": {"raw": "hello"}},
        {"file": "b", "content": {"base64": "aGVsbG8="}, "format": "gz"},
        {"directory": "c", "content": {"taskId": id, "artifact": "public/c.tar.gz"}, "format": "tar.gz"},
        {"directory": "d", "cacheName": "lander-d"},
        {"directory": "e", "cacheName": "lander-e", "content": {"url": "https://example.org/e.zip"}, "format": "zip"},
        {"file": "f", "content": {"namespace": "lander.v1.f", "artifact": "public/f"}},
    ]}));
    let Payload::Generic(generic) = Payload::parse(&payload).unwrap() else { panic!("no generic payload") };
    assert!(matches!(&generic.mounts[1], Mount::File { content: Content::Inline(bytes), .. } if bytes == b"hello"));
    assert!(matches!(&generic.mounts[3], Mount::Cache { preload: None, .. }));
    assert!(matches!(&generic.mounts[4], Mount::Cache { preload: Some(_), .. }));
}

#[test]
fn mounts_that_make_no_sense_are_refused() {
    let cases = [
        (json!({}), "payload.mounts[0]: either `file` or `directory` is needed"),
        (json!({"file": "../a", "content": {"raw": ""}}), "payload.mounts[0].file: "),
        (json!({"file": "a"}), "payload.mounts[0].content: a file mount needs content"),
        (json!({"file": "a", "directory": "b", "content": {"raw": ""}}), "payload.mounts[0]: a file has neither"),
        (json!({"directory": "a"}), "payload.mounts[0]: a directory needs content, or a cacheName"),
        (json!({"directory": "a", "content": {"raw": ""}}), "payload.mounts[0].format: content needs a format"),
        (
            json!({"directory": "a", "content": {"raw": ""}, "format": "rar"}),
            "payload.mounts[0].format: \"rar\" is not",
        ),
        (json!({"file": "a", "content": {"url": "file:///etc/passwd"}}), "payload.mounts[0].content.url: an http or"),
        (json!({"file": "a", "content": {"raw": "x", "url": "http://a"}}), "payload.mounts[0].content: one of"),
        (json!({"file": "a", "content": {"taskId": "short", "artifact": "a"}}), "payload.mounts[0].content.taskId: "),
        (json!({"file": "a", "content": {"url": "http://a", "sha256": "XY"}}), "payload.mounts[0].content.sha256: 64"),
        (json!({"file": "a", "content": {"raw": "x"}, "mode": 7}), "payload.mounts[0].mode: unknown field"),
    ];
    for (mount, message) in cases {
        let refusal = refused(&with(json!({"mounts": [mount]})));
        assert!(refusal.starts_with(message), "{refusal}\n  instead of {message}");
    }
}

#[test]
fn a_docker_worker_payload_is_told_by_its_image() {
    let payload = json!({
        "image": {"type": "docker-image", "name": "debian:12"},
        "command": ["true"],
        "maxRunTime": 60,
        "log": "public/logs/mine.log",
        "cache": {"lander-checkouts": "/builds/checkouts"},
        "artifacts": {"public/build": {"type": "directory", "path": "/builds/out"}},
        "features": {"chainOfTrust": true},
    });
    let Payload::Docker(docker) = Payload::parse(&payload).unwrap() else { panic!("no docker payload") };
    assert_eq!(docker.image, Image::Registry("debian:12".to_owned()));
    assert_eq!(docker.backing_log, "public/logs/mine_backing.log");
}

#[test]
fn docker_payloads_are_checked_too() {
    let docker = |changes: Value| {
        let mut payload = with(changes);
        payload["command"] = json!(["true"]);
        payload.as_object_mut().unwrap().entry("image").or_insert(json!("debian:12"));
        refused(&payload)
    };
    let cases = [
        (json!({"image": "--privileged"}), "payload.image: \"--privileged\" is no image's name"),
        (json!({"image": {"type": "task-image", "path": "public/i.tar"}}), "payload.image: this is no image"),
        (json!({"cache": {"a": "relative"}}), "payload.cache.a: an absolute path is needed"),
        (
            json!({"capabilities": {"devices": {"kvm": true}}}),
            "payload.capabilities.devices.kvm: this worker passes no",
        ),
        (
            json!({"artifacts": {"public/a": {"type": "file", "path": "a"}}}),
            "payload.artifacts.public/a.path: an absolute",
        ),
        (json!({"mounts": []}), "payload.mounts: unknown field `mounts`"),
    ];
    for (changes, message) in cases {
        let refusal = docker(changes);
        assert!(refusal.starts_with(message), "{refusal}\n  instead of {message}");
    }
}
