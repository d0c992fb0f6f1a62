#!/bin/sh
# Runs the cases: each folder beside this file that holds a file `cmd`.
#
#   cmd      a shell script, run in a copy of the folder; `toto` is the program, $MODELS and $MODELS2 the
#            folders of the small models of Toto 1.0 and 2.0, $DATA that of the example series; standard input is empty
#   expout   what standard output must be, to the byte; absent: nothing
#   experr   what standard error must be; a line may be a glob pattern; absent: nothing
#   exit     the exit status; absent: 0
#
# Usage: TOTO=/path/to/toto [UPDATE=1] run.sh [CASE]...
# UPDATE=1 writes what the cases gave into expout, experr and exit; git diff then shows what changed.
set -u
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

mkdir "$work/bin" "$work/home"
ln -s "${TOTO:?names the program}" "$work/bin/toto"
PATH=$work/bin:$PATH
MODELS=$root/tests/golden/toto1/models
MODELS2=$root/tests/golden/toto2/models
DATA=$root/data
HOME=$work/home
LC_ALL=C
export PATH MODELS MODELS2 DATA HOME LC_ALL
unset TOTO_MODEL TOTO_DEVICE HF_HOME HF_HUB_CACHE XDG_CACHE_HOME

# lines_match WANTED GOT: line by line, literally or by the wanted line as a pattern
lines_match() {
    exec 3< "$1" 4< "$2"
    while :; do
        IFS= read -r got <&4
        more=$?
        IFS= read -r wanted <&3 || break
        if [ "$more" -ne 0 ]; then
            return 1
        fi
        # shellcheck disable=SC2254 # the pattern is meant
        case $got in
            "$wanted") ;;
            $wanted) ;;
            *) return 1 ;;
        esac
    done
    [ "$more" -ne 0 ]
}

# take GOT EXPECTED: what was got becomes what is expected; nothing is no file
take() {
    if [ -s "$1" ]; then
        cp "$1" "$2"
    else
        rm -f "$2"
    fi
}

[ $# -gt 0 ] || set -- "$here"/*/cmd
n=0
failed=0
for path in "$@"; do
    name=${path%/cmd}
    name=${name##*/}
    case_folder=$here/$name
    n=$((n + 1))
    rm -rf "$work/case"
    cp -R "$case_folder" "$work/case"
    rm -f "$work/case/expout" "$work/case/experr" "$work/case/exit"
    (cd "$work/case" && sh ./cmd) > "$work/out" 2> "$work/err" < /dev/null
    echo $? > "$work/exit"

    for kind in out err exit; do
        expected=$case_folder/exp$kind
        [ $kind = exit ] && expected=$case_folder/exit
        : > "$work/want-$kind"
        if [ -f "$expected" ]; then
            cp "$expected" "$work/want-$kind"
        elif [ $kind = exit ]; then
            echo 0 > "$work/want-$kind"
        fi
    done
    fault=''
    cmp -s "$work/out" "$work/want-out" || fault="$fault stdout"
    lines_match "$work/want-err" "$work/err" || fault="$fault stderr"
    cmp -s "$work/exit" "$work/want-exit" || fault="$fault exit"

    if [ -n "$fault" ] && [ "${UPDATE:-0}" = 1 ]; then
        take "$work/out" "$case_folder/expout"
        case $fault in
            *stderr*) take "$work/err" "$case_folder/experr" ;;
        esac
        [ "$(cat "$work/exit")" != 0 ] || : > "$work/exit"
        take "$work/exit" "$case_folder/exit"
        echo "ok $n - $name (rewritten:$fault)"
    elif [ -n "$fault" ]; then
        echo "not ok $n - $name:$fault"
        for kind in out err exit; do
            diff -u "$work/want-$kind" "$work/$kind" | sed -n '3,14s/^/# /p'
        done
        failed=1
    else
        echo "ok $n - $name"
    fi
done
echo "1..$n"
exit $failed
