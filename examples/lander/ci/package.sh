#!/bin/sh
# Makes the package people install: the program, its version, and a manifest with digests.
set -eu
: "${VARIANT:?names the variant}"
version=$(cat lander/version.txt)
name=lander-$version-$VARIANT
mkdir -p "stage/$name/bin" "stage/$name/share" artifacts
cp build/bin/lander "stage/$name/bin/"
cp build/version lander/version.txt "stage/$name/share/"
python3 lander/ci/manifest.py write "stage/$name"
tar -C stage -czf artifacts/package.tar.gz "$name"
python3 lander/ci/manifest.py check "stage/$name"
