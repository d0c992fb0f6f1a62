#!/bin/sh
# Runs tests and sums them up: each argument is a command that prints a TAP line a test ("ok 3 - name",
# "not ok 4 - name"), or ends in a line "N passed, N failed, N skipped" of its own. The last line is "N passed, N failed"; the status is 0 only if none failed. A
# command that ends early, badly or without any test counts as a failure.
set -u

# PoCL asks the kernel for its processors, and aborts in a chroot without /sys: there it is told of two.
if [ ! -d /sys/devices/system/cpu ]; then
    HWLOC_SYNTHETIC=${HWLOC_SYNTHETIC:-numa:1(memory=4GB) pu:2}
    export HWLOC_SYNTHETIC
fi
log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT
export CMOCKA_MESSAGE_OUTPUT=TAP
passed=0
failed=0
skipped=0

for command in "$@"; do
    sh -c "$command" > "$log" 2>&1
    status=$?
    ok=$(grep -c '^ok ' "$log")
    bad=$(grep -c '^not ok ' "$log")
    skip=$(grep -c '^\(not \)\{0,1\}ok .*# *[Ss][Kk][Ii][Pp]' "$log")
    # cmocka calls a skipped test "not ok", which TAP allows.
    odd=$(grep -c '^not ok .*# *[Ss][Kk][Ii][Pp]' "$log")
    ok=$((ok + odd))
    bad=$((bad - odd))
    planned=$(sed -n 's/^1\.\.\([0-9][0-9]*\).*/\1/p' "$log" | awk '{ n += $1 } END { print n + 0 }')
    if [ "$((ok + bad))" -lt "$planned" ]; then
        bad=$((planned - ok))
    fi
    own=$(sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed, \([0-9]*\) skipped$/\1 \2 \3/p' "$log" | tail -n 1)
    if [ -n "$own" ]; then
        ok=${own%% *}
        skip=${own##* }
        bad=${own#* }
        bad=${bad% *}
        ok=$((ok + skip))
    fi
    if [ "$bad" -eq 0 ] && { [ "$status" -ne 0 ] || [ "$ok" -eq 0 ]; }; then
        bad=1
    fi
    ok=$((ok - skip))
    printf '%6d passed %4d failed %4d skipped  %s\n' "$ok" "$bad" "$skip" "$command"
    if [ "${V:-0}" != 0 ] || [ "$bad" -gt 0 ]; then
        grep -vE '^(ok|passed|skipped) ' "$log" | head -n 400
        [ "$status" -eq 0 ] || echo "(exit status $status)"
    fi
    passed=$((passed + ok))
    failed=$((failed + bad))
    skipped=$((skipped + skip))
done
[ "$skipped" -eq 0 ] || echo "$skipped skipped"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
