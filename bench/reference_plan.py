"""The reference package's way from a stored graph to final definitions for some labels, with nothing looked up.

    reference_plan.py DIRECTORY

Does what its action `add-new-jobs` does between downloading and createTask: read the graph, take the closure,
optimise with an empty index, and finish every definition.
"""

import copy
import json
import os
import sys

import taskgraph.optimize.base as base
from taskgraph.actions.util import update_dependencies, update_parent
from taskgraph.parameters import Parameters
from taskgraph.taskgraph import TaskGraph
from taskgraph.util import json as taskgraph_json
from taskgraph.util import yaml
from taskgraph.util.parameterization import resolve_timestamps
from taskgraph.util.time import current_json_time


def main(directory):
    os.environ.setdefault("TASKCLUSTER_ROOT_URL", "https://tc.test")
    os.environ["TASK_ID"] = "KfWPc0C0TYCh3cQEJAiFtA"
    base.find_task_id_batched = lambda paths: {}
    base.status_task_batched = lambda ids: {}
    with open(os.path.join(directory, "full-task-graph.json")) as file:
        _, full = TaskGraph.from_json(taskgraph_json.load(file))
    with open(os.path.join(directory, "label-to-taskid.json")) as file:
        existing = json.load(file)
    with open(os.path.join(directory, "parameters.yml")) as file:
        parameters = Parameters(strict=False, **yaml.load_stream(file))
    with open(os.path.join(directory, "labels.json")) as file:
        labels = set(json.load(file))

    # From here on as in taskgraph.actions.util.create_tasks.
    decision = "TADoGLV5RUWQYivg1ReyTw"
    full = copy.deepcopy(full)
    target = full.graph.transitive_closure(labels)
    target = TaskGraph({label: full[label] for label in target.nodes}, target)
    target.for_each_task(update_parent)
    target.for_each_task(update_dependencies)
    optimized, label_to_taskid = base.optimize_task_graph(
        target, labels, parameters, labels, decision, existing_tasks=existing
    )
    now = current_json_time(datetime_format=True)
    created = {}
    for task_id, task in optimized.tasks.items():
        definition = task.task
        if not any(id in optimized.tasks for id in definition.get("dependencies", [])):
            definition.setdefault("dependencies", []).append(decision)
        definition["taskGroupId"] = decision
        definition["schedulerId"] = "lander-level-3"
        created[task_id] = resolve_timestamps(now, definition)
    print(len(created), sum(len(json.dumps(body)) for body in created.values()))


if __name__ == "__main__":
    main(sys.argv[1])
