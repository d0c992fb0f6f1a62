#!/bin/sh
# Names each package that is needed and cannot be compiled and linked against.
# Usage: CC=gcc probe-packages.sh PACKAGE...
set -u
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
missing=''

# probe NAME HEADERS LIBRARY APT-NAME
probe() {
    {
        for header in $2; do
            echo "#include <$header>"
        done
        echo 'int main(void) { return 0; }'
    } > "$work/probe.c"
    # shellcheck disable=SC2086 # no library, no word
    if ! ${CC:-cc} -o "$work/probe" "$work/probe.c" ${3:+-l$3} 2> "$work/log"; then
        echo "toto: $1 is missing: apt-get install $4" >&2
        missing="$missing $4"
    fi
}

if ! echo 'int main(void) { return 0; }' > "$work/probe.c" ||
    ! ${CC:-cc} -o "$work/probe" "$work/probe.c" 2> "$work/log"; then
    echo "toto: the compiler ${CC:-cc} does not work: apt-get install gcc libc6-dev" >&2
    exit 1
fi
for package in "$@"; do
    case $package in
        csv) probe libcsv csv.h csv libcsv-dev ;;
        argtable2) probe argtable2 argtable2.h argtable2 libargtable2-dev ;;
        jansson) probe jansson jansson.h jansson libjansson-dev ;;
        nettle) probe nettle nettle/sha2.h nettle nettle-dev ;;
        opencl) # headers alone: the library is opened at run time
            case $(uname -s) in
                Darwin) probe OpenCL OpenCL/cl.h '' '' ;;
                *) probe 'the OpenCL headers' CL/cl.h '' opencl-c-headers ;;
            esac
            ;;
        cmocka) probe cmocka 'stdarg.h stddef.h stdint.h setjmp.h cmocka.h' cmocka libcmocka-dev ;;
        *)
            echo "probe-packages.sh: unknown package $package" >&2
            exit 1
            ;;
    esac
done
if [ -n "$missing" ]; then
    echo "toto: or all at once: sh scripts/install-deps.sh" >&2
    exit 1
fi
