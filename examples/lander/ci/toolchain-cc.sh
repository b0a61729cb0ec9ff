#!/bin/sh
# Builds the project's tools (the terrain compiler, the compiler wrapper), tries them, packs them.
set -eu
here=$(pwd)
source=$here/lander
mkdir -p stage/bin artifacts

cp "$source/tools/lander-cc" stage/bin/lander-cc
chmod 755 stage/bin/lander-cc
stage/bin/lander-cc opt "$source/tools/terrainc.c" -o stage/bin/terrainc

# The tools must refuse what is wrong and take what is right before anybody relies on them.
printf 'terrain try 80 3\n0\n-5\n12\n' >try.txt
stage/bin/terrainc try.txt try.ter
printf 'terrain try 80 3\n0\n' >short.txt
if stage/bin/terrainc short.txt short.ter 2>/dev/null; then
    echo "terrainc took a terrain that ends too early" >&2
    exit 1
fi
if stage/bin/lander-cc fancy "$source/tools/terrainc.c" 2>/dev/null; then
    echo "lander-cc took a variant that does not exist" >&2
    exit 1
fi
${CC:-cc} --version | head -n 1 >stage/compiler
tar -C stage -czf artifacts/toolchain-cc.tar.gz .
echo "toolchain-cc: $(cat stage/compiler)"
