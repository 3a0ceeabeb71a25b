// Usage: node generate.mjs MODULES CONTRACT OUT
//
// Makes types of every schema with quicktype, in six languages, and with modelina of the AsyncAPI document, in TypeScript:
// OUT/<language>/<schema>/… and OUT/modelina/asyncapi.ts. The schema `broken` is that of an event in which `state` may be anything:
// whoever looks at the types must notice.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";

const [modules, contract, out] = process.argv.slice(2).map((path) => resolve(path));
const require = createRequire(join(modules, "package.json"));
const { InputData, JSONSchemaInput, FetchingJSONSchemaStore, quicktypeMultiFile } = require("quicktype-core");
const { TypeScriptGenerator } = require("@asyncapi/modelina");
const yaml = require("js-yaml");

const languages = {
  typescript: ["typescript", "types.ts", {}],
  java: ["java", "Types.java", { package: "icr" }],
  go: ["go", "types.go", { package: "main" }],
  csharp: ["csharp", "Types.cs", {}],
  kotlin: ["kotlin", "Types.kt", { framework: "jackson", package: "icr" }],
  python: ["python", "types.py", {}],
};
const schemas = {
  event: "Event",
  "event-headers": "EventHeaders",
  "structured-event": "StructuredEvent",
  "structured-event-headers": "StructuredEventHeaders",
  quarantine: "QuarantineRecord",
  "quarantine-headers": "QuarantineHeaders",
};

const texts = Object.fromEntries(
  Object.keys(schemas).map((schema) => [schema, readFileSync(join(contract, `${schema}.schema.json`), "utf8")]),
);
const broken = JSON.parse(texts.event);
broken.properties.state = { anyOf: [{ type: ["string", "null"] }, {}] };
texts.broken = JSON.stringify(broken);
mkdirSync(out, { recursive: true });
writeFileSync(join(out, "broken.schema.json"), texts.broken);

for (const [language, [lang, file, rendererOptions]] of Object.entries(languages)) {
  for (const [schema, name] of Object.entries({ ...schemas, broken: "Event" })) {
    const input = new JSONSchemaInput(new FetchingJSONSchemaStore());
    await input.addSource({ name, schema: texts[schema] });
    const inputData = new InputData();
    inputData.addInput(input);
    const files = await quicktypeMultiFile({ inputData, lang, rendererOptions, outputFilename: file });
    const folder = join(out, language, schema);
    mkdirSync(folder, { recursive: true });
    for (const [made, { lines }] of files) writeFileSync(join(folder, made), `${lines.join("\n")}\n`);
  }
}

// Modelina knows AsyncAPI up to 3.0.0; nothing that this document uses is newer.
const document = { ...yaml.load(readFileSync(join(contract, "asyncapi.yaml"), "utf8")), asyncapi: "3.0.0" };
const models = await new TypeScriptGenerator({ modelType: "interface", rawPropertyNames: true }).generate(document);
mkdirSync(join(out, "modelina"), { recursive: true });
writeFileSync(join(out, "modelina", "asyncapi.ts"), models.map((model) => `export ${model.result}\n`).join("\n"));
