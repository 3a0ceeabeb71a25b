#!/usr/bin/env bash
# deploy/proxy: a real nginx before two bridges, which are restarted and killed in turn under load, loses nothing.
. "$(dirname "$0")/../lib.sh"
need_bridge
need_kafka
need openssl openssl
# With confluent-kafka the topic is read.
fetch consumers/python tests/consumers/python/requirements.txt
nginx=$(need_program nginx nginx)
caddy=$(need_program caddy caddy)
OPERATORS_WORK=$work "$tools/consumers/python/bin/python" tests/operators/edge.py "$BRIDGE" "$nginx" "$caddy"
