#!/bin/sh
# Checks that the sources are whole, adds a manifest with digests, and packs them for everybody else.
set -eu
mkdir -p artifacts
for needed in version.txt src/main.c tests/c/unit.c ci/build.sh taskcluster/config.yml; do
    if [ ! -s "lander/$needed" ]; then
        echo "the sources have no $needed" >&2
        exit 1
    fi
done
python3 lander/ci/manifest.py write lander
tar -C lander -czf artifacts/lander-source.tar.gz .
echo "sources of lander $(cat lander/version.txt)"
