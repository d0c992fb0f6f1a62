#!/bin/sh
# Every header compiles on its own, and twice in one file. A template is none: the file that includes it
# sets its parameters.
# Usage: CC=gcc headers.sh (in the top-level folder)
set -u
log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT
n=0
failed=0
for header in $(find src -name '*.h' ! -name '*_template.h' | LC_ALL=C sort); do
    n=$((n + 1))
    if printf '#include "%s"\n#include "%s"\n' "$header" "$header" |
        ${CC:-cc} -std=c11 -D_POSIX_C_SOURCE=200809L -Wall -Wextra -Werror -I. -fsyntax-only -xc - 2> "$log"; then
        echo "ok $n - $header compiles on its own"
    else
        echo "not ok $n - $header compiles on its own"
        sed -n 's/^/# /; 1,5p' "$log"
        failed=1
    fi
done
echo "1..$n"
exit $failed
