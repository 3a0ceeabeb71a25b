#!/usr/bin/env bash
# The code is formatted.
. "$(dirname "$0")/lib.sh"
cargo fmt --version >/dev/null 2>&1 || skip "rustfmt is missing: rustup component add rustfmt"
cargo fmt --all --check
cargo fmt --check --manifest-path tests/fuzz/Cargo.toml
