#!/usr/bin/env bash
# promtool approves of the Prometheus configuration and of every alert; dashboard and examples agree with the bridge.
. "$(dirname "$0")/../lib.sh"
promtool=$(need_program promtool prometheus)
"$promtool" check config deploy/prometheus/prometheus.yml
printf '%s\0' deploy/prometheus/*.test.yml | xargs -0 -n 1 -P "$(nproc)" "$promtool" test rules
integration deploy::
