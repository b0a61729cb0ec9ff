"""Creates tasks with the reference package's create_tasks, as `queue_load create` does with taskgraft's client.

    reference_create.py GROUP COUNT

Takes the usual TASKCLUSTER_ variables; prints {"tasks": N, "seconds": S}, timed around create_tasks alone.
"""

import json
import sys
import time

from slugid import nice as slugid
from taskgraph import create
from taskgraph.graph import Graph
from taskgraph.task import Task
from taskgraph.taskgraph import TaskGraph

BODY = {
    "taskQueueId": "bench/linux",
    "priority": "low",
    "created": {"relative-datestamp": "0 seconds"},
    "deadline": {"relative-datestamp": "1 day"},
    "expires": {"relative-datestamp": "28 days"},
    "metadata": {
        "name": "test-linux64-unit-3",
        "description": "Unit tests, chunk 3",
        "owner": "ann@example.com",
        "source": "https://example.com/lander/file/taskcluster/kinds/test",
    },
    "payload": {
        "command": [["/bin/sh", "-c", "true"]],
        "maxRunTime": 3600,
        "env": {f"LANDER_SETTING_{n}": "a value of usual length" for n in range(30)},
    },
    "tags": {"kind": "test", "label": "test-linux64-unit-3"},
    "extra": {
        "treeherder": {"symbol": "3", "groupSymbol": "U", "machine": {"platform": "linux64"}, "tier": 1},
    },
}


def main():
    group, count = sys.argv[1], int(sys.argv[2])
    tasks = {}
    for n in range(count):
        task = Task(kind="test", label=f"test-{n}", attributes={}, task=dict(BODY))
        task.task_id = slugid()
        tasks[task.task_id] = task
    graph = TaskGraph(tasks, Graph(frozenset(tasks), frozenset()))
    labels = {task.label: task_id for task_id, task in tasks.items()}
    start = time.perf_counter()
    create.create_tasks({"trust-domain": "bench"}, graph, labels, {"level": "1"}, group)
    print(json.dumps({"tasks": count, "seconds": time.perf_counter() - start}))


if __name__ == "__main__":
    main()
