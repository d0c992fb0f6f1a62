#!/bin/sh
# Installs what toto is built with on Debian and Ubuntu, and names it for other systems.
#
# Usage: install-deps.sh [--test|--train]
#   --test   what only the tests need, too: clang and its sanitizers, cmocka, shellcheck, groff
#   --train  what the trainer needs, too: PyTorch, for a processor
set -eu

build='gcc libc6-dev make libcsv-dev libargtable2-dev libjansson-dev nettle-dev opencl-c-headers'
run='libopenblas0-pthread ocl-icd-libopencl1'
test=''
case ${1:-} in
    '') ;;
    --test) test='libcmocka-dev clang libclang-rt-dev shellcheck groff-base bash pocl-opencl-icd oclgrind' ;;
    --train) test='python3-torch python3-numpy' ;;
    *)
        echo "usage: install-deps.sh [--test|--train]" >&2
        exit 64
        ;;
esac

if ! command -v apt-get > /dev/null 2>&1; then
    cat << 'END'
Packages that toto needs:
  Fedora    gcc make openblas libcsv-devel argtable-devel jansson-devel nettle-devel opencl-headers ocl-icd libcmocka-devel
  Arch      gcc make openblas libcsv argtable jansson nettle opencl-headers ocl-icd cmocka
  Homebrew  openblas libcsv argtable jansson nettle cmocka
and for all of its tests clang, shellcheck, groff, PoCL and Oclgrind.
END
    exit 0
fi

missing=''
for package in $build $run $test; do
    state=$(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2> /dev/null || true)
    case $state in
        ii*) ;;
        *) missing="$missing $package" ;;
    esac
done
[ -n "$missing" ] || exit 0

as_root=''
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo > /dev/null 2>&1; then
        echo "install-deps.sh: run it as root: apt-get install$missing" >&2
        exit 1
    fi
    as_root='sudo'
fi
# shellcheck disable=SC2086 # words are meant; without them there is no sudo
$as_root apt-get update -q
wanted=''
for package in $missing; do # older releases have the sanitizers inside clang
    if apt-cache show "$package" > /dev/null 2>&1; then
        wanted="$wanted $package"
    else
        echo "install-deps.sh: this release has no package $package" >&2
    fi
done
# shellcheck disable=SC2086
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $wanted
