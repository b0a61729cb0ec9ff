#!/bin/sh
# Builds the heap guard, and finds out whether this compiler's own sanitizers work here.
# What the asan variant is to be compiled with lands in `flags`.
set -eu
source=$(pwd)/lander
mkdir -p stage artifacts
cp "$source/tools/guard.h" "$source/tools/guard.c" stage/

cat >good.c <<'END'
#include <stdlib.h>
int main(int argc, char **argv)
{
    char *block = malloc(4);
    (void)argv;
    block[argc + 0] = 0;
    free(block);
    return 0;
}
END
sed 's/argc + 0/argc + 7/' good.c >bad.c

# A compiler that takes the flag may still lack the library, or the kernel may not suit it.
sanitizers="-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer"
works=yes
# shellcheck disable=SC2086 # the flags are words
${CC:-cc} $sanitizers good.c -o good 2>/dev/null && ${CC:-cc} $sanitizers bad.c -o bad 2>/dev/null || works=no
if [ "$works" = yes ]; then
    ASAN_OPTIONS=detect_leaks=0 ./good 2>/dev/null || works=no
    ASAN_OPTIONS=detect_leaks=0 ./bad 2>/dev/null && works=no
fi
[ "$works" = yes ] || sanitizers=
echo "-include guard.h -DLANDER_GUARDED $sanitizers" >stage/flags

# The guard must notice what the sanitizers may not be here for.
cat >overrun.c <<'END'
#include "guard.h"
int main(void)
{
    char *block = malloc(4);
    block[4] = 1;
    free(block);
    return 0;
}
END
${CC:-cc} -Istage overrun.c stage/guard.c -o overrun
status=0
./overrun 2>/dev/null || status=$?
if [ "$status" != 99 ]; then
    echo "the guard did not notice an overrun (status $status)" >&2
    exit 1
fi
tar -C stage -czf artifacts/toolchain-asan-runtime.tar.gz .
echo "toolchain-asan-runtime: heap guard, sanitizers: $works"
