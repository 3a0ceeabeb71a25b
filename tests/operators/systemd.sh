#!/usr/bin/env bash
# deploy/systemd is secure by systemd's own measure, and a real systemd restarts the service under load without a failed delivery.
. "$(dirname "$0")/../lib.sh"
[ "$(id -u)" = 0 ] || skip "systemd is only booted where this is root"
need_bridge
need_kafka
need python3 python3
need systemd-analyze systemd
need nsenter util-linux
OPERATORS_WORK=$work python3 tests/operators/systemd.py "$BRIDGE"
