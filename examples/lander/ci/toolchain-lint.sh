#!/bin/sh
# Packs the project's lint as one file that runs anywhere, and tries it on good and bad code.
set -eu
source=$(pwd)/lander
mkdir -p stage good/tools bad artifacts
cp "$source/tools/lint.py" stage/__main__.py
python3 -m zipapp stage -o artifacts/lint.pyz

printf 'int main(void)\n{\n    return 0;\n}\n' >good/main.c
printf 'char *f(char *a, char *b)\n{\n    return strcpy(a, b);\n}\n' >bad/main.c
python3 artifacts/lint.pyz c good
if python3 artifacts/lint.pyz c bad; then
    echo "the lint took a strcpy" >&2
    exit 1
fi
echo "toolchain-lint: tried on good and bad code"
