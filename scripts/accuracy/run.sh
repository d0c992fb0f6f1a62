#!/bin/sh
# Measures how good toto's forecasts are: rebuilds the real series, forecasts them with toto and the classical methods,
# and prints every table of docs/accuracy.md in Markdown.
# usage: run.sh WORK [TABLE]...    TABLE: ett, sixteen, dev, last, behaviour, groups; all of them by default
# WORK is a folder for what is downloaded and made, and is used again. `dev` is what the model was chosen on; `last` is
# to be looked at once it is chosen. Environment: TOTO (build/toto), MODEL (the one inside), PYTHON (python3, with the
# packages of requirements.txt), ETT (data, with ETTh1.csv and ETTh2.csv), STRIDE (7).
set -eu
[ $# -ge 1 ] || { sed -n '2,7s/^# //p' "$0" >&2; exit 64; }
here=$(cd "$(dirname "$0")" && pwd)
PYTHON=${PYTHON:-python3}
export PYTHON
mkdir -p "$1"
work=$(cd "$1" && pwd)
shift
[ $# -ge 1 ] || set -- ett sixteen dev last behaviour groups

[ -d "$work/packages" ] || {
    sh "$here/fetch.sh" "$work/packages.part" >&2
    mv "$work/packages.part" "$work/packages"
}
[ -d "$work/dev" ] || "$PYTHON" "$here/sets.py" "$work/packages" "$work"
[ -d "$work/sixteen" ] || "$PYTHON" "$here/sixteen.py" "$work/packages" "$work/sixteen"
(cd "$work" && if command -v sha256sum > /dev/null; then sha256sum --quiet -c "$here/sets.sha256"
    else shasum -a 256 --quiet -c "$here/sets.sha256"; fi)
[ -d "$work/behaviour" ] || "$PYTHON" "$here/made.py" "$work"
for set in sixteen dev last; do
    case " $* " in *" $set "*)
        [ -f "$work/forecasts/$set/AutoTheta.csv" ] || "$PYTHON" "$here/baselines.py" "$work/$set" \
            "$work/forecasts/$set" SeasonalNaive AutoETS AutoTheta ;;
    esac
done
exec "$PYTHON" "$here/tables.py" "$work" "$@"
