// node typescript.mjs v1|v2-legacy|v2-modern COMMAND [ARGUMENT...]
// The main job through the TypeScript SDK, over stdio; prints one JSON object with what was seen.
// callTool of both versions throws where structuredContent does not fit the tool's outputSchema.

const [sdk, command, ...args] = process.argv.slice(2);
const me = { name: "typescript-test", version: "1" };
const server = { command, args, env: { PYTHONPATH: process.env.PYTHONPATH } };
const capabilities = { elicitation: {} };
const questions = [];
const agree = async (request) => {
  questions.push(request.params.message.split("\n")[0]);
  return { action: "accept", content: { confirm: true } };
};

let client;
let transport;
let called;
if (sdk === "v1") {
  const { Client } = await import("@modelcontextprotocol/sdk/client/index.js");
  const { StdioClientTransport } = await import("@modelcontextprotocol/sdk/client/stdio.js");
  const { ElicitRequestSchema } = await import("@modelcontextprotocol/sdk/types.js");
  client = new Client(me, { capabilities });
  client.setRequestHandler(ElicitRequestSchema, agree);
  transport = new StdioClientTransport(server);
  called = (request, options) => client.callTool(request, undefined, options);
} else {
  const { Client } = await import("@modelcontextprotocol/client");
  const { StdioClientTransport } = await import("@modelcontextprotocol/client/stdio");
  const mode = sdk === "v2-modern" ? { pin: "2026-07-28" } : "legacy";
  client = new Client(me, { capabilities, versionNegotiation: { mode } });
  client.setRequestHandler("elicitation/create", agree);
  transport = new StdioClientTransport(server);
  called = (request, options) => client.callTool(request, options);
}

await client.connect(transport);
const { tools } = await client.listTools();

let progress = 0;
const call = async (name, given = {}) =>
  (await called({ name, arguments: given }, { onprogress: () => (progress += 1) })).structuredContent;

const drive = (await call("list_shared_drives", { name: "team-home" })).items[0];
const created = await call("create_snapshot", { machineId: "psc5wd8xq0v", name: "before upgrade", waitSeconds: 20 });
const read = await call("get_snapshot", { id: created.id });
const utilization = await call("get_storage_utilization");
const deleted = await call("delete_shared_drive", { id: drive.id });
const again = await called({ name: "get_shared_drive", arguments: { id: drive.id } });
await client.close();

const sameSnapshot = created.id === read.id;
const error = again.isError === true;
const seen = { tools: tools.length, drive, created, sameSnapshot, utilization, questions, deleted, error, progress };
console.log(JSON.stringify(seen));
