#!/bin/sh
# Times forecasts of one series of 512 points, 96 steps ahead, with the Toto 1.0 model that is named and with the
# built-in one, and prints the median of the runs: the forecast itself (as -v says it) and the whole process.
# Usage: TOTO=/path/to/toto [RUNS=5] bench.sh MODEL
set -eu
model=$1
runs=${RUNS:-5}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
head -n 513 data/ETTh1.csv | cut -d, -f1,8 > "$work/series.csv"

median() {
    sort -n | awk '{ value[NR] = $1 } END { print value[int((NR + 1) / 2)] }'
}

# bench NAME MODEL OPTION...
bench() {
    name=$1
    of=$2
    shift 2
    : > "$work/forecast"
    : > "$work/process"
    i=0
    while [ "$i" -le "$runs" ]; do
        start=$(date +%s%N)
        "$TOTO" forecast -m "$of" -H 96 -v "$@" "$work/series.csv" 2> "$work/log" > /dev/null
        end=$(date +%s%N)
        if [ "$i" -gt 0 ]; then # the first run warms the page cache
            sed -n 's/.*forecast 96 steps (\(.*\) ms)/\1/p' "$work/log" >> "$work/forecast"
            echo $(((end - start) / 100000)) | sed 's/.$/.&/' >> "$work/process"
        fi
        i=$((i + 1))
    done
    printf '%-28s %10.1f %10.1f\n' "$name" "$(median < "$work/forecast")" "$(median < "$work/process")"
}

printf '%-28s %10s %10s\n' "medians of $runs runs, in ms" forecast process
bench '256 samples' "$model" -n 256
bench 'mean forecast' "$model" -n 0
bench 'built-in model' builtin
"$TOTO" forecast -m "$model" -H 96 -v "$work/series.csv" 2>&1 > /dev/null | grep -E 'planned|allocated'
