#!/usr/bin/env python3
"""Puts the results of all landing tests into one page: report.py OUTPUT RESULT..."""

import json
import sys
from pathlib import Path

COLUMNS = ("terrain", "pilot", "landings", "safe", "worst load, g", "least fuel, kg")


def row(path):
    landings = json.loads(Path(path).read_text(encoding="utf-8"))
    first = landings[0]
    return (
        first["terrain"],
        first["pilot"],
        len(landings),
        sum(landing["safe"] for landing in landings),
        f"{max(landing['load_g'] for landing in landings):.2f}",
        f"{min(landing['fuel'] for landing in landings):.0f}",
    )


def main(arguments):
    if len(arguments) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    rows = sorted(row(path) for path in arguments[1:])
    table = [COLUMNS, ["---"] * len(COLUMNS), *rows]
    text = "# Landings\n\n" + "".join("| " + " | ".join(map(str, cells)) + " |\n" for cells in table)
    Path(arguments[0]).parent.mkdir(parents=True, exist_ok=True)
    Path(arguments[0]).write_text(text, encoding="utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
