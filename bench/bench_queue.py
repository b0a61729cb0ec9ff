"""The embedded queue under load: createTask beside the reference package's create_tasks, and listing a big group.

Both clients speak to one `taskgraft up` over HTTP, in alternating runs; each createTask is on disk before it is
answered. Prints tasks a second for each run, minimum, median and maximum, and the ratio of the medians.
"""

import base64
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RUNS = 9
OURS, THEIRS, IN_FLIGHT, GROUP_SIZE = 5000, 500, 50, 5000

REFERENCE = """
import datetime, json, os, sys, time, logging
from taskgraph import create
from taskgraph.graph import Graph
from taskgraph.task import Task
from taskgraph.taskgraph import TaskGraph
from slugid import nice
group, count = sys.argv[1], int(sys.argv[2])
body = json.loads(sys.argv[3])
tasks = {}
for n in range(count):
    task = Task(kind="test", label=f"test-{n}", attributes={}, task=dict(body))
    task.task_id = nice()
    tasks[task.task_id] = task
graph = TaskGraph(tasks, Graph(frozenset(tasks), frozenset()))
labels = {t.label: i for i, t in tasks.items()}
start = time.perf_counter()
create.create_tasks({"trust-domain": "bench"}, graph, labels, {"level": "1"}, group)
print(json.dumps({"tasks": count, "seconds": time.perf_counter() - start}))
"""


def slugid():
    raw = bytearray(uuid.uuid4().bytes)
    raw[0] &= 0x7F
    return base64.urlsafe_b64encode(bytes(raw)).decode()[:22]


def start_server(folder):
    env_file = Path(folder) / "env"
    server = subprocess.Popen(
        [ROOT / "target/release/taskgraft", "up", "--data-dir", Path(folder) / "data", "--env-file", env_file, "--no-worker"],
        stdout=subprocess.DEVNULL,
    )
    while not env_file.exists():
        if server.poll() is not None:
            sys.exit("taskgraft up ended before it was ready")
        time.sleep(0.05)
    exported = re.findall(r"^export (\w+)='?([^'\n]*)'?$", env_file.read_text(), re.M)
    return server, {**os.environ, **dict(exported)}


def run(command, env):
    done = subprocess.run(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"{command[0]} failed: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def row(name, values, unit):
    print(f"  {name:44} {min(values):9.2f} {statistics.median(values):9.2f} {max(values):9.2f}  {unit}")


def main():
    subprocess.run(
        ["cargo", "build", "--release", "--locked", "--package", "taskgraft-client", "--example", "queue_load"], cwd=ROOT, check=True
    )
    load = str(ROOT / "target/release/examples/queue_load")
    with tempfile.TemporaryDirectory() as folder:
        server, env = start_server(folder)
        try:
            first = slugid()
            run([load, "create", first, "1", "1"], env)
            body = {
                "taskQueueId": "bench/linux", "priority": "low", "created": {"relative-datestamp": "0 seconds"},
                "deadline": {"relative-datestamp": "1 day"}, "expires": {"relative-datestamp": "28 days"},
                "metadata": {"name": "test-linux64-unit-3", "description": "Unit tests, chunk 3", "owner": "ann@example.com",
                             "source": "https://example.com/lander/file/taskcluster/kinds/test"},
                "payload": {"command": [["/bin/sh", "-c", "true"]], "maxRunTime": 3600,
                            "env": {f"LANDER_SETTING_{n}": "a value of usual length" for n in range(30)}},
                "tags": {"kind": "test", "label": "test-linux64-unit-3"},
                "extra": {"treeherder": {"symbol": "3", "groupSymbol": "U", "machine": {"platform": "linux64"}, "tier": 1}},
            }
            ours, theirs, lists = [], [], []
            for _ in range(RUNS):
                group = slugid()
                figures = run([load, "create", group, str(OURS), str(IN_FLIGHT)], env)
                ours.append(figures["tasks"] / figures["seconds"])
                lists.append(run([load, "list", group], env)["seconds"])
                # The reference's tasks depend on their decision task: one that is pending stands in for it.
                decision = decision_task(env)
                figures = run([sys.executable, "-c", REFERENCE, decision, str(THEIRS), json.dumps(body)], env)
                theirs.append(figures["tasks"] / figures["seconds"])
        finally:
            server.terminate()
            server.wait()
    print(f"  {RUNS} alternating runs                                    min    median       max")
    row(f"createTask, {IN_FLIGHT} in flight, {OURS} tasks", ours, "tasks/s")
    row(f"the reference's create_tasks, {THEIRS} tasks", theirs, "tasks/s")
    print(f"  ratio of the medians: {statistics.median(ours) / statistics.median(theirs):.1f}")
    row(f"listTaskGroup, all of {GROUP_SIZE} tasks", lists, "s")


def decision_task(env):
    import taskcluster

    queue = taskcluster.Queue({
        "rootUrl": env["TASKCLUSTER_ROOT_URL"],
        "credentials": {"clientId": env["TASKCLUSTER_CLIENT_ID"], "accessToken": env["TASKCLUSTER_ACCESS_TOKEN"]},
    })
    task_id = slugid()
    queue.createTask(task_id, {
        "taskQueueId": "bench/linux", "schedulerId": "bench-level-1",
        "created": taskcluster.stringDate(taskcluster.fromNow("0 seconds")),
        "deadline": taskcluster.stringDate(taskcluster.fromNow("1 day")),
        "metadata": {"name": "decision", "description": "", "owner": "ann@example.com", "source": "https://example.com"},
        "payload": {},
    })
    return task_id


if __name__ == "__main__":
    main()
