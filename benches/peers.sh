#!/usr/bin/env bash
# The peers of the heap's benchmarks, as shared objects that a program can be run with: benches/peers.sh DIR
#
# Debian's packages are unpacked, not installed, where apt-get has them; newer versions are built from the sources that
# their crates carry, which cargo fetches. What is not available is named, and left out. Then:
#
#   HIGHWATER_PEERS=DIR cargo bench --bench heap
#
# Needs cargo, gcc, g++ 11 or newer (snmalloc) and make (jemalloc). Nothing here is built or run by cargo test.
set -uo pipefail

if [ $# -ne 1 ]; then
    echo "usage: $0 DIR" >&2
    exit 2
fi
mkdir -p "$1" || exit 2
to=$(cd "$1" && pwd)
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
jobs=${JOBS:-2}
missing=0

# have NAME VERSION HOW: prints what was built; the bench takes a peer's name and version from the name of the file.
have() { printf '%-12s %-10s %s\n' "$1" "$2" "$3 -> lib$1-$2.so"; }

# lacks NAME LOG: prints why it is missing, with the last lines of the log.
lacks() {
    missing=1
    printf '%-12s left out: %s\n' "$1" "$(grep -v '^ *$' "$2" 2>/dev/null | tail -n 1)" >&2
}

# Debian's: package, the file in it, our name.
debian() {
    local package=$1 file=$2 name=$3 log="$work/$1.log" version
    (
        set -e
        mkdir "$work/$package"
        cd "$work/$package"
        apt-get download "$package"
        dpkg-deb -x ./*.deb .
    ) >"$log" 2>&1 || { lacks "$package" "$log"; return; }
    version=$(dpkg-deb -f "$work/$package"/*.deb Version | sed 's/[-+].*//')
    cp -L "$work/$package"/usr/lib/*/"$file" "$to/lib$name-$version.so" 2>"$log" || { lacks "$package" "$log"; return; }
    have "$name" "$version" "Debian's $package"
}

# The sources: a package that is never built, with the crates as its dependencies.
fetch() {
    cat >"$work/Cargo.toml" <<'TOML'
[package]
name = "peers"
version = "0.0.0"
edition = "2021"

[lib]
path = "lib.rs"

[dependencies]
libmimalloc-sys = "0.1.49"
rpmalloc-sys = "0.2.3"
snmalloc-sys = "0.7.6"
tikv-jemalloc-sys = "0.7.1"

[workspace]
TOML
    : >"$work/lib.rs"
    (cd "$work" && cargo vendor --versioned-dirs vendor) >"$work/vendor.log" 2>&1
}

# crate NAME: where its sources are.
crate() { find "$work/vendor" -maxdepth 1 -name "$1-[0-9]*" | head -n 1; }

shared=(-O3 -DNDEBUG -fPIC -shared -fvisibility=hidden -ftls-model=initial-exec -fno-builtin-malloc)

mimalloc() {
    local source version log="$work/mimalloc-$1.log"
    source="$(crate libmimalloc-sys)/c_src/mimalloc/$1"
    version=$(awk '$1 == "#define" && $2 == "MI_MALLOC_VERSION" {
        print int($3 / 10000) "." int($3 / 100) % 100 "." $3 % 100; exit
    }' "$source/include/mimalloc.h" 2>"$log")
    gcc "${shared[@]}" -DMI_SHARED_LIB -DMI_SHARED_LIB_EXPORT -DMI_MALLOC_OVERRIDE -DMI_BUILD_RELEASE \
        -I "$source/include" "$source/src/static.c" -o "$to/libmimalloc-$version.so" -lpthread >"$log" 2>&1 ||
        { lacks "mimalloc-$1" "$log"; return; }
    have mimalloc "$version" "libmimalloc-sys"
}

rpmalloc() {
    local source version log="$work/rpmalloc.log"
    source="$(crate rpmalloc-sys)/rpmalloc"
    version=$(head -n 1 "$source/CHANGELOG" | tr -d '\r')
    gcc "${shared[@]}" -D_GNU_SOURCE -DENABLE_OVERRIDE=1 -DENABLE_PRELOAD=1 -I "$source/rpmalloc" \
        "$source/rpmalloc/rpmalloc.c" -o "$to/librpmalloc-$version.so" -lpthread -ldl >"$log" 2>&1 ||
        { lacks rpmalloc "$log"; return; }
    have rpmalloc "$version" "rpmalloc-sys"
}

snmalloc() {
    local source version log="$work/snmalloc.log"
    source=$(crate snmalloc-sys)
    version=${source##*snmalloc-sys-}
    g++ -std=c++20 "${shared[@]}" -mcx16 -fno-exceptions -fno-rtti -fomit-frame-pointer \
        -DSNMALLOC_USE_WAIT_ON_ADDRESS=1 -DSNMALLOC_USE_CXX11_DESTRUCTORS -I "$source/upstream/src" \
        -DSNMALLOC_EXPORT='__attribute__((visibility("default")))' \
        "$source/upstream/src/snmalloc/override/malloc.cc" -o "$to/libsnmalloc-$version.so" -lpthread >"$log" 2>&1 ||
        { lacks snmalloc "$log"; return; }
    have snmalloc "$version" "snmalloc-sys"
}

jemalloc() {
    local source full log="$work/jemalloc.log"
    source=$(crate tikv-jemalloc-sys)
    full=${source##*+}
    (
        set -e
        cp -r "$source/jemalloc" "$work/jemalloc"
        cp "$source/configure/configure" "$work/jemalloc/"
        cd "$work/jemalloc"
        ./configure --with-version="$full" --disable-cxx --disable-static --enable-doc=no
        make -j "$jobs" build_lib_shared
        cp -L lib/libjemalloc.so "$to/libjemalloc-${full%%-*}.so"
    ) >"$log" 2>&1 || { lacks jemalloc "$log"; return; }
    have jemalloc "${full%%-*}" "tikv-jemalloc-sys"
}

debian libmimalloc2.0 libmimalloc.so.2.0 mimalloc
debian libjemalloc2 libjemalloc.so.2 jemalloc
debian libtcmalloc-minimal4 libtcmalloc_minimal.so.4 tcmalloc
if fetch; then
    mimalloc v2
    mimalloc v3
    rpmalloc
    snmalloc
    jemalloc
else
    lacks "the crates" "$work/vendor.log"
fi
exit "$missing"
