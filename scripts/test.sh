#!/bin/sh
# From a fresh Debian or Ubuntu to the tests: installs what is needed, builds, and runs them all.
set -eu
cd "$(dirname "$0")/.."
sh scripts/install-deps.sh --test
make -j"$(nproc 2> /dev/null || echo 2)"
exec make check
