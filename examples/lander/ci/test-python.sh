#!/bin/sh
# Runs the Python tests named (of tests/python) against what is mounted beside the sources.
set -eu
mkdir -p artifacts
PYTHONDONTWRITEBYTECODE=1
export PYTHONDONTWRITEBYTECODE
for name; do
    python3 "lander/tests/python/test_$name.py" -v 2>&1
done
