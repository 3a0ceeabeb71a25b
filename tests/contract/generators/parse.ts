// Reads the value of a record on each line of standard input, and writes it again.
import { readFileSync } from "node:fs";
import { Convert } from "./types.js";

for (const line of readFileSync(0, "utf8").split("\n")) {
  if (line !== "") console.log(JSON.stringify(JSON.parse(Convert.eventToJson(Convert.toEvent(line)))));
}
