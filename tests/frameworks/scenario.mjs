// What every stand-in for a model does, in JavaScript: see scenario.py, which this follows line by line.

import { readFileSync, writeFileSync } from "node:fs";

export const TASK = "Do what is to be done.";
export const DONE = "That is all.";
const STEPS = JSON.parse(readFileSync(new URL("steps.json", import.meta.url), "utf8"));
const IDS = { "{snapshot}": /\bss[a-z0-9]{9}\b/, "{machine}": /\bps[a-z0-9]{9}\b/ }; // of the first result

export class Scenario {
  seen = { tools: [], results: [], system: "" };

  // The call to answer with, given what is offered, the results and the system prompt; null when all are made.
  next(tools, results, system = "") {
    this.seen = { tools: [...tools].sort(), results: [...results], system: String(system) };
    if (results.length === STEPS.length) return null;
    const step = STEPS[results.length];
    const filled = ([key, value]) => [key, IDS[value] ? results[0].match(IDS[value])[0] : value];
    return {
      id: `call-${results.length}`,
      tool: this.seen.tools.find((tool) => tool.endsWith(step.tool)),
      arguments: Object.fromEntries(Object.entries(step.arguments).map(filled)),
    };
  }

  // Leave what was seen, and what the framework made of the last word, for the driver.
  end(said) {
    writeFileSync(process.env.SEEN, JSON.stringify({ ...this.seen, said: String(said) }));
  }
}
