// The AI SDK's MockLanguageModelV4, which mastra takes as a model.

import { MockLanguageModelV4 } from "ai/test";
import { run } from "./agent.mjs";
import { DONE, Scenario, TASK } from "./scenario.mjs";

const scenario = new Scenario();
const tokens = { inputTokens: { total: 0 }, outputTokens: { total: 0 } };
const shown = ({ value }) => (typeof value === "string" ? value : value.text ?? JSON.stringify(value));

async function doGenerate({ prompt, tools }) {
  const answered = prompt.filter((message) => message.role === "tool").flatMap((message) => message.content);
  const results = answered.map((part) => shown(part.output));
  const system = prompt.filter((message) => message.role === "system").map((message) => message.content);
  const call = scenario.next(tools.map((tool) => tool.name), results, system);
  const content = call
    ? { type: "tool-call", toolCallId: call.id, toolName: call.tool, input: JSON.stringify(call.arguments) }
    : { type: "text", text: DONE };
  return { content: [content], finishReason: { unified: call ? "tool-calls" : "stop" }, usage: tokens, warnings: [] };
}

scenario.end(await run(new MockLanguageModelV4({ doGenerate }), TASK));
