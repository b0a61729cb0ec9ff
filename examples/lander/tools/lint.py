#!/usr/bin/env python3
"""The project's own static checks: lint.py {c,python,shell,graph} [ROOT]

Prints one line per finding, FILE:LINE: what is wrong, and exits 1 if there is any.
Needs nothing but Python's standard library.
"""

import ast
import re
import subprocess
import sys
from pathlib import Path

WIDTH = 120
BANNED_C = {
    "gets": "fgets",
    "strcpy": "memcpy with a bound",
    "strcat": "memcpy with a bound",
    "sprintf": "snprintf",
    "atoi": "strtol",
}


def lines_of(path):
    return path.read_text(encoding="utf-8").splitlines()


def check_layout(path):
    """What holds for every text file."""
    text = path.read_text(encoding="utf-8")
    if text and not text.endswith("\n"):
        yield text.count("\n") + 1, "no newline at the end"
    for number, line in enumerate(text.splitlines(), 1):
        if len(line) > WIDTH:
            yield number, f"longer than {WIDTH} characters"
        if line != line.rstrip():
            yield number, "white space at the end of the line"
        if "\t" in line:
            yield number, "a tab"


def strip_c(text):
    """C source with comments and strings blanked out, line breaks kept."""
    pattern = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'', re.DOTALL)
    return pattern.sub(lambda found: re.sub(r"[^\n]", " ", found.group()), text)


def check_c(path):
    yield from check_layout(path)
    bare = strip_c(path.read_text(encoding="utf-8"))
    depth = 0
    for number, line in enumerate(bare.splitlines(), 1):
        for name, instead in BANNED_C.items():
            if re.search(rf"\b{name}\s*\(", line):
                yield number, f"{name} has no bound: use {instead}"
        if re.search(r"\bgoto\b", line):
            yield number, "goto"
        depth += line.count("{") - line.count("}")
        if depth < 0:
            yield number, "a closing brace too many"
            depth = 0
    if depth:
        yield len(bare.splitlines()), "a brace that is never closed"
    if path.suffix == ".h":
        guard = f"LANDER_{path.stem.upper()}_H"
        if f"#ifndef {guard}" not in bare or f"#define {guard}" not in bare:
            yield 1, f"no include guard {guard}"
    elif path.with_suffix(".h").exists():
        first = re.search(r'^#include "(.*)"', path.read_text(encoding="utf-8"), re.MULTILINE)
        if not first or first.group(1) != f"{path.stem}.h":
            yield 1, f"its own header {path.stem}.h does not come first"


def check_python(path):
    yield from check_layout(path)
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except SyntaxError as error:
        yield error.lineno or 1, f"syntax: {error.msg}"
        return
    imported = {}
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            for alias in node.names:
                imported[(alias.asname or alias.name).split(".")[0]] = node.lineno
        if isinstance(node, ast.ExceptHandler) and node.type is None:
            yield node.lineno, "except without a type"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("eval", "exec"):
            yield node.lineno, node.func.id
    for name, number in imported.items():
        if name not in used:
            yield number, f"{name} is imported and not used"
    if not ast.get_docstring(tree):
        yield 1, "no docstring at the top"


def check_shell(path):
    yield from check_layout(path)
    lines = lines_of(path)
    if not lines or lines[0] != "#!/bin/sh":
        yield 1, "does not begin with #!/bin/sh"
    if "set -eu" not in lines:
        yield 1, "no `set -eu`"
    parsed = subprocess.run(["sh", "-n", str(path)], capture_output=True, text=True)
    if parsed.returncode:
        yield 1, parsed.stderr.strip() or "sh can't parse it"


def check_graph(path):
    """Every script that a kind names is in the tree, and no kind splices data into a shell line."""
    yield from check_layout(path)
    root = path
    while root.name != "taskcluster":
        root = root.parent
    root = root.parent
    for number, line in enumerate(lines_of(path), 1):
        for script in re.findall(r"\blander/([a-z]+/[\w.-]+)", line):
            if not (root / script).exists():
                yield number, f"names {script}, which is not there"
        if re.search(r"\bsh, -c\b", line):
            yield number, "a shell line: put it in a script under ci/"


def files(root, what):
    """(path, checker) for every file that the check looks at, in a fixed order."""
    if what == "c":
        found = [(path, check_c) for path in root.rglob("*.[ch]")]
    elif what == "python":
        found = [(path, check_python) for path in root.rglob("*.py")]
    elif what == "shell":
        found = [(path, check_shell) for path in [*root.rglob("*.sh"), root / "tools/lander-cc"]]
    else:
        found = [(path, check_graph) for path in (root / "taskcluster").rglob("*.yml")]
    return sorted(found)


def main(arguments):
    if not arguments or arguments[0] not in ("c", "python", "shell", "graph"):
        print(__doc__.splitlines()[0], file=sys.stderr)
        return 2
    root = Path(arguments[1] if len(arguments) > 1 else ".")
    looked_at = files(root, arguments[0])
    findings = 0
    for path, check in looked_at:
        for number, what in check(path):
            print(f"{path.relative_to(root)}:{number}: {what}")
            findings += 1
    print(f"lint {arguments[0]}: {len(looked_at)} files, {findings} findings")
    return 1 if findings or not looked_at else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
