#!/usr/bin/env bash
# Integration tests against a real Kafka.
. "$(dirname "$0")/../lib.sh"
need_kafka
integration real_kafka::
