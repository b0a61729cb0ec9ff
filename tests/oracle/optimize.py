"""Optimises made-up graphs with the reference package, for comparison.

    optimize.py CASES RESULTS

CASES holds a JSON list, as `taskgraft_testkit::graphs::Case` writes it; RESULTS gets a JSON list with what became of
each: the reasons, the texts of task-graph.json before and after morphs, label-to-taskid, and the bodies that would be
sent to createTask; or the error. Nothing goes over the network: the index, the queue, the clock and new ids are
stand-ins. Python iterates over sets in an order that changes from run to run; where the reference does that and it
matters, sets are read in sorted order here.
"""

import base64
import collections
import datetime
import hashlib
import json
import logging
import os
import sys

import taskgraph.create
import taskgraph.morph
import taskgraph.optimize.base as base
import taskgraph.optimize.strategies as strategies
import taskgraph.util.taskcluster
from taskgraph.actions.util import update_dependencies, update_parent
from taskgraph.graph import Graph
from taskgraph.parameters import Parameters
from taskgraph.taskgraph import TaskGraph
from taskgraph.util.copy import deepcopy
from taskgraph.util.parameterization import resolve_timestamps

ROOT_URL = "https://tc.test"
PROXY_URL = "http://taskcluster"


class GraphConfig(dict):
    """The reference caches by graph configuration."""

    __hash__ = object.__hash__
    __eq__ = object.__eq__


class Now(datetime.datetime):
    """A clock that stands still; set for each case."""

    moment = None

    @classmethod
    def now(cls, tz=None):
        return cls.moment


class Clock:
    """What the reference takes for the module `datetime`."""

    timezone = datetime.timezone
    datetime = Now


def id_of(text):
    digest = bytearray(hashlib.sha256(text.encode()).digest()[:16])
    digest[0] &= 0x7F
    return base64.urlsafe_b64encode(bytes(digest)).rstrip(b"=").decode()


def visit(graph, reverse):
    """`Graph._visit`, with its sets in sorted order."""
    forward, backward = graph.links_and_reverse_links_dict()
    dependencies, dependents = (backward, forward) if reverse else (forward, backward)
    waiting = {node: len(dependencies[node]) for node in graph.nodes}
    queue = collections.deque(sorted(node for node, count in waiting.items() if count == 0))
    while queue:
        node = queue.popleft()
        yield node
        for dependent in sorted(dependents[node]):
            waiting[dependent] -= 1
            if waiting[dependent] == 0:
                queue.append(dependent)


def strategy(tree):
    if isinstance(tree, str):
        return base.registry[tree]
    name, parts = tree
    classes = {"any": base.Any, "all": base.All, "not": base.Not, "alias": base.Alias}
    return classes[name](*map(strategy, parts))


class Services:
    """The index and the queue of one case, and the ids that are drawn in it."""

    def __init__(self, case):
        self.index = case["index"]
        self.statuses = case["statuses"]
        self.drawn = 0
        self.asked = []

    def find_batched(self, paths):
        self.asked = sorted(paths)
        return {path: self.index[path] for path in paths if path in self.index}

    def status_batched(self, ids):
        return {id: self.statuses[id] for id in ids if id in self.statuses}

    def slugid(self):
        self.drawn += 1
        return id_of(f"slug:{self.drawn - 1}")


def stand_in(services, now):
    base.find_task_id_batched = services.find_batched
    base.status_task_batched = services.status_batched
    base.slugid = taskgraph.morph.slugid = taskgraph.create.slugid = services.slugid
    strategies.find_task_id = lambda path: services.index[path]
    strategies.status_task = lambda id: services.statuses[id]
    Now.moment = now


def text(graph):
    return json.dumps(graph.to_json(), sort_keys=True, indent=2, separators=(",", ": "))


def created(case, config, graph, label_to_taskid, params, now):
    """What createTask would be sent: for each label all its bodies, which are the same."""
    bodies = collections.defaultdict(list)

    def create_task(session, task_id, label, task_def):
        bodies[label].append(resolve_timestamps(now, task_def))

    taskgraph.create.create_task = create_task
    taskgraph.create.create_tasks(config, graph, label_to_taskid, params, case["decision"])
    return bodies


def run(case):
    now = datetime.datetime.fromisoformat(case["now"].replace("Z", "+00:00"))
    services = Services(case)
    stand_in(services, now)
    params = Parameters(strict=True, **case["params"])
    config = GraphConfig(case["config"])
    _, full = TaskGraph.from_json(deepcopy(case["graph"]))
    target = full.graph.transitive_closure(set(case["targets"]))
    target = TaskGraph({label: full.tasks[label] for label in sorted(target.nodes)}, target)
    if case["action"]:
        os.environ["TASK_ID"] = case["action"]
        target.for_each_task(update_parent)
        target.for_each_task(update_dependencies)
    reasons = {}
    base._log_optimization = lambda verb, counts, why=None: reasons.update(why or {})
    labels = set(target.tasks)
    optimized, label_to_taskid = base.optimize_task_graph(
        target,
        set(case["requested"]),
        params,
        set(case["do_not_optimize"]),
        case["decision"],
        existing_tasks=case["existing"],
        strategy_override={name: strategy(tree) for name, tree in case["strategies"].items()},
    )
    result = {
        "labels": sorted(labels),
        "asked": services.asked,
        "reasons": reasons,
        "label_to_taskid": dict(label_to_taskid),
        "optimized": text(optimized),
    }
    if not case["action"]:
        optimized, label_to_taskid = taskgraph.morph.morph(optimized, label_to_taskid, params, config)
    result["morphed"] = text(optimized)
    result["created"] = created(case, config, optimized, label_to_taskid, params, now)
    return result


def main():
    cases, results = sys.argv[1:]
    logging.disable(logging.CRITICAL)
    os.environ.update(TASKCLUSTER_ROOT_URL=ROOT_URL, TASKCLUSTER_PROXY_URL=PROXY_URL)
    os.environ.pop("TASK_ID", None)
    Graph._visit = visit
    base.datetime = Clock
    taskgraph.create.testing = True
    taskgraph.create.get_session = lambda: None
    made = []
    with open(cases) as f:
        for case in json.load(f):
            try:
                made.append(run(case))
            except Exception as error:
                made.append({"error": f"{type(error).__name__}: {error.args[0]}"})
            finally:
                os.environ.pop("TASK_ID", None)
    with open(results, "w") as f:
        json.dump(made, f)


if __name__ == "__main__":
    main()
