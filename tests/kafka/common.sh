# shellcheck shell=bash
# What start, stop and admin share. A broker's folder holds all there is to know about it:
#   ports        BROKER_PORT, SASL_PORT, CONTROLLER_PORT and CLUSTER_ID, kept over restarts
#   config/      server.properties
#   pid          the broker's process (jars), or
#   container    its container (Docker)
#   broker.log   what it said since its last start

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
# The version of pom.xml and docker-compose.yml.
# shellcheck disable=SC2034
image=apache/kafka:4.4.0
libs=${KAFKA_LIBS:-${CARGO_TARGET_DIR:-$root/target}/kafka-libs}

fail() {
    printf '%s\n' "$*" >&2
    exit 1
}

# A zombie that nobody reaps still answers to `kill -0`.
alive() {
    kill -0 "$1" 2>/dev/null && ! grep -qs '^State:[[:space:]]*Z' "/proc/$1/status"
}

docker_answers() {
    command -v docker >/dev/null && timeout 10 docker info >/dev/null 2>&1
}

# Kafka as jars, from Maven. Several may come here at once: whoever is first wins, and nobody sees half a folder.
provision_jars() {
    cmp -s "$here/pom.xml" "$libs/pom.xml" && return
    command -v java >/dev/null || fail "java is missing: install a Java runtime, 17 or newer (Debian: default-jre-headless)"
    command -v mvn >/dev/null || fail "mvn is missing: install Maven (Debian: maven)"
    local fresh="$libs.$$"
    mkdir -p "$fresh"
    echo "fetching Kafka's jars" >&2
    mvn -q -B -f "$here/pom.xml" dependency:copy-dependencies -DincludeScope=runtime \
        -DoutputDirectory="$fresh" >&2
    cp "$here/pom.xml" "$fresh/"
    if [ -d "$libs" ] && ! cmp -s "$here/pom.xml" "$libs/pom.xml"; then
        rm -rf "$libs"
    fi
    [ -d "$libs" ] || mv "$fresh" "$libs" 2>/dev/null || true
    rm -rf "$fresh"
}

java_small() {
    java -Xms64m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp "$libs/*" "$@"
}
