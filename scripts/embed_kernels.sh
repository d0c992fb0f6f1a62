#!/bin/sh
# Writes a C file that holds every file of kernels/ (and of the folders in it) as bytes, so that the binary needs
# no file beside it. Usage: embed_kernels.sh FOLDER > FILE.c
set -eu
folder=$1
LC_ALL=C
export LC_ALL

echo '/* Made by scripts/embed_kernels.sh from kernels/. */'
echo '#include "backend/opencl/ocl.h"'
n=0
rows=''
for file in "$folder"/*.cl "$folder"/*/*.cl; do
    [ -f "$file" ] || continue
    name=${file#"$folder"/}
    echo
    echo "static const unsigned char text_${n}[] = {"
    od -An -v -tu1 "$file" | awk '{ gsub(/ +/, ","); sub(/^,/, ""); print $0 "," }'
    echo '0};'
    rows="$rows    {\"${name%.cl}\", text_$n, sizeof text_$n - 1},
"
    n=$((n + 1))
done
printf '\nconst struct ocl_source ocl_sources[] = {\n%s    {NULL, NULL, 0},\n};\n' "$rows"
