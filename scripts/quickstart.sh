#!/bin/sh
# From a fresh Debian or Ubuntu to a forecast: installs what is needed, builds, and forecasts a day of
# data/ETTh1.csv with the built-in model.
set -eu
cd "$(dirname "$0")/.."
sh scripts/install-deps.sh > /dev/null
make -j"$(nproc 2> /dev/null || echo 2)" > /dev/null
exec build/toto forecast --horizon 24 data/ETTh1.csv
