#!/usr/bin/env bash
# The official AsyncAPI parser and a second JSON Schema implementation approve of deploy/contract; quicktype, datamodel-code-generator and
# modelina make typed code of it in seven languages, which compiles and reads every golden record and those of random payloads.
. "$(dirname "$0")/../lib.sh"
need node nodejs
fetch contract tests/contract/package.json
node tests/contract/validate.mjs "$tools/contract" deploy/contract
need python3 python3
python3 tests/contract/readme.py deploy/contract/golden

need javac default-jdk-headless
fetch generators/js tests/contract/generators/package.json
fetch generators/python tests/contract/generators/requirements.txt
fetch generators/java tests/contract/generators/pom.xml
need_compilers
# What random payloads become is written by a test; of all members, so that none is compiled again with other features.
mkdir -p "$work/generated"
RANDOM_RECORDS=$work/generated/random.jsonl cargo test --locked --test domain -- contract::arbitrary::the_record >&2
node tests/contract/generators/generate.mjs "$tools/generators/js" deploy/contract "$work/generated/code"
"$tools/generators/python/bin/python" tests/contract/generators/check.py "$work/generated/code" deploy/contract "$work/generated" "$tools/generators"
