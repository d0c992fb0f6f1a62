#!/bin/sh
# Every kernel once on Oclgrind, a simulator that sees reads and writes out of bounds, data races, and
# wrong use of the API; tiny shapes, one program of tests/ops a TAP line. Kernels are told apart by the
# stored type only in loads and stores, so f16 and bf16 run where those are.
# Usage: oclgrind.sh FOLDER (of the built tests/ops; in the top-level folder)
set -u
folder=$1
library=$(ls /usr/lib/oclgrind/liboclgrind-rt.so /usr/lib/*/oclgrind/liboclgrind-rt.so \
    /usr/local/lib/oclgrind/liboclgrind-rt.so 2> /dev/null | head -n 1)
if [ -z "$library" ]; then
    echo 'ok 1 - kernels on Oclgrind # SKIP Oclgrind is not installed (scripts/install-deps.sh --test)'
    echo '1..1'
    exit 0
fi
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
export TOTO_OPENCL_LIBRARY="$library" TOTO_TEST_SIZE=tiny XDG_CACHE_HOME="$work"
export OCLGRIND_DATA_RACES=1 OCLGRIND_CHECK_API=1
n=0
failed=0

# check PROGRAM TYPE
check() {
    n=$((n + 1))
    OCLGRIND_LOG="$work/report" TOTO_TEST_DTYPE=$2 "$folder/$1" > "$work/log" 2>&1
    status=$?
    if [ "$status" -eq 0 ] && [ ! -s "$work/report" ] && ! grep -q '^ok .*SKIP' "$work/log"; then
        echo "ok $n - $1 in $2 on Oclgrind"
    else
        echo "not ok $n - $1 in $2 on Oclgrind"
        cat "$work/report" "$work/log" 2> /dev/null | sed -n 's/^/# /; 1,40p'
        failed=1
    fi
    rm -f "$work/report"
}

for program in linear rows attention scale mixture quantiles fold; do
    check test_devices_$program f32
done
check test_patch_tokens f32
check test_quantile_patch f32
for type in f16 bf16; do
    check test_devices_linear $type
    check test_devices_rows $type
done
echo "1..$n"
exit $failed
