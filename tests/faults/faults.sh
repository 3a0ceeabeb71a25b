#!/usr/bin/env bash
# The short form of every fault in tests/faults, against a real Kafka.
. "$(dirname "$0")/../lib.sh"
need_compilers
need_kafka
tests/faults/run
