"""How long it takes to plan ten jobs: load, closure, optimisation and final definitions, with nothing looked up.

Compared with the reference package doing the same, and with counting the newlines of the same file, which is about as
fast as a file can be looked at. Then how it grows with the graph. Whole processes, warm files, an empty cache.
"""

import json
import os
import subprocess
import sys
import tempfile

from measure import alternate, judged, peak_anonymous, ratio, row, wanted

HERE = os.path.dirname(os.path.abspath(__file__))
WORKSPACE = os.path.dirname(HERE)
TASKGRAFT = os.path.join(WORKSPACE, "target/release/taskgraft")
DECISION = "TADoGLV5RUWQYivg1ReyTw"
TASKS = 40_000
GROWTH = (1_000, 10_000, 40_000, 160_000)
RUNS = 15
REFERENCE_RUNS = 9
MEMORY_GOAL = 32


def graph(tasks):
    """The directory with the artifacts of a decision of so many tasks; made once by each version of the generator."""
    directory = os.path.join(WORKSPACE, f"target/bench/graph-{tasks}")
    generator, last = os.path.join(HERE, "make_graph.py"), os.path.join(directory, "parameters.yml")
    if not os.path.exists(last) or os.path.getmtime(last) < os.path.getmtime(generator):
        os.makedirs(directory, exist_ok=True)
        subprocess.run([sys.executable, generator, str(tasks), directory], check=True)
    return directory


def taskgraft(directory):
    with open(os.path.join(directory, "labels.json")) as file:
        labels = json.load(file)
    options = ["--offline", "--artifacts", directory, "--decision-id", DECISION, "--json"]
    return [TASKGRAFT, "plan", *labels, *options]


def newlines(directory):
    return ["wc", "-l", os.path.join(directory, "full-task-graph.json")]


def main():
    with tempfile.TemporaryDirectory() as home:
        # A home of its own, so that neither a cache nor stored plans of the user matter.
        os.environ.update(HOME=home, XDG_CACHE_HOME=home, XDG_STATE_HOME=home, TASKCLUSTER_ROOT_URL="https://tc.test")
        directory = graph(TASKS)
        size = os.path.getsize(os.path.join(directory, "full-task-graph.json")) / 1e6
        print(f"10 labels of {TASKS} tasks, {size:.0f} MB")
        commands = {"taskgraft plan": taskgraft(directory), "counting newlines": newlines(directory)}
        close = alternate(commands, RUNS)
        reference = [sys.executable, os.path.join(HERE, "reference_plan.py"), directory]
        far = alternate({"taskgraft plan": commands["taskgraft plan"], "reference": reference}, REFERENCE_RUNS)
        row("taskgraft plan", close["taskgraft plan"])
        row("counting newlines", close["counting newlines"])
        row("reference package", far["reference"])
        ratio("taskgraft / reference", far["taskgraft plan"], far["reference"], 0.006)
        ratio("taskgraft / counting newlines", close["taskgraft plan"], close["counting newlines"], 2)
        memory = peak_anonymous(commands["taskgraft plan"])
        verdict = wanted(memory <= MEMORY_GOAL, f"at most {MEMORY_GOAL} MiB")
        print(f"  peak anonymous memory              {memory:.1f} MiB; {verdict}")
        print("as the graph grows")
        for tasks in GROWTH:
            command = taskgraft(graph(tasks))
            row(f"{tasks} tasks", alternate({"": command}, RUNS)[""], f"{peak_anonymous(command):.1f} MiB anonymous")


if __name__ == "__main__":
    judged(main)
