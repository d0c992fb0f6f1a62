#!/bin/sh
# Every kernel once on Oclgrind, a simulator that sees reads and writes out of bounds, data races and
# wrong use of the API; tiny shapes, a program of tests/ops a TAP line. Kernels differ by the stored
# type only in loads and stores, so float16 and bfloat16 run where most of those are.
#
# Reads of uninitialised memory are looked for where Oclgrind 21.10 can: its plugin stops with a fatal
# error on linear, attention, split_qkv and fold, and takes all of causal_scale for uninitialised.
# Usage: oclgrind.sh FOLDER (of the built tests/ops; in the top-level folder)
set -u
folder=$1
library=''
for file in /usr/lib/oclgrind/liboclgrind-rt.so /usr/lib/*/oclgrind/liboclgrind-rt.so \
    /usr/local/lib/oclgrind/liboclgrind-rt.so; do
    [ ! -e "$file" ] || library=$file
done
if [ -z "$library" ]; then
    echo 'ok 1 - kernels on Oclgrind # SKIP Oclgrind is not installed (scripts/install-deps.sh --test)'
    echo '1..1'
    exit 0
fi
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
export TOTO_OPENCL_LIBRARY="$library" TOTO_TEST_SIZE=tiny XDG_CACHE_HOME="$work"
export OCLGRIND_DATA_RACES=1 OCLGRIND_CHECK_API=1 CMOCKA_MESSAGE_OUTPUT=TAP
n=0
failed=0

# check PROGRAM TYPE [VARIABLE=VALUE]
check() {
    n=$((n + 1))
    env "${3:-LC_ALL=C}" OCLGRIND_LOG="$work/report" TOTO_TEST_DTYPE="$2" "$folder/$1" > "$work/log" 2>&1
    status=$?
    if [ "$status" -eq 0 ] && [ ! -s "$work/report" ] && grep -q '^ok [0-9]* - test_' "$work/log"; then
        echo "ok $n - $1 in $2 on Oclgrind"
    else
        echo "not ok $n - $1 in $2 on Oclgrind"
        cat "$work/report" "$work/log" 2> /dev/null | sed -n 's/^/# /; 1,40p'
        failed=1
    fi
    rm -f "$work/report"
}

for program in linear rows attention scale fold; do
    check test_devices_$program F32
done
for program in test_devices_mixture test_devices_quantiles test_patch_tokens test_quantile_patch; do
    check $program F32 OCLGRIND_UNINITIALIZED=1
done
for type in F16 BF16; do
    check test_devices_linear $type
    check test_devices_rows $type
done
echo "1..$n"
exit $failed
