#!/usr/bin/env bash
# The bridge compiles for macOS as far as its Rust goes, and says for Windows what to do instead (where rustup can fetch their standard
# libraries). The C libraries that it is linked to have their own tests there, so their objects are left empty, and nothing is linked.
. "$(dirname "$0")/../lib.sh"
have rustup || skip "rustup is missing: it has the standard libraries of other systems"
need_compilers
macos=aarch64-apple-darwin windows=x86_64-pc-windows-gnu
if ! rustup target add "$macos" "$windows" >/dev/null 2>&1; then
    # They come from Rust's own server, which not every machine reaches: no reason to fail.
    echo "NOT CHECKED: rustup could not add the targets $macos and $windows" >&2
    exit 0
fi
# OpenSSL's headers, as they are on this system or were made for it: to make them once more takes a minute.
if [ -n "${OPENSSL_NO_VENDOR:-}" ]; then
    library=$(find /usr/lib -name libssl.a | head -n 1)
    export OPENSSL_INCLUDE_DIR=/usr/include OPENSSL_LIB_DIR=${library%/*} OPENSSL_LIBS=ssl:crypto
else
    openssl=$(find "$target" -path '*/build/openssl-sys-*/out/openssl-build/install' -type d -prune | head -n 1)
    if [ -n "$openssl" ]; then
        export OPENSSL_NO_VENDOR=1 OPENSSL_INCLUDE_DIR=$openssl/include OPENSSL_LIB_DIR=$openssl/lib OPENSSL_LIBS=ssl:crypto
    fi
fi
export CARGO_TARGET_DIR=$target
export CC=$PWD/tests/portable/cc CXX=$PWD/tests/portable/cc AR=$PWD/tests/portable/ar RANLIB=$PWD/tests/portable/ar SDKROOT=$PWD/tests/portable
RUSTFLAGS='-D warnings' cargo check --quiet --locked --target "$macos" --package icr-bridge --lib --bins
echo "compiles for macOS ($macos)"

# On Windows it does not, and says so in one sentence.
if said=$(cargo check --quiet --locked --target "$windows" --package icr-bridge --lib 2>&1); then
    echo "it compiles for Windows: the README says that it does not" >&2
    exit 1
fi
if ! grep -qF 'icr-bridge is built for Linux and macOS; on Windows, build it in WSL 2 or in Docker' <<<"$said"; then
    echo "$said" >&2
    exit 1
fi
echo 'says that it does not compile for Windows, and what to do instead'
