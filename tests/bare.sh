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

# A model as narrow as the built-in one runs on toto's own kernels everywhere, so the bytes are those of this machine.
for file in short long; do
    "$TOTO" forecast -d cpu "$work/$file.csv" > "$work/wanted"
    enter /toto forecast -v < "$work/$file.csv" > "$work/got" 2> "$work/log" &&
        cmp "$work/wanted" "$work/got" >> "$work/log" && grep -q "toto's own .* kernels" "$work/log"
    check "the $file series in an empty folder" $?
done

enter /toto inspect > "$work/got" 2> "$work/log" && "$TOTO" inspect | cmp - "$work/got" >> "$work/log"
check 'toto inspect shows the built-in model there' $?

enter /toto forecast --device gpu < "$work/short.csv" > "$work/got" 2> "$work/log"
[ $? -eq 71 ] && grep -q 'no GPU' "$work/log"
check 'toto says there that there is no GPU' $?

echo "1..$n"
exit $failed
