"""Render templates with the JSON-e package: `json_e.py CASES RESULTS`, or `json_e.py --specification FILE CASES`.

CASES is a list of {template, context}; RESULTS has a {result} or an {error} for each. With --specification, CASES is
made from JSON-e's own specification.yml: a list of {title, template, context} with a result or an error.
"""

import json
import sys

import jsone
import yaml


def plain(value):
    """Whole floats as integers: JSON-e says nothing about which of the two a number is."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value


def render(case):
    try:
        result = jsone.render(case["template"], case["context"])
        json.dumps(result)
        return {"result": plain(result)}
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


def specification(path):
    section = None
    with open(path) as f:
        for case in yaml.safe_load_all(f):
            section = case.get("section", section)
            if "title" in case:
                case["title"] = f"{section}: {case['title']}"
                if "result" in case:
                    case["result"] = plain(case["result"])
                yield case


def main():
    if sys.argv[1] == "--specification":
        _, _, path, out = sys.argv
        made = list(specification(path))
    else:
        _, path, out = sys.argv
        with open(path) as f:
            made = [render(case) for case in json.load(f)]
    with open(out, "w") as f:
        json.dump(made, f)


if __name__ == "__main__":
    main()
