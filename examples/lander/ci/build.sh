#!/bin/sh
# Builds the lander and its unit tests in one variant ($VARIANT), with the tools of toolchain-cc.
set -eu
# shellcheck disable=SC2086 # lists of words are meant to split
here=$(pwd)
source=lander
: "${VARIANT:?names the variant}" "${LANDER_REVISION:?is the revision built}"
version=$(cat $source/version.txt)
PATH=$here/toolchain/bin:$PATH
mkdir -p stage/bin objects artifacts

includes="-I$source/src"
extra=
if [ "$VARIANT" = asan ]; then
    ASAN_RUNTIME=$here/asan-runtime
    export ASAN_RUNTIME
    includes="$includes -I$ASAN_RUNTIME"
    extra=objects/guard.o
    lander-cc asan $includes -c "$ASAN_RUNTIME/guard.c" -o $extra
fi

objects=
for module in gear physics terrain pilot flight; do
    lander-cc "$VARIANT" $includes -c $source/src/$module.c -o objects/$module.o
    objects="$objects objects/$module.o"
done
lander-cc "$VARIANT" $includes -DLANDER_VERSION="\"$version\"" -DLANDER_REVISION="\"$LANDER_REVISION\"" \
    -DLANDER_VARIANT="\"$VARIANT\"" $source/src/main.c $objects $extra -lm -o stage/bin/lander
lander-cc "$VARIANT" $includes -I$source/tests/c $source/tests/c/*.c $objects $extra -lm -o stage/bin/unit

stage/bin/lander --version | tee stage/version
grep -q "$LANDER_REVISION" stage/version
tar -C stage -czf artifacts/lander.tar.gz .
