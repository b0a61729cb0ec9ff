#!/usr/bin/env python3
"""Packs the sources of a push: archive.py PUSH OUTPUT

The tree of a push is this directory with the files of pushes/PUSH/overlay laid over it, without
what is no part of the project (pushes/, remake.py). The same push gives the same bytes.
"""

import gzip
import io
import sys
import tarfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NOT_PACKED = {"pushes", "remake.py", "README.md", "__pycache__"}


def tree(push):
    """{path in the archive: file} of a push."""
    files = {}
    for base in (ROOT, ROOT / "pushes" / push / "overlay"):
        for path in base.rglob("*"):
            name = path.relative_to(base)
            if path.is_file() and not (NOT_PACKED & set(name.parts)):
                files[str(name)] = path
    return dict(sorted(files.items()))


def pack(push):
    """The sources of a push as the bytes of a .tar.gz file."""
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as packed:
        with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
            for name, path in tree(push).items():
                data = path.read_bytes()
                entry = tarfile.TarInfo(name)
                entry.size = len(data)
                entry.mode = 0o755 if data.startswith(b"#!") else 0o644
                archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def main(arguments):
    if len(arguments) != 2 or not (ROOT / "pushes" / arguments[0]).is_dir():
        print(__doc__.splitlines()[0], file=sys.stderr)
        return 2
    data = pack(arguments[0])
    Path(arguments[1]).write_bytes(data)
    print(f"push {arguments[0]}: {len(tree(arguments[0]))} files, {len(data)} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
