#!/bin/sh
# The program that opens src/toto.h compiles, links with libtoto.a and forecasts; and a program that brings its own
# model does not carry the built-in one.
# Usage: TOTO=/path/to/toto library.sh (in the top-level folder; libtoto.a lies beside toto)
set -u
build=$(dirname "$TOTO")
root=$PWD
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
failed=0
export ASAN_OPTIONS=detect_leaks=0 # a program of ten lines leaves freeing to its end
head -n 513 data/ETTh1.csv | cut -d, -f1,8 > "$work/sales.csv"

# link NAME: compiles the program of the header with the flags of the build
link() {
    # shellcheck disable=SC2046 # words are meant
    $(cat "$build/flags") -Isrc -o "$work/$1" "$work/$1.c" "$build/libtoto.a" $(cat "$build/packages") \
        -ldl -lpthread -lm > "$work/log" 2>&1
}

result() {
    if [ "$3" -eq 0 ]; then
        echo "ok $1 - $2"
    else
        echo "not ok $1 - $2"
        sed 's/^/# /; 20q' "$work/log"
        failed=1
    fi
}

{
    printf '#include <stdio.h>\n#include "toto.h"\nint main(void)\n{\n'
    sed -n '/^ \*     struct toto_error err;/,/^ \*$/s/^ \*//p' src/toto.h
    printf '    return 0;\n}\n'
} > "$work/builtin.c"
link builtin && (cd "$work" && ./builtin > got 2> log && "$TOTO" forecast sales.csv | cmp - got >> log)
result 1 'the program in toto.h forecasts with the built-in model' $?

sed "s|toto_model_open_builtin(|toto_model_open(\"$root/data/model\", |" "$work/builtin.c" > "$work/own.c"
link own && (cd "$work" && ./own > got 2> log && "$TOTO" forecast sales.csv | cmp - got >> log) &&
    [ $(($(wc -c < "$work/own") + $(wc -c < data/model/model.safetensors))) -le "$(wc -c < "$work/builtin")" ]
result 2 'a program with a model of its own does not carry the built-in one' $?
echo 1..2
exit $failed
