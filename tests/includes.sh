#!/bin/sh
# Includes point one way: a room includes its own headers, those of the rooms below, and base's. And the map
# of the rooms names each of them.
# Usage: includes.sh (in the top-level folder)
set -u

# The rooms that a room may include, itself among them. toto.h is open to base, which hands it on, and to
# the command line, which sees nothing else.
allowed_rooms() {
    case $1 in
        base) echo base ;;
        table) echo table base ;;
        series) echo series table base ;;
        checkpoint) echo checkpoint base ;;
        backend) echo backend base ;;
        model) echo model checkpoint backend base ;;
        forecast) echo forecast series table model checkpoint backend base ;;
        eval) echo eval forecast series table model checkpoint backend base ;;
        output) echo output series table base ;;
        verify) echo verify output eval forecast series table model checkpoint backend base ;;
        commands) echo commands ;;
        main.c) echo commands ;;
        *) echo none ;;
    esac
}

# Path of an include, from src/: joins the includer's folder with the text, and resolves ..
resolve() {
    echo "$1/$2" | awk -F/ '{
        n = 0
        for (i = 1; i <= NF; i++) {
            if ($i == "..") n--
            else if ($i != "." && $i != "") part[++n] = $i
        }
        for (i = 1; i <= n; i++) printf "%s%s", part[i], i < n ? "/" : "\n"
    }'
}

n=0
failed=0
for file in $(find src -name '*.[ch]' ! -name toto.h | LC_ALL=C sort); do
    path=${file#src/}
    room=${path%%/*}
    case $path in
        */*) folder=${path%/*} ;;
        *) folder=. ;;
    esac
    fault=''
    # shellcheck disable=SC2013 # no include here holds a blank
    for text in $(sed -n 's/^[[:space:]]*#[[:space:]]*include[[:space:]]*"\([^"]*\)".*/\1/p' "$file"); do
        target=$(resolve "$folder" "$text")
        if [ "$target" = toto.h ]; then
            case $room in
                base | commands | main.c) continue ;;
            esac
        fi
        case " $(allowed_rooms "$room") " in
            *" ${target%%/*} "*) ;;
            *) fault="$fault $text" ;;
        esac
    done
    n=$((n + 1))
    if [ -z "$fault" ]; then
        echo "ok $n - $path includes what its room may"
    else
        echo "not ok $n - $path includes what its room may"
        echo "# $file includes$fault"
        failed=1
    fi
done
for room in src/*/; do
    n=$((n + 1))
    if grep -q "^| \`${room#src/}\` |" src/README.md; then
        echo "ok $n - src/README.md knows $room"
    else
        echo "not ok $n - src/README.md knows $room"
        failed=1
    fi
done
echo "1..$n"
exit $failed
