#!/bin/sh
# One of the project's lints, with the packed lint of toolchain-lint: lint.sh {c,python,shell,graph}
set -eu
exec python3 lint.pyz "$1" lander
