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

for command in forecast inspect devices verify; do
    "$TOTO" "$command" --help | grep -oE '^  (-[A-Za-z], |    )--[a-z-]+' | tr -d ' ,' | sed 's/^-\([A-Za-z]\)--/-\1 --/' |
        tr ' ' '\n' | LC_ALL=C sort > "$work/help"

    # heads of paragraphs: .BR \-m ", " \-\-model " \fIMODEL\fR"
    awk 'head && /^\.B/ { sub(/" \\f.*/, ""); print } { head = $0 == ".TP" }' "man/toto-$command.1" |
        sed 's/\\-/-/g' | grep -oE ' --?[A-Za-z][a-z-]*' | tr -d ' ' | LC_ALL=C sort > "$work/other"
    check "man/toto-$command.1 has the options of toto $command"

    sed -n "s/^ *_toto_${command}_options='\(.*\)'/\1/p" scripts/completion/toto.bash | tr ' ' '\n' |
        LC_ALL=C sort > "$work/other"
    check "toto.bash has the options of toto $command"

    sed -n "/^_toto_$command()/,/^}/p" scripts/completion/_toto | sed 's/_arguments -s -S//' |
        grep -oE "[ '{,(]--?[A-Za-z][a-z-]*" | tr -d " '{,(" |
        LC_ALL=C sort -u > "$work/other"
    check "_toto has the options of toto $command"
done
echo "1..$n"
exit $failed
