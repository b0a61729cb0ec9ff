"""Writes the artifacts of a made-up decision task, with as many tasks as wanted.

    make_graph.py TASKS DIRECTORY

The graph looks like that of a browser: mostly tests, which need builds (some of them signed), which need toolchains,
some of which need other toolchains, which need fetched sources; most of them need docker images. With 40,000 tasks it
has about 210,000 dependencies, 5.4 million JSON values and 245 MB, and ten tests need about 90 tasks, seven deep. The
same number of tasks always gives the same bytes, in the layout that the reference package writes. Beside
full-task-graph.json there are parameters.yml, an empty label-to-taskid.json, and labels.json with ten tests.
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
    return pretty(label, task)


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
            **{f"OPTION_{n:02}": f"what option {n} is set to here" for n in range(filler)},
        },
        "artifacts": [
            {"name": f"public/{name}", "path": f"/builds/worker/{name}", "type": "directory"}
            for name in ("build", "logs", "test_info")
        ],
    }


def image(n, counts):
    return {"image": ("image", n % counts["image"])}


def toolchains(names, n, counts):
    """Some of the few toolchains that nearly everything needs."""
    return {f"toolchain-{slot}": ("toolchain", (n + slot) % min(POPULAR, counts["toolchain"] // 2)) for slot in names}


def far(slot, n, count):
    """A number far from that of the neighbours."""
    return (n * 7919 + slot * 104729) % count


def fetch_needs(n, counts):
    return image(0, counts)


def toolchain_needs(n, counts):
    fetches = {f"fetch-{slot}": ("fetch", far(slot, n, counts["fetch"])) for slot in range(1 + n % 3)}
    # The second half is made with what the first half makes.
    made_with = toolchains(range(1 + n % 2), n, counts) if n >= counts["toolchain"] // 2 else {}
    return {**image(n, counts), **fetches, **made_with}


def build_needs(n, counts):
    others = {f"toolchain-{slot}": ("toolchain", far(slot, n, counts["toolchain"])) for slot in (7, 8)}
    return {**image(n, counts), **toolchains(range(3 + n % 2), n, counts), **others}


def signing_needs(n, counts):
    return {"build": ("build", n)}


def repackage_needs(n, counts):
    return {**image(n, counts), **toolchains([0], n, counts), "build": ("build", n), "signing": ("signing", n)}


def test_needs(n, counts):
    of = n * 7 % counts["build"]
    needs = {**toolchains(range(2 + n % 4), of, counts), "build": ("build", of)}
    if n % 3 == 0:
        needs["signing"] = ("signing", of)
    return needs if n % 3 == 1 else {**needs, **image(n % 2, counts)}


def changed(count):
    return {"skip-unless-changed": [f"src/{n}/**/*.c" for n in range(count)]}


# Name: one of so many tasks is of this kind; what a task needs; strategies, of which a task has one; size.
INDEXED = {"index-search": [f"lander.cache.level-{level}.v1.@.hash.{'5f' * 32}" for level in (3, 2, 1)]}
KINDS = {
    "image": (600, lambda n, counts: {}, [INDEXED], 25),
    "fetch": (80, fetch_needs, [INDEXED], 25),
    "toolchain": (50, toolchain_needs, [INDEXED], 35),
    "build": (66, build_needs, [None, changed(5), None], 45),
    "signing": (66, signing_needs, [None], 30),
    "repackage": (66, repackage_needs, [None], 30),
    "test": (None, test_needs, [changed(3), None, changed(1), None, INDEXED], 50),
}
POPULAR = 16


def write(tasks, directory):
    counts = {kind: max(2, tasks // part) for kind, (part, _, _, _) in KINDS.items() if part}
    counts["test"] = tasks - sum(counts.values())
    entries = sorted((f"{kind}-{n}", kind, n) for kind, count in counts.items() for n in range(count))
    templates = {}
    with open(os.path.join(directory, "full-task-graph.json"), "w") as file:
        for at, (_, kind, n) in enumerate(entries):
            _, needs_of, strategies, filler = KINDS[kind]
            needs = needs_of(n, counts)
            strategy = n % len(strategies)
            shape = (kind, tuple(needs), strategy)
            if shape not in templates:
                templates[shape] = template(kind, list(needs), strategies[strategy], payload(list(needs), filler))
            text = templates[shape]
            # Longer names first: one may begin another.
            for name in sorted(needs, key=len, reverse=True):
                text = text.replace(f"@{name}", "{}-{}".format(*needs[name]))
            file.write(("{\n" if at == 0 else ",\n") + text.replace("@", str(n)))
        file.write("\n}")
    # Two each of five builds.
    chosen = [f"test-{n // 2 + n % 2 * counts['build']}" for n in range(LABELS)]
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
