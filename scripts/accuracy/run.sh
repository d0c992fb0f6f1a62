#!/bin/sh
# Measures how good toto's forecasts are: rebuilds the real series, forecasts them with toto and the classical methods,
# and prints every table of docs/accuracy.md in Markdown.
# usage: run.sh WORK [TABLE]...    TABLE: ett, sets, behaviour, groups; all of them by default
# WORK is a folder for what is downloaded and made, and is used again. Environment: TOTO (build/toto), MODEL (the one
# inside), PYTHON (python3, with the packages of requirements.txt), ETT (data, with ETTh1.csv and ETTh2.csv), STRIDE
# (512), SIXTEEN (a set of one's own to score too: context.csv, future.csv, meta.csv as score.py says).
set -eu
[ $# -ge 1 ] || { sed -n '2,8s/^# //p' "$0" >&2; exit 64; }
here=$(cd "$(dirname "$0")" && pwd)
PYTHON=${PYTHON:-python3}
export PYTHON
mkdir -p "$1"
work=$(cd "$1" && pwd)
shift
[ $# -ge 1 ] || set -- ett sets behaviour groups

[ -d "$work/packages" ] || {
    sh "$here/fetch.sh" "$work/packages.part" >&2
    mv "$work/packages.part" "$work/packages"
}
[ -d "$work/dev" ] || "$PYTHON" "$here/sets.py" "$work/packages" "$work"
(cd "$work" && if command -v sha256sum > /dev/null; then sha256sum --quiet -c "$here/sets.sha256"
    else shasum -a 256 --quiet -c "$here/sets.sha256"; fi)
[ -d "$work/behaviour" ] || "$PYTHON" "$here/made.py" "$work"
[ -z "${SIXTEEN:-}" ] || [ -e "$work/sixteen" ] || cp -R "$SIXTEEN" "$work/sixteen"
mkdir -p "$work/forecasts/behaviour"
case " $* " in *' sets '*)
    for set in sixteen dev last; do
        if [ -d "$work/$set" ] && [ ! -f "$work/forecasts/$set/AutoTheta.csv" ]; then
            "$PYTHON" "$here/baselines.py" "$work/$set" "$work/forecasts/$set" SeasonalNaive AutoETS AutoTheta
        fi
    done ;;
esac
exec "$PYTHON" "$here/tables.py" "$work" "$@"
