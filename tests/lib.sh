# shellcheck shell=bash
# What the suites share; sourced by each, which then stands at the top of the repository. A suite is a script that can be run alone:
# it exits with 0, with 77 where something that it needs is missing (it says what), or with another code.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

target=${CARGO_TARGET_DIR:-$PWD/target}
case $target in /*) ;; *) target=$PWD/$target ;; esac
# What is fetched stays there.
tools=$target/tools
SKIPPED=77

# Whatever a run leaves is in one folder, which `tests/run` gives to its suites.
if [ -z "${TEST_WORK:-}" ]; then
    export TEST_WORK=$target/test-run.$$
    trap clean_up EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
fi
work=$TEST_WORK
mkdir -p "$tools" "$work"

clean_up() {
    local folder
    for folder in "$work"/kafka/*/; do
        [ ! -f "$folder/ports" ] || tests/kafka/stop "${folder%/}" --remove || true
    done
    [ ! -f "$work/engine" ] || tests/compose/engine stop "$(cat "$work/engine")" || true
    rm -rf "$work"
}

skip() {
    printf 'skipped: %s\n' "$*" >&2
    exit $SKIPPED
}

have() {
    command -v "$1" >/dev/null
}

# alone COMMAND…: suites run side by side, but packages are installed, and results printed, by one at a time.
alone() {
    local code=0
    until mkdir "$work/alone" 2>/dev/null; do sleep 0.1; done
    "$@" || code=$?
    rmdir "$work/alone"
    return $code
}

# apt_get VERB…: Debian's packages; the first time in a run with a fresh list, since an old one names versions that are gone.
apt_get() {
    [ "$(id -u)" = 0 ] && have apt-get || return 1
    if [ ! -f "$work/apt-updated" ]; then
        apt-get update -qq >&2
        touch "$work/apt-updated"
    fi
    DEBIAN_FRONTEND=noninteractive apt-get -y -qq --no-install-recommends "$@" >"$work/apt.log" 2>&1
}

# need COMMAND PACKAGE…: installs the packages where the command is missing.
need() {
    local wanted=$1
    shift
    have "$wanted" || alone apt_get install "$@" || skip "$wanted is missing: install it (Debian: $*)"
}

# need_program NAME PACKAGE: prints the path of a single program out of a package, which is not installed (so that no service starts).
need_program() {
    local name=$1 package=$2
    command -v "$name" || find_program "$name" && return
    alone unpack "$package" || skip "$name is missing: install it (Debian: $package)"
    find_program "$name"
}

unpack() {
    (cd "$work" && apt_get download "$1" && dpkg-deb -x "$1"_*.deb "$tools")
}

find_program() {
    local found
    found=$(find "$tools/usr/bin" "$tools/usr/sbin" -name "$1" 2>/dev/null | head -n 1)
    [ -n "$found" ] && echo "$found"
}

# What building the crate takes.
need_compilers() {
    have cargo || skip "cargo is missing: install a Rust toolchain"
    need cc gcc libc6-dev
    need c++ g++
    need make make
    need perl perl
}

# The bridge as the suites run it: built with the tests, as all else is. Alone, the features of its dependencies would be others, and all
# of them be compiled again.
need_bridge() {
    need_compilers
    cargo test --locked --test it --no-run
    export BRIDGE=$target/debug/icr-bridge
}

# Names a Kafka in the environment, starting one where there is none. The suites of a run share it.
need_kafka() {
    if [ -z "${KAFKA_BOOTSTRAP:-}" ] && [ ! -f "$work/kafka.env" ]; then
        docker_answers || need_java
        tests/kafka/start "$work/kafka/shared" >"$work/kafka.starting"
        mv "$work/kafka.starting" "$work/kafka.env"
    fi
    if [ -z "${KAFKA_BOOTSTRAP:-}" ]; then
        set -a
        # shellcheck disable=SC1091
        . "$work/kafka.env"
        set +a
    fi
    export KAFKA_WORK=$work/kafka
}

docker_answers() {
    [ "${KAFKA_FROM:-docker}" = docker ] && have docker && timeout 10 docker info >/dev/null 2>&1
}

need_java() {
    need java default-jre-headless
    need mvn maven
}

# The operators' suites start brokers of their own, which are faster from jars.
need_stack() {
    need_bridge
    need python3 python3
    need_java
    export KAFKA_FROM=jars OPERATORS_WORK=$work
}

# Runs the integration tests whose names contain one of the words; none at all is a failure.
integration() {
    need_compilers
    local log=$work/it.$$.log skipped
    cargo test --locked --test it -- "$@" 2>&1 | tee "$log"
    if grep -q '^running 0 tests' "$log"; then
        echo "no test has $* in its name" >&2
        return 1
    fi
    skipped=$(grep -c '^SKIPPED ' "$log" || true)
    [ "$skipped" = 0 ] || skip "$skipped tests of this suite"
}

# fetch NAME FILE: installs what a package.json, requirements.txt or pom.xml asks for into $tools/NAME, once.
fetch() {
    local into=$tools/$1 file=$2
    ! cmp -s "$file" "$into/fetched" || return 0
    rm -rf "$into"
    mkdir -p "$into"
    case $file in
        *package.json)
            need npm npm
            cp "$file" "$into/package.json"
            (cd "$into" && npm install --no-audit --no-fund --no-package-lock --ignore-scripts --loglevel=error)
            ;;
        *requirements.txt)
            need python3 python3 python3-venv
            python3 -c 'import ensurepip' 2>/dev/null || alone apt_get install python3-venv
            python3 -m venv "$into" && "$into/bin/pip" install -q --disable-pip-version-check --no-compile -r "$file"
            ;;
        *pom.xml)
            need mvn maven
            mvn -q -B -f "$file" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$into" >&2
            ;;
    esac || skip "what $file asks for could not be fetched"
    cp "$file" "$into/fetched"
}
