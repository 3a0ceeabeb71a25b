#!/usr/bin/env bash
# clippy and rustdoc find nothing; neither does shellcheck in the scripts.
. "$(dirname "$0")/lib.sh"
cargo clippy --version >/dev/null 2>&1 || skip "clippy is missing: rustup component add clippy"
need_compilers
cargo clippy --locked --all-targets -- -D warnings
# No part of `cargo test`, and so of no `--all-targets`.
cargo clippy --locked --test faults -- -D warnings
RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps
shellcheck=$(need_program shellcheck shellcheck)
grep -rlE --exclude-dir=target '^#! ?/.*sh$|^# shellcheck shell=' tests deploy .ci | xargs "$shellcheck" -x -P SCRIPTDIR
