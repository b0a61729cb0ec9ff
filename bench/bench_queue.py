"""The embedded queue under load: createTask beside the reference package's create_tasks, and listing a whole group.

All speak to one `taskgraft up` over HTTP, in alternating runs; each task is on disk before its createTask is answered.
"""

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time

import slugid
import taskcluster

from measure import judged, ratio, row, wanted

HERE = os.path.dirname(os.path.abspath(__file__))
WORKSPACE = os.path.dirname(HERE)
TASKGRAFT = os.path.join(WORKSPACE, "target/release/taskgraft")
LOAD = os.path.join(WORKSPACE, "target/release/examples/queue_load")
RUNS = 9
OURS, THEIRS, IN_FLIGHT = 5000, 1000, 50
RATE = 5000


def start(directory):
    """A server on a free port, and the environment of its clients."""
    env_file = os.path.join(directory, "env")
    data = os.path.join(directory, "data")
    server = subprocess.Popen(
        [TASKGRAFT, "up", "--data-dir", data, "--env-file", env_file, "--no-worker"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while not os.path.exists(env_file):
        if server.poll() is not None:
            raise SystemExit("taskgraft up ended before it was ready")
        time.sleep(0.05)
    with open(env_file) as file:
        exported = re.findall(r"^export (\w+)='?([^'\n]*)'?$", file.read(), re.M)
    os.environ.update(exported)
    return server


def figures(*command):
    """What a load printed: how many tasks, in how many seconds."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)}\nended with {done.returncode}:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def thousand(figures):
    """Seconds for a thousand of its tasks."""
    return figures["seconds"] * 1000 / figures["tasks"]


def decision_task():
    """A decision task for the reference's tasks to depend on."""
    queue = taskcluster.Queue(taskcluster.optionsFromEnvironment())
    task_id = slugid.nice()
    definition = {
        "taskQueueId": "bench/linux",
        "schedulerId": "bench-level-1",
        "created": taskcluster.stringDate(taskcluster.fromNow("0 seconds")),
        "deadline": taskcluster.stringDate(taskcluster.fromNow("1 day")),
        "metadata": {"name": "decision", "description": "", "owner": "a@example.com", "source": "https://example.com"},
        "payload": {},
    }
    queue.createTask(task_id, definition)
    return task_id


def main():
    build = ["cargo", "build", "--release", "--locked", "--package", "taskgraft-client", "--example", "queue_load"]
    subprocess.run(build, cwd=WORKSPACE, check=True)
    ours, theirs, lists = [], [], []
    with tempfile.TemporaryDirectory() as directory:
        server = start(directory)
        try:
            for round in range(RUNS + 1):
                group = slugid.nice()
                created = figures(LOAD, "create", group, str(OURS), str(IN_FLIGHT))
                listed = figures(LOAD, "list", group)
                reference = os.path.join(HERE, "reference_create.py")
                made = figures(sys.executable, reference, decision_task(), str(THEIRS))
                if listed["tasks"] != OURS:
                    raise SystemExit(f"{listed['tasks']} of {OURS} tasks were listed")
                if round > 0:
                    ours.append(thousand(created))
                    theirs.append(thousand(made))
                    lists.append(listed["seconds"])
        finally:
            server.terminate()
            server.wait()
    rate = 1000 / statistics.median(ours)
    row("createTask, per 1,000", ours, f"{rate:.0f} tasks/s; {wanted(rate >= RATE, f'{RATE} tasks/s')}")
    row("reference's create_tasks, per 1,000", theirs, f"{1000 / statistics.median(theirs):.0f} tasks/s")
    ratio("taskgraft / reference", ours, theirs, 0.1)
    row(f"listTaskGroup, all of {OURS}", lists, wanted(statistics.median(lists) < 0.3, "under 0.3 s"))


if __name__ == "__main__":
    judged(main)
