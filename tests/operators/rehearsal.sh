#!/usr/bin/env bash
# An incident on the real stack calls those whom it should, and nobody else. (Wants root: the disk that fills is a filesystem of its own.)
. "$(dirname "$0")/../lib.sh"
need_stack
python3 tests/operators/rehearsal.py "$BRIDGE" "$(need_program promtool prometheus)"
