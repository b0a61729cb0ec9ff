#!/bin/sh
# Runs one chunk of the unit tests of the mounted build: test-unit.sh THIS/TOTAL
set -eu
mkdir -p artifacts
# Leaks are the guard's to find: the leak sanitizer can't run under a debugger or in some containers.
ASAN_OPTIONS=detect_leaks=0
export ASAN_OPTIONS
status=0
build/bin/unit --chunk "$1" >artifacts/unit.log 2>&1 || status=$?
cat artifacts/unit.log
exit $status
