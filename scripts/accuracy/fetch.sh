#!/bin/sh
# Downloads the packages of packages.txt, each checked against its hash, and unpacks them for sets.py.
# usage: fetch.sh DIR    PYTHON: the interpreter whose pip is used (python3)
set -eu
[ $# -eq 1 ] || { sed -n '2,3s/^# //p' "$0" >&2; exit 64; }
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1/wheels"
# The platform is fixed, so that every machine gets the files that the hashes are of; none is run.
"${PYTHON:-python3}" -m pip download --quiet --disable-pip-version-check --require-hashes --no-deps \
    --only-binary=:all: --implementation cp --python-version 3.11 --platform manylinux_2_28_x86_64 \
    --platform manylinux2014_x86_64 --dest "$1/wheels" --requirement "$here/packages.txt"
for wheel in "$1"/wheels/*.whl; do
    name=$(basename "$wheel")
    mkdir -p "$1/${name%%-*}"
    "${PYTHON:-python3}" -m zipfile -e "$wheel" "$1/${name%%-*}"
done
