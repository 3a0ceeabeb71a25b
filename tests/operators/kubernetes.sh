#!/usr/bin/env bash
# deploy/kubernetes is valid for the API, keeps its promises, and its settings are good for the bridge.
. "$(dirname "$0")/../lib.sh"
need_bridge
have go || skip "go is missing: install Go 1.26"
fetch kubernetes tests/operators/requirements.txt
kustomize=(kubectl kustomize)
if ! have kubectl; then
    # From the Go module proxy, as the types of the Prometheus operator.
    GOBIN=$tools go install sigs.k8s.io/kustomize/kustomize/v5@v5.8.0 || skip "kubectl is missing, and kustomize could not be built"
    kustomize=("$tools/kustomize" build)
fi
(cd tests/operators/monitoring && go build -o "$work/monitoring" .) || skip "the Prometheus operator's types cannot be had"
"$tools/kubernetes/bin/python" tests/operators/kubernetes.py "$BRIDGE" "$work/monitoring" "${kustomize[@]}"
