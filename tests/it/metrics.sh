#!/usr/bin/env bash
# Prometheus's promtool approves of what the bridge exposes.
. "$(dirname "$0")/../lib.sh"
PROMTOOL=$(need_program promtool prometheus)
export PROMTOOL
integration promtool
