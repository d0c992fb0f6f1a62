#!/bin/sh
# Prints what links each package that is needed: the archive (libNAME.a), so that the program runs where the package
# is not installed, or the shared library where there is no archive that links, with a word about it. A package that
# cannot be compiled and linked against is named, and the status is 1.
# Usage: CC=gcc LDFLAGS='...' probe-packages.sh PACKAGE...
set -u
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
missing=''
words=''

# links WORD...: whether the probe compiles and links with these words
links() {
    # shellcheck disable=SC2086 # words are meant
    ${CC:-cc} -fPIE -o "$work/probe" "$work/probe.c" ${LDFLAGS:-} "$@" 2> "$work/log"
}

# archive LIBRARY: sets $found to words that link its archive, or fails. GNU's linkers and lld take one in place of a
# shared library where they look for it; Apple's takes a path alone.
archive() {
    set -- "$1" "-Wl,-Bstatic,-l$1,-Bdynamic"
    for found in "$2" "$(${CC:-cc} -print-file-name="lib$1.a")" "/opt/homebrew/lib/lib$1.a" "/usr/local/lib/lib$1.a"; do
        if links "$found"; then
            return 0
        fi
    done
    return 1
}

# probe NAME HEADERS LIBRARY FUNCTION APT-NAME [shared]: without a library the headers alone are looked for; `shared`
# asks for the shared one.
probe() {
    {
        for header in $2; do
            echo "#include <$header>"
        done
        echo "int main(void) { void (*volatile use)(void) = (void (*)(void))${4:-main}; return use == 0; }"
    } > "$work/probe.c"
    if [ -n "$3" ] && [ -z "${6:-}" ] && archive "$3"; then
        words="$words $found"
    elif links ${3:+"-l$3"}; then
        words="$words${3:+ -l$3}"
        if [ -n "$3" ] && [ -z "${6:-}" ]; then
            echo "toto: there is no lib$3.a that links: the program needs the shared library of $1 where it runs" >&2
        fi
    else
        echo "toto: $1 is missing: apt-get install $5" >&2
        missing="$missing $5"
    fi
}

echo 'int main(void) { return 0; }' > "$work/probe.c"
if ! links; then
    echo "toto: the compiler ${CC:-cc} does not work: apt-get install gcc libc6-dev" >&2
    exit 1
fi
for package in "$@"; do
    case $package in
        csv) probe libcsv csv.h csv csv_init libcsv-dev ;;
        argtable2) probe argtable2 argtable2.h argtable2 arg_parse libargtable2-dev ;;
        jansson) probe jansson jansson.h jansson json_loadb libjansson-dev ;;
        nettle) probe nettle nettle/sha2.h nettle sha256_init nettle-dev ;;
        opencl) # headers alone: the library is opened at run time
            case $(uname -s) in
                Darwin) probe OpenCL OpenCL/cl.h '' '' '' ;;
                *) probe 'the OpenCL headers' CL/cl.h '' '' opencl-c-headers ;;
            esac
            ;;
        cmocka) probe cmocka 'stdarg.h stddef.h stdint.h setjmp.h cmocka.h' cmocka _cmocka_run_group_tests libcmocka-dev shared ;;
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
echo "${words# }"
