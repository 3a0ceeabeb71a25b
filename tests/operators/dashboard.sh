#!/usr/bin/env bash
# A real Prometheus answers every query of the dashboard, and the answers are right.
. "$(dirname "$0")/../lib.sh"
need_stack
prometheus=$(need_program prometheus prometheus)
python3 tests/operators/dashboard.py "$BRIDGE" "$prometheus" --results "$target/dashboard.json"
