#!/bin/sh
# Puts the C library under a prefix: install.sh PREFIX [DIRECTORY]
#
# DIRECTORY is where cargo left the library, release in $CARGO_TARGET_DIR or in target of this checkout unless it is given:
#     cargo build --release -p highwater-capi
#     sh crates/capi/install.sh /usr/local
# A library of the explicit engine (--features explicit) becomes libhighwater_explicit and highwater-explicit.pc, so that
# both may be under one prefix, and plug-ins of both in one process.
# DESTDIR is put before the prefix where files go, and not in what they say, as packagers want it.
set -eu

if [ $# -lt 1 ] || [ $# -gt 2 ]; then
    echo "usage: $0 PREFIX [DIRECTORY]" >&2
    exit 2
fi
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
root=$here/../..
case $1 in
'')
    echo "$0: the prefix is empty" >&2
    exit 2
    ;;
/*) prefix=$1 ;;
*) prefix=$(pwd)/$1 ;;
esac
built=${2:-${CARGO_TARGET_DIR:-$root/target}/release}
to=${DESTDIR:-}$prefix

for file in libhighwater.so libhighwater.a; do
    if [ ! -f "$built/$file" ]; then
        echo "$built/$file is not there: cargo build --release -p highwater-capi" >&2
        exit 1
    fi
done
# In a checkout the version is the workspace's, in a package its own.
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$here/Cargo.toml" "$root/Cargo.toml" 2>/dev/null | head -n 1)

# A library of the explicit engine says so by the symbol that its header asks for.
library=highwater
name=highwater
cflags=
if grep -q hw_engine_explicit "$built/libhighwater.so"; then
    library=highwater_explicit
    name=highwater-explicit
    cflags=' -DHIGHWATER_EXPLICIT'
fi

# As pkg-config wants a path, and then as sed wants a replacement.
quoted=$(printf '%s\n' "$prefix" | sed -e 's/[\\ ]/\\&/g' -e 's/[\\|&]/\\&/g')

mkdir -p "$to/lib/pkgconfig" "$to/include" "$to/share/highwater"
install -m 755 "$built/libhighwater.so" "$to/lib/lib$library.so"
install -m 644 "$built/libhighwater.a" "$to/lib/lib$library.a"
install -m 644 "$here/include/highwater.h" "$to/include/highwater.h"
install -m 644 "$here/share/highwater.py" "$to/share/highwater/highwater.py"
sed -e "s|@PREFIX@|$quoted|" -e "s|@VERSION@|$version|" -e "s|@CFLAGS@|$cflags|" \
    -e "s|@NAME@|$name|" -e "s|@LIBRARY@|$library|" "$here/highwater.pc.in" \
    >"$to/lib/pkgconfig/$name.pc"
chmod 644 "$to/lib/pkgconfig/$name.pc"
echo "$name $version is in $to"
