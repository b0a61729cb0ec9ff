"""Writes the artifacts of a made-up decision task, with as many tasks as wanted.

    make_graph.py TASKS DIRECTORY

The graph looks like that of a browser: mostly tests, which need builds, which need toolchains, which need fetched
sources; all of them need docker images. A task takes about 6 kB. The same number of tasks always gives the same bytes,
in the layout that the reference package writes. Beside full-task-graph.json there are parameters.yml, an empty
label-to-taskid.json, and labels.json with ten tests.
"""

import json
import os
import sys

LABELS = 10


def pretty(label, task):
    """The lines of one entry, without what stands around and between entries."""
    return json.dumps({label: task}, sort_keys=True, indent=2, separators=(",", ": "))[2:-2]


def template(kind, dependencies, optimization, payload):
    """A task in which @ stands for its number, and @NAME for a dependency's label."""
    label = f"{kind}-@"
    task = {
        "label": label,
        "kind": kind,
        "description": f"A {kind} that was made up",
        "attributes": {
            "kind": kind,
            "run_on_projects": ["all"],
            "build_platform": "linux64",
            "cached_task": {"digest": "5f" * 32, "name": label, "type": f"{kind}.v1"},
        },
        "dependencies": {name: f"@{name}" for name in dependencies},
        "soft_dependencies": [],
        "if_dependencies": [],
        "optimization": optimization,
        "task": {
            "provisionerId": "lander-3",
            "workerType": "b-linux",
            "priority": "low",
            "created": {"relative-datestamp": "0 seconds"},
            "deadline": {"relative-datestamp": "1 day"},
            "expires": {"relative-datestamp": "1 year"},
            "metadata": {
                "name": label,
                "description": f"A {kind} that was made up",
                "owner": "ann@lander.test",
                "source": "https://lander.test/lander/file/taskcluster/kinds/kind.yml",
            },
            "routes": [f"index.lander.v2.lander.latest.{kind}.@", "tc-treeherder.v2.lander.@"],
            "scopes": ["secrets:get:project/lander/level-3"],
            "tags": {"kind": kind, "label": label, "createdForUser": "ann@lander.test"},
            "extra": {"treeherder": {"symbol": "T(@)", "platform": "linux64/opt", "tier": 1}, "index": {"rank": 1}},
            "payload": payload,
        },
    }
    return label, pretty(label, task)


def payload(names, filler):
    return {
        "image": {"path": "public/image.tar.zst", "taskId": {"task-reference": "<image>"}, "type": "task-image"}
        if "image" in names
        else "lander/image_builder:5.1.0",
        "command": ["/usr/local/bin/run-task", "--", "bash", "-cx", f"make {' '.join(names)}"],
        "maxRunTime": 3600,
        "features": {"taskclusterProxy": True, "chainOfTrust": True},
        "env": {
            "MOZ_FETCHES": {
                "task-reference": json.dumps(
                    [{"artifact": "public/build/x.tar.zst", "extract": True, "task": f"<{name}>"} for name in names]
                )
            },
            **{f"OPTION_{n:02}": f"the value of option {n} of a task that was made up" for n in range(filler)},
        },
        "artifacts": [
            {"name": f"public/{name}", "path": f"/builds/worker/{name}", "type": "directory"}
            for name in ("build", "logs", "test_info")
        ],
    }


def kinds(tasks):
    """Name, how many, names of dependencies with the kind that they are of, strategy, and size."""
    images, fetches, toolchains, builds = (max(2, tasks // part) for part in (600, 80, 50, 60))
    toolchain = {"image": "image", "fetch-1": "fetch"}
    build = {"image": "image", **{f"toolchain-{n}": "toolchain" for n in range(1, 5)}}
    test = {"image": "image", "build": "build", "toolchain-1": "toolchain"}
    indexed = {"index-search": ["lander.cache.level-3.v1.@.hash.5f5f"]}
    changed = {"skip-unless-changed": ["src/**", "tests/**/*.py"]}
    return {
        "image": (images, {}, indexed, 10),
        "fetch": (fetches, {"image": "image"}, indexed, 20),
        "toolchain": (toolchains, toolchain, indexed, 30),
        "build": (builds, build, changed, 50),
        "test": (tasks - images - fetches - toolchains - builds, test, None, 42),
    }


def write(tasks, directory):
    made = kinds(tasks)
    templates, entries = {}, []
    for kind, (count, dependencies, optimization, filler) in made.items():
        templates[kind] = template(kind, dependencies, optimization, payload(list(dependencies), filler))
        entries += [(f"{kind}-{n}", kind, n) for n in range(count)]
    entries.sort()
    with open(os.path.join(directory, "full-task-graph.json"), "w") as file:
        for at, (_, kind, n) in enumerate(entries):
            text = templates[kind][1]
            # Longer names first: one may begin another.
            for slot, name in enumerate(sorted(made[kind][1], key=len, reverse=True)):
                needed = made[kind][1][name]
                # Large strides, so that neighbours need different things.
                text = text.replace(f"@{name}", f"{needed}-{(n * 7919 + slot * 104729) % made[needed][0]}")
            file.write(("{\n" if at == 0 else ",\n") + text.replace("@", str(n)))
        file.write("\n}")
    tests = made["test"][0]
    chosen = [f"test-{n * tests // LABELS}" for n in range(LABELS)]
    parameters = {
        "project": "lander", "level": "3", "head_rev": "a" * 40, "base_rev": "b" * 40, "pushlog_id": "1",
        "head_repository": "https://lander.test/lander", "owner": "ann@lander.test", "files_changed": ["src/main.c"],
        "tasks_for": "push", "head_ref": "main", "repository_type": "git", "do_not_optimize": [], "existing_tasks": {},
    }
    for name, value in (("labels.json", chosen), ("label-to-taskid.json", {}), ("parameters.yml", parameters)):
        with open(os.path.join(directory, name), "w") as file:
            json.dump(value, file, indent=2)


if __name__ == "__main__":
    os.makedirs(sys.argv[2], exist_ok=True)
    write(int(sys.argv[1]), sys.argv[2])
