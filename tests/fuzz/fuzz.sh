#!/usr/bin/env bash
# Every fuzz target finds nothing wrong for a few seconds (longer: tests/fuzz/run).
. "$(dirname "$0")/../lib.sh"
need_compilers
tests/fuzz/run --seconds 4
