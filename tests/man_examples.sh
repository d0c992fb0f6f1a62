#!/bin/sh
# The examples of the man pages run as they are printed, in a folder that holds a model and their files.
# Usage: TOTO=/path/to/toto man_examples.sh (in the top-level folder)
set -u
root=$PWD
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
mkdir "$work/bin"
ln -s "$TOTO" "$work/bin/toto"
PATH=$work/bin:$PATH
unset TOTO_MODEL TOTO_DEVICE

ln -s "$root/tests/golden/toto1/models/d3" "$work/model"
ln -s "$root/data/ETTh1.csv" "$work/ETTh1.csv"
head -n 400 "$root/data/ETTh1.csv" > "$work/hourly.csv"
awk 'BEGIN {
    print "unique_id,ds,y"
    for (i = 1; i <= 28; i++) printf "shop,2024-02-%02d,%d\n", i, 20 + i % 7
}' > "$work/sales.csv"
sed '1s/.*/store,day,sold/' "$work/sales.csv" > "$work/stores.csv"
awk 'NR == 1 { print $0 ",price" } NR > 1 { print $0 "," NR % 3 }' "$work/sales.csv" > "$work/shops.csv"
awk 'BEGIN {
    print "unique_id,ds,price"
    for (i = 1; i <= 14; i++) printf "shop,2024-03-%02d,%d\n", i, i % 3
}' > "$work/prices.csv"
cd "$work" || exit 1

n=0
failed=0
for page in "$root"/man/*.1; do
    sed -n '/^\.EX$/,/^\.EE$/p' "$page" | grep -v '^\.E[XE]$' | sed 's/\\-/-/g' > examples
    while IFS= read -r line; do
        n=$((n + 1))
        if sh -c "$line" > out 2> err && [ ! -s err ]; then
            echo "ok $n - $line"
        else
            echo "not ok $n - $line"
            sed 's/^/# /' err
            failed=1
        fi
    done < examples
done
echo "1..$n"
exit $failed
