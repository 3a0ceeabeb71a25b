#!/usr/bin/env bash
# The consumers in tests/consumers (Java, Python, Node.js, Go, Rust) make the same of real records, however often and in whatever order they
# read them; Java's partitioner agrees with the bridge's.
. "$(dirname "$0")/../lib.sh"
need_bridge
need_kafka
here=tests/consumers

# Modules are looked for beside the program.
node_consumer() {
    cp $here/node/{consumer.mjs,event.d.ts} "$tools/consumers/node/"
    (cd "$tools/consumers/node" && node_modules/.bin/tsc --noEmit --allowJs --checkJs --strict --noImplicitAny false --skipLibCheck \
        --module nodenext --target es2022 consumer.mjs)
}

go_consumer() {
    local misformatted
    misformatted=$(gofmt -l $here/go)
    [ -z "$misformatted" ] || { echo "gofmt would change $misformatted" >&2; return 1; }
    (cd $here/go && go vet . && go build -o "$work/go-consumer" .)
}

need javac default-jdk-headless
need node nodejs
fetch consumers/python $here/python/requirements.txt
fetch consumers/node $here/node/package.json
fetch consumers/java $here/java/pom.xml
node_consumer
javac -cp "$tools/consumers/java/*" -d "$work/classes" $here/java/*.java
# With the tests' features, as the bridge is.
cargo test --locked --example consumer --no-run
python=$tools/consumers/python/bin/python
java="java -Dorg.slf4j.simpleLogger.defaultLogLevel=warn -cp $tools/consumers/java/*:$work/classes"
commands=("python=$python $here/python/consumer.py" "node=node $tools/consumers/node/consumer.mjs" "java=$java Consumer"
    "java-partitions=$java Partitions" "rust=$target/debug/examples/consumer")
# There is no Go of this age in Debian: without one, the others run all the same.
! have go || { go_consumer && commands+=("go=$work/go-consumer"); }
"$python" $here/check.py "$BRIDGE" "$work" "${commands[@]}"
have go || skip "the consumer in Go: install Go 1.26"
