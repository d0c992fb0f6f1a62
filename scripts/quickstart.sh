#!/bin/sh
# From a fresh Debian or Ubuntu to a forecast: installs what is needed, builds, and forecasts a day of
# data/ETTh1.csv with a small checkpoint of random weights. The numbers mean nothing; the way is the whole.
set -eu
cd "$(dirname "$0")/.."
sh scripts/install-deps.sh > /dev/null
make -j"$(nproc 2> /dev/null || echo 2)" > /dev/null
echo 'A checkpoint of random weights: the numbers below mean nothing.' >&2
exec build/toto forecast -m tests/golden/toto1/models/d1 --horizon 24 data/ETTh1.csv
