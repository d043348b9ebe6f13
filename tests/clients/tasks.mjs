// node tasks.mjs URL MACHINE NAME
// Two operations as tasks, by the official package of the extension, over Streamable HTTP: a snapshot is made, and
// deleted after a person's yes. After the first look at the deletion it prints `look` and reads the address of another
// server from stdin. Every result is checked against the extension's own schemas. Prints one JSON object.

import { createInterface } from "node:readline/promises";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { createTaskSessionFromClient, resultFromTaskOutcome } from "@modelcontextprotocol/ext-tasks/client";
import * as schemas from "@modelcontextprotocol/ext-tasks/core/v2";

let [url] = process.argv.slice(2, 3);
const [machineId, name] = process.argv.slice(3);
const protocolVersion = "2026-07-28";
const clientInfo = { name: "tasks-test", version: "1" };
const clientCapabilities = { elicitation: { form: {} }, extensions: { [schemas.TASKS_EXTENSION_ID_V2]: {} } };
const questions = [];
const methods = [];

const check = (request, result) => {
  if (result.resultType === "task") schemas.CreateTaskResultV2Schema.parse(result);
  else if (request.method === "tasks/get") schemas.GetTaskResultV2Schema.parse(result);
};

const rawDispatch = async (request, options = {}) => {
  methods.push(request.method);
  const { params } = request;
  const response = await fetch(url, {
    method: "POST",
    headers: {
      "Content-Type": "application/json",
      Accept: "application/json, text/event-stream",
      "MCP-Protocol-Version": protocolVersion,
      "Mcp-Method": request.method,
      "Mcp-Name": params.taskId ?? params.name ?? "",
    },
    body: JSON.stringify({ jsonrpc: "2.0", id: methods.length, ...request }),
    signal: options.signal,
  });
  const text = await response.text();
  const data = text.startsWith("{") ? text : text.split("\n").findLast((line) => line.startsWith("data: ")).slice(6);
  const message = JSON.parse(data);
  if (message.error) return { kind: "error", error: message.error };
  check(request, message.result);
  return { kind: "result", result: message.result };
};

const client = new Client(clientInfo, {
  capabilities: clientCapabilities,
  versionNegotiation: { mode: { pin: protocolVersion } },
});
await client.connect(new StreamableHTTPClientTransport(new URL(url)));
const session = createTaskSessionFromClient(client, {
  endpointId: "storage",
  rawDispatch,
  v2RequestFraming: { protocolVersion, clientInfo, clientCapabilities },
  onInputRequest: async (request) => {
    questions.push(request.params?.message ?? request);
    return { action: "accept", content: { confirm: true } };
  },
});

const run = async (tool, given, onEvent) => {
  const execution = await session.callTool(tool, given);
  const { outcome } = await execution.settle({ onEvent });
  return { kind: execution.kind, result: resultFromTaskOutcome(outcome) };
};

const made = await run("create_snapshot", { machineId, name });
const messages = [];
let moved = false;
const deleted = await run("delete_snapshot", { id: made.result.structuredContent.id }, async (event) => {
  if (event.type !== "task") return;
  messages.push(event.task.statusMessage);
  if (moved || event.task.status !== "working") return;
  moved = true;
  console.log("look");
  const lines = createInterface({ input: process.stdin });
  url = await lines.question("");
  lines.close();
});
await session.close();
await client.close().catch(() => {});
console.log(JSON.stringify({ made, deleted, questions, messages, methods }));
process.exit(0);
