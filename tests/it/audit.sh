#!/usr/bin/env bash
# deny.toml's rules for licences and sources hold, also for the image's; advisories too where cargo-deny is installed; the oldest version of
# Rust that Cargo.toml allows compiles the bridge.
. "$(dirname "$0")/../lib.sh"
integration licences::
if have cargo-deny; then
    cargo deny --offline check licenses bans sources
    if cargo deny fetch db >/dev/null 2>&1; then
        cargo deny --offline check advisories
    else
        echo 'the database of advisories cannot be reached: nobody asked for known vulnerabilities'
    fi
else
    echo 'cargo-deny is not installed (cargo install --locked cargo-deny): nobody asked for known vulnerabilities'
fi

oldest=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
grep -q "^FROM rust:$oldest-" deploy/Dockerfile
if [[ $(rustc --version) == "rustc $oldest."* ]]; then
    # All that is built here is built with it.
    need_bridge
elif have rustup && rustup run "$oldest" rustc --version >/dev/null 2>&1; then
    CARGO_TARGET_DIR=$target/oldest rustup run "$oldest" cargo check --locked --all-targets
else
    skip "Rust $oldest, the oldest version that Cargo.toml allows: rustup toolchain install $oldest --profile minimal"
fi
echo "compiles with Rust $oldest, the oldest version that Cargo.toml allows"
