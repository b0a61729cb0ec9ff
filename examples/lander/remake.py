#!/usr/bin/env python3
"""Makes the decision artifacts of both pushes with the reference package: remake.py [--check]

Without an argument it rewrites taskcluster/digests.yml and pushes/*/; with --check it makes them
in a temporary directory and prints what differs (exit status 1). Nothing in it depends on the
day, the machine or a network: dates, revisions and task ids come from pushes/*/push.json, the
index holds what push 1 cached, and there is no repository to look into.
"""

import base64
import difflib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT / "ci"))
import archive  # noqa: E402

PUSHES = ("1", "2")
REPOSITORY = "https://github.com/example/lander"
# What goes into each cached task, and so decides whether an earlier one will do.
INPUTS = {
    "fetch_terrain": ["ci/fetch_terrain.py"],
    "toolchain_asan_runtime": ["ci/toolchain-asan-runtime.sh", "tools/guard.c", "tools/guard.h"],
    "toolchain_cc": ["ci/toolchain-cc.sh", "tools/lander-cc", "tools/terrainc.c"],
    "toolchain_lint": ["ci/toolchain-lint.sh", "tools/lint.py"],
}
# The decision's artifacts that are kept; it also writes a log and two scripts of the package's own.
KEPT = (
    "actions.json",
    "full-task-graph.json",
    "label-to-taskid.json",
    "parameters.yml",
    "runnable-jobs.json",
    "target-tasks.json",
    "task-graph.json",
)


def digests(tree):
    """The text of taskcluster/digests.yml for a tree {path: file}."""
    lines = ["# Digests of what goes into cached tasks; remake.py writes this file.\n"]
    for name, paths in INPUTS.items():
        digest = hashlib.sha256()
        for path in paths:
            data = tree[path].read_bytes()
            digest.update(f"{path} {len(data)}\n".encode() + data)
        lines.append(f'{name}: "{digest.hexdigest()}"\n')
    return "".join(lines)


def task_id(push, number):
    """The number-th task id of a push: a v4 slugid drawn from nothing but these two."""
    data = bytearray(hashlib.sha256(f"lander:{push}:{number}".encode()).digest()[:16])
    data[0] &= 0x7F
    data[6] = data[6] & 0x0F | 0x40
    data[8] = data[8] & 0x3F | 0x80
    return base64.urlsafe_b64encode(bytes(data)).decode().rstrip("=")


def parameters_of(push, version):
    """The parameters that `ci/decision.sh` would give the reference for this push."""
    return {
        "base_ref": "main",
        "base_repository": REPOSITORY,
        "base_rev": push["base_revision"],
        "build_date": push["pushdate"],
        "build_number": 1,
        "do_not_optimize": [],
        "enable_always_target": True,
        "existing_tasks": {},
        "files_changed": push["files_changed"],
        "filters": ["target_tasks_method"],
        "head_ref": "main",
        "head_repository": REPOSITORY,
        "head_rev": push["revision"],
        "head_tag": "",
        "level": "3",
        "moz_build_date": time.strftime("%Y%m%d%H%M%S", time.gmtime(push["pushdate"])),
        "next_version": None,
        "optimize_strategies": None,
        "optimize_target_tasks": True,
        "owner": push["owner"],
        "project": "lander",
        "pushdate": push["pushdate"],
        "pushlog_id": push["pushlog_id"],
        "repository_type": "git",
        "target_tasks_method": "default",
        "tasks_for": "github-push",
        "version": version,
    }


def decision_task(tree, push):
    """The decision task's definition: .taskcluster.yml rendered as for a push event."""
    import jsone
    import yaml

    template = yaml.safe_load((tree / ".taskcluster.yml").read_text(encoding="utf-8"))
    context = {
        "tasks_for": "github-push",
        "as_slugid": lambda name: push["decision_task_id"],
        "now": time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(push["pushdate"])),
        "event": {
            "ref": "refs/heads/main",
            "before": push["base_revision"],
            "after": push["revision"],
            "pushlog_id": push["pushlog_id"],
            "pusher": {"email": push["owner"]},
            "head_commit": {"message": push["message"]},
        },
    }
    (task,) = jsone.render(template, context)["tasks"]
    return task


def decide(number, tree, index, out):
    """Runs the reference's decision for push `number` in `tree`; `index` is {path: task id}."""
    from taskgraph import decision
    from taskgraph.optimize import base, strategies
    from taskgraph.parameters import Parameters

    push = json.loads((ROOT / "pushes" / number / "push.json").read_text(encoding="utf-8"))
    version = (tree / "version.txt").read_text(encoding="utf-8").strip()
    drawn = iter(range(1, 10_000))

    def found(paths):
        return {path: index[path] for path in paths if path in index}

    def statuses(ids):
        return {each: {"state": "completed", "expires": "2099-01-01T00:00:00.000Z"} for each in ids}

    os.environ.update(TASK_ID=push["decision_task_id"], TASKGRAPH_SERIAL="1")
    os.chdir(tree)
    with (
        mock.patch.object(base, "slugid", lambda: task_id(number, next(drawn))),
        mock.patch.object(base, "find_task_id_batched", found),
        mock.patch.object(base, "status_task_batched", statuses),
        mock.patch.object(strategies, "find_task_id", None),  # every look-up is a batched one
        mock.patch.object(decision, "create_tasks", lambda *args, **kwargs: None),
    ):
        decision.taskgraph_decision({"root": "taskcluster"}, Parameters(**parameters_of(push, version)))

    for name in KEPT:
        shutil.copyfile(tree / "artifacts" / name, out / name)
    # The reference writes this one in the order of a set.
    targets = json.loads((out / "target-tasks.json").read_text(encoding="utf-8"))
    (out / "target-tasks.json").write_text(json.dumps(sorted(targets), indent=2), encoding="utf-8")
    text = json.dumps(decision_task(tree, push), indent=2, sort_keys=True)
    (out / "decision-task.json").write_text(text, encoding="utf-8")


def cached(out):
    """{index path: task id} of what a push leaves in the index when all of its tasks complete."""
    graph = json.loads((out / "task-graph.json").read_text(encoding="utf-8"))
    routes = {}
    for identifier, task in graph.items():
        for route in task["task"]["routes"]:
            if route.startswith("index."):
                routes[route.removeprefix("index.")] = identifier
    return routes


def make(target):
    """Writes everything that is committed into `target`, laid out as this directory."""
    (target / "taskcluster").mkdir(parents=True)
    (target / "taskcluster" / "digests.yml").write_text(digests(archive.tree("2")), encoding="utf-8")
    index = {}
    for push in PUSHES:
        out = target / "pushes" / push
        out.mkdir(parents=True)
        with tempfile.TemporaryDirectory() as directory:
            tree = Path(directory) / "lander"
            for name, path in archive.tree(push).items():
                (tree / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, tree / name)
            (tree / "taskcluster" / "digests.yml").write_text(digests(archive.tree(push)), encoding="utf-8")
            (Path(directory) / "index.json").write_text(json.dumps(index), encoding="utf-8")
            # A process each: the reference takes only one project a process.
            command = [sys.executable, str(ROOT / "remake.py"), "--decide", push, str(tree), str(out)]
            environment = {key: value for key, value in os.environ.items() if not key.startswith("TASKCLUSTER_")}
            done = subprocess.run(command, capture_output=True, text=True, env=environment)
            if done.returncode:
                sys.exit(f"remake.py: push {push} failed:\n{done.stdout}{done.stderr}")
        index.update(cached(out))


def differences(made):
    """Lines of a diff between what is committed and what was made; none if they are the same."""
    for path in sorted(path for path in made.rglob("*") if path.is_file()):
        name = path.relative_to(made)
        new = path.read_text(encoding="utf-8")
        old = (ROOT / name).read_text(encoding="utf-8") if (ROOT / name).exists() else ""
        if old != new:
            lines = difflib.unified_diff(
                old.splitlines(), new.splitlines(), f"committed {name}", f"made {name}", lineterm="", n=1
            )
            yield from list(lines)[:40]


def main(arguments):
    if arguments[:1] == ["--decide"]:
        number, tree, out = arguments[1:]
        index = json.loads((Path(tree).parent / "index.json").read_text(encoding="utf-8"))
        decide(number, Path(tree), index, Path(out))
        return 0
    if arguments not in ([], ["--check"]):
        print(__doc__.splitlines()[0], file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as directory:
        made = Path(directory) / "made"
        make(made)
        if arguments:
            found = list(differences(made))
            same = "examples/lander: the committed decision artifacts are the reference's"
            print("\n".join(found) if found else same)
            return 1 if found else 0
        shutil.copytree(made, ROOT, dirs_exist_ok=True)
    print("examples/lander: decision artifacts remade")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
