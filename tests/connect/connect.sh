#!/usr/bin/env bash
# deploy/contract/CONNECT.md does what it says, with Kafka Connect's converters and transforms and a real PostgreSQL.
. "$(dirname "$0")/../lib.sh"
# Running a source file takes a compiler.
need javac default-jdk-headless
fetch connect tests/connect/pom.xml
java -Dorg.slf4j.simpleLogger.defaultLogLevel=error -cp "$tools/connect/*" tests/connect/Page.java deploy/contract
