#!/bin/sh
# Help, the man page and both completions name the same options of each command.
# Usage: TOTO=/path/to/toto options.sh (in the top-level folder)
set -u
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
n=0
failed=0

check() {
    n=$((n + 1))
    if [ -s "$work/help" ] && cmp -s "$work/help" "$work/other"; then
        echo "ok $n - $1"
    else
        echo "not ok $n - $1"
        diff "$work/help" "$work/other" | sed 's/^/# /'
        failed=1
    fi
}

# options_of COMMAND...: what its help lists, one a line
options_of() {
    "$TOTO" "$@" --help | grep -oE '^  (-[A-Za-z], |    )--[a-z-]+' | tr -d ' ,' | sed 's/^-\([A-Za-z]\)--/-\1 --/' |
        tr ' ' '\n' | LC_ALL=C sort
}

# check_page PAGE: heads of paragraphs: .BR \-m ", " \-\-model " \fIMODEL\fR"
check_page() {
    awk 'head && /^\.B/ { sub(/" \\f.*/, ""); print } { head = $0 == ".TP" || $0 == ".TQ" }' "man/$1.1" |
        sed 's/\\-/-/g' | grep -oE ' --?[A-Za-z][a-z-]*' | tr -d ' ' | LC_ALL=C sort ${2:+"$2"} > "$work/other"
    check "man/$1.1 has the options of its command"
}

# check_completion COMMAND NAME, the name as in the functions and variables
check_completion() {
    sed -n "s/^ *_toto_$2_options='\(.*\)'/\1/p" scripts/completion/toto.bash | tr ' ' '\n' |
        LC_ALL=C sort > "$work/other"
    check "toto.bash has the options of toto $1"

    sed -n "/^_toto_$2()/,/^}/p" scripts/completion/_toto | sed 's/_arguments -s -S//' |
        grep -oE "[ '{,(]--?[A-Za-z][a-z-]*" | tr -d " '{,(" |
        LC_ALL=C sort -u > "$work/other"
    check "_toto has the options of toto $1"
}

for command in forecast inspect devices verify; do
    options_of "$command" > "$work/help"
    check_page "toto-$command"
    check_completion "$command" "$command"
done

# The protocols of eval have one page, and many options in common.
for protocol in lsf backtest; do
    options_of eval "$protocol" > "$work/help"
    check_completion "eval $protocol" "eval_$protocol"
    cat "$work/help" >> "$work/eval"
done
LC_ALL=C sort -u "$work/eval" > "$work/help"
check_page toto-eval -u
echo "1..$n"
exit $failed
