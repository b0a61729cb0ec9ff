#!/bin/sh
# Installs the package somewhere, checks its manifest, and lands once with it.
set -eu
root=$(echo package/lander-*)
python3 lander/ci/manifest.py check "$root"
toolchain/bin/terrainc terrain.txt terrain.ter
"$root/bin/lander" --version
"$root/bin/lander" --terrain terrain.ter --pilot gentle --seed 42
