"""Renders actions.json with the reference package, for comparison.

    actions.py CASES RESULTS

CASES holds a JSON list of {root, parameters, decision}; RESULTS gets a JSON list with the text that a decision task
would write for each, or null where the reference refuses.
"""

import json
import sys

from taskgraph.actions.registry import render_actions_json
from taskgraph.config import load_graph_config
from taskgraph.parameters import Parameters


def rendered(case):
    try:
        config = load_graph_config(case["root"])
        parameters = Parameters(strict=True, **case["parameters"])
        actions = render_actions_json(parameters, config, case["decision"])
    except Exception as error:
        print(f"{case['root']}: {error!r}", file=sys.stderr)
        return None
    return json.dumps(actions, sort_keys=True, indent=2, separators=(",", ": "))


with open(sys.argv[1], encoding="utf-8") as cases:
    results = [rendered(case) for case in json.load(cases)]
with open(sys.argv[2], "w", encoding="utf-8") as out:
    json.dump(results, out)
