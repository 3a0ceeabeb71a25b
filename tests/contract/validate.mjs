// Usage: node validate.mjs MODULES CONTRACT
//
// The official AsyncAPI parser approves of asyncapi.yaml, without errors or warnings; and ajv, a second implementation of JSON
// Schema, finds every golden record valid under the schemas (in its strict mode, which also finds mistakes in schemas). Both
// must refuse what is wrong, or else their approval would be worth nothing.
import { readFileSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";

const [modules, contract] = process.argv.slice(2).map((path) => resolve(path));
const require = createRequire(join(modules, "package.json"));
const { Parser } = require("@asyncapi/parser");
const { Ajv2020 } = require("ajv/dist/2020.js");
const addFormats = require("ajv-formats").default;

let failures = 0;
function fail(text) {
  failures += 1;
  console.error(`FAILED ${text}`);
}

// Severities of the parser: 0 an error, 1 a warning; 2 and 3 are hints on style.
async function findings(text) {
  const { document, diagnostics } = await new Parser().parse(text);
  const found = diagnostics
    .filter(({ severity }) => severity <= 1)
    .map(({ code, path, message }) => `${path.join(".")}: ${message} (${code})`);
  return { document, found };
}

const text = readFileSync(join(contract, "asyncapi.yaml"), "utf8");
const { document, found } = await findings(text);
found.forEach(fail);
if (document?.version() !== "3.1.0") fail(`AsyncAPI 3.1.0 was expected, not ${document?.version()}`);
const messages = document?.messages().all().map((message) => message.id()) ?? [];
console.log(`asyncapi.yaml: ${document?.channels().all().length} channels, messages ${messages.join(", ")}`);

const breaks = [
  ["a missing title", /^ {2}title: .*\n/m, ""],
  ["an unknown action", "action: send", "action: shout"],
  ["a channel that does not exist", '"#/channels/events"', '"#/channels/nothing"'],
  ["a schema that does not exist", '"#/components/schemas/Organization"', '"#/components/schemas/Nothing"'],
  ["a Kafka binding of another form", "partitions: 6", "partitions: many"],
  ["a schema that is none", "minLength: 1", "minLength: one"],
];
for (const [what, from, to] of breaks) {
  const broken = text.replace(from, to);
  if (broken === text) fail(`${what}: nothing to break`);
  else if ((await findings(broken)).found.length === 0) fail(`the parser does not notice ${what}`);
}

// Types may be lists, and `required` may name what another part of a schema describes; else ajv's strict mode as it is.
const ajv = new Ajv2020({ strict: true, allowUnionTypes: true, strictRequired: false, strictTypes: false });
addFormats(ajv);
ajv.addVocabulary(["x-known-values", "x-known-properties"]);
function validator(name) {
  return ajv.compile(JSON.parse(readFileSync(join(contract, `${name}.schema.json`), "utf8")));
}
const forms = {
  binary: [validator("event-headers"), validator("event")],
  structured: [validator("structured-event-headers"), validator("structured-event")],
  quarantine: [validator("quarantine-headers"), validator("quarantine")],
};
function formOf(headers) {
  if (headers.ce_reason !== undefined) return "quarantine";
  return headers["content-type"].startsWith("application/cloudevents+json") ? "structured" : "binary";
}

const counts = { binary: 0, structured: 0, quarantine: 0 };
for (const file of readdirSync(join(contract, "golden")).filter((name) => name.endsWith(".json"))) {
  const record = JSON.parse(readFileSync(join(contract, "golden", file), "utf8"));
  const headers = Object.fromEntries(record.headers);
  const value = JSON.parse(record.value);
  const form = formOf(headers);
  const [validHeaders, validValue] = forms[form];
  if (!validHeaders(headers)) fail(`${file}, headers: ${ajv.errorsText(validHeaders.errors)}`);
  if (!validValue(value)) fail(`${file}: ${ajv.errorsText(validValue.errors)}`);
  if (form === "binary" && value.transaction !== null) {
    const asNumber = { ...value, transaction: { ...value.transaction, amount: 12.5 } };
    if (validValue(asNumber)) fail(`${file}: an amount that is a number is not noticed`);
    const noTime = { ...value, transaction: { ...value.transaction, createdAt: "2024-13-02T08:15:00Z" } };
    if (validValue(noTime)) fail(`${file}: a thirteenth month is not noticed`);
  }
  counts[form] += 1;
}
console.log(`golden records: ${Object.entries(counts).map(([form, count]) => `${count} ${form}`).join(", ")}`);
if (Object.values(counts).some((count) => count === 0)) fail("golden records of every form were expected");

process.exit(failures === 0 ? 0 : 1);
