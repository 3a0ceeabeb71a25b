#!/usr/bin/env bash
# The commands of deploy/RUNBOOK.md do what they say, against a real bridge and a real Kafka.
. "$(dirname "$0")/../lib.sh"
need_stack
need curl curl
need jq jq
need openssl openssl
python3 tests/operators/runbook.py "$BRIDGE"
