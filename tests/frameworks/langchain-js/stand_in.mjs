// LangChain's fakeModel, which answers from the messages instead of from a list.

import { AIMessage, fakeModel, ToolMessage } from "langchain";
import { run } from "./agent.mjs";
import { DONE, Scenario, TASK } from "./scenario.mjs";

const scenario = new Scenario();
const model = fakeModel();
const bindTools = model.bindTools.bind(model);
let offered = [];
model.bindTools = (tools) => {
  offered = tools.map((tool) => tool.name);
  return bindTools(tools);
};
const shown = ({ content }) => (typeof content === "string" ? content : content.map((part) => part.text).join(""));

function answer(messages) {
  const results = messages.filter((message) => ToolMessage.isInstance(message)).map(shown);
  const call = scenario.next(offered, results);
  model.respond(answer);
  if (call === null) return new AIMessage(DONE);
  return new AIMessage({ content: "", tool_calls: [{ id: call.id, name: call.tool, args: call.arguments }] });
}

scenario.end(await run(model.respond(answer), TASK));
