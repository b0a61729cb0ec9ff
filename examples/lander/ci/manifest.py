#!/usr/bin/env python3
"""Digests of a package's files: manifest.py {write,check} DIRECTORY"""

import hashlib
import sys
from pathlib import Path


def digests(root):
    """{path below root: SHA-256} of all files but the manifest itself."""
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.name != "MANIFEST"
    }


def main(arguments):
    if len(arguments) != 2 or arguments[0] not in ("write", "check"):
        print(__doc__, file=sys.stderr)
        return 2
    root = Path(arguments[1])
    text = "".join(f"{digest}  {name}\n" for name, digest in digests(root).items())
    manifest = root / "MANIFEST"
    if arguments[0] == "write":
        manifest.write_text(text, encoding="utf-8")
    elif manifest.read_text(encoding="utf-8") != text:
        print(f"{manifest} does not match the files beside it", file=sys.stderr)
        return 1
    print(f"{manifest}: {text.count(chr(10))} files")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
