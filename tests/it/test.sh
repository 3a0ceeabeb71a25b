#!/usr/bin/env bash
# All tests that need nothing but this repository (the same as `cargo test`).
. "$(dirname "$0")/../lib.sh"
need_compilers
# What needs more than this repository has suites of its own.
cargo test --locked -- --skip real_kafka:: --skip promtool
