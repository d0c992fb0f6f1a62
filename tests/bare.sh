#!/bin/sh
# The program alone forecasts: in a folder that holds it and the C library, and no /proc, /dev or any other file.
# Usage: TOTO=/path/to/toto bare.sh (in the top-level folder)
set -u
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
box=$work/box
n=0
failed=0

skip() {
    echo "ok 1 - toto alone in an empty folder # SKIP $1"
    echo '1..1'
    exit 0
}

# check NAME STATUS: a test that has passed if STATUS is 0, with what stands in the log
check() {
    n=$((n + 1))
    if [ "$2" -eq 0 ]; then
        echo "ok $n - $1"
    else
        echo "not ok $n - $1"
        sed 's/^/# /; 10q' "$work/log"
        failed=1
    fi
}

[ "$(uname -s)" = Linux ] || skip 'it is for Linux'
if [ "$(id -u)" -eq 0 ]; then
    enter() { chroot "$box" "$@"; }
elif unshare -r true 2> /dev/null; then
    enter() { unshare -r chroot "$box" "$@"; }
else
    skip 'chroot needs root, or user namespaces'
fi
if grep -q __asan_init "$TOTO"; then
    skip 'sanitizers need /proc'
fi

# Where packages had no archive to link, the program needs their shared libraries, and make has said so.
if grep -qE '(^| )-l' "$(dirname "$TOTO")/packages"; then
    skip 'a package is not linked statically'
fi

# The loader and the libraries that the program names; archives stand in for all but the C library's.
ldd "$TOTO" | grep -oE '/[^ ]+' > "$work/libraries"
mkdir "$box"
cp "$TOTO" "$box/toto"
while IFS= read -r file; do
    mkdir -p "$box${file%/*}"
    cp "$file" "$box$file"
done < "$work/libraries"
grep -vE '/(ld-[^/]*|libc|libm|libdl|libpthread|librt)\.so[.0-9]*$|/ld-musl-[^/]*$|/ld64\.so[.0-9]*$' "$work/libraries" > "$work/log"
check 'toto needs the C library alone' "$([ -s "$work/log" ]; echo $((! $?)))"

wc -c < "$TOTO" > "$work/log"
[ "$(cat "$work/log")" -lt 16000000 ]
check 'toto with its model has less than 16 MB' $?

head -n 513 data/ETTh1.csv | cut -d, -f1,8 > "$work/short.csv"
head -n 4097 data/ETTh1.csv > "$work/long.csv"
unset TOTO_MODEL TOTO_DEVICE

# Few rows run on toto's own kernels everywhere, so the bytes are those of this machine.
"$TOTO" forecast -d cpu "$work/short.csv" > "$work/wanted"
enter /toto forecast -v < "$work/short.csv" > "$work/got" 2> "$work/log" && cmp "$work/wanted" "$work/got" >> "$work/log"
check 'a forecast of 512 points in an empty folder' $?

# Many run on OpenBLAS where there is one: values are within a thousandth of their column's largest.
"$TOTO" forecast -d cpu "$work/long.csv" > "$work/wanted"
enter /toto forecast -v < "$work/long.csv" > "$work/got" 2> "$work/log" &&
    grep -q 'OpenBLAS was not found: .* own kernels' "$work/log" &&
    paste -d, "$work/wanted" "$work/got" | awk -F, '
        function size(x) { return x < 0 ? -x : x }
        NR == 1 { columns = NF / 2; next }
        $1 != $(columns + 1) || $2 != $(columns + 2) { bad++ }
        {
            rows++
            for (i = 3; i <= columns; i++) {
                if (size($i) > most[$1, i]) most[$1, i] = size($i)
                if (size($i - $(columns + i)) > apart[$1, i]) apart[$1, i] = size($i - $(columns + i))
            }
        }
        END {
            for (key in most) if (apart[key] > 0.001 * most[key]) bad++
            if (bad || rows != 7 * 96) { print bad + 0 " things differ in " rows + 0 " rows"; exit 1 }
        }' >> "$work/log"
check 'seven columns of 4,096 points without OpenBLAS' $?

enter /toto inspect > "$work/got" 2> "$work/log" && "$TOTO" inspect | cmp - "$work/got" >> "$work/log"
check 'toto inspect shows the built-in model there' $?

enter /toto forecast --device gpu < "$work/short.csv" > "$work/got" 2> "$work/log"
[ $? -eq 71 ] && grep -q 'no GPU' "$work/log"
check 'toto says there that there is no GPU' $?

echo "1..$n"
exit $failed
