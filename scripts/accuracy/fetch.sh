#!/bin/sh
# Downloads the packages of packages.txt, each checked against its hash, and unpacks them for sets.py; those of
# sixteen.txt stay packed, as sixteen.py reads single files of them.
# usage: fetch.sh DIR    PYTHON: the interpreter whose pip is used (python3)
set -eu
[ $# -eq 1 ] || { sed -n '2,4s/^# //p' "$0" >&2; exit 64; }
here=$(cd "$(dirname "$0")" && pwd)
PYTHON=${PYTHON:-python3}

# The platform is fixed, so that every machine gets the files that the hashes are of; nothing of them is run.
download() { # LIST DIR
    mkdir -p "$2"
    "$PYTHON" -m pip download --quiet --disable-pip-version-check --require-hashes --no-deps --only-binary=:all: \
        --implementation cp --python-version 3.11 --platform manylinux_2_28_x86_64 \
        --platform manylinux2014_x86_64 --dest "$2" --requirement "$here/$1"
}

download packages.txt "$1/wheels"
download sixteen.txt "$1/sixteen"
for wheel in "$1"/wheels/*.whl; do
    name=$(basename "$wheel")
    mkdir -p "$1/${name%%-*}"
    "$PYTHON" -m zipfile -e "$wheel" "$1/${name%%-*}"
done
