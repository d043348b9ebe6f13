import { MultiServerMCPClient } from "@langchain/mcp-adapters";
import { createAgent } from "langchain";

export async function run(model, task) {
  const storage = { transport: "stdio", command: "paperspace-storage-mcp", args: [], defaultToolTimeout: 60_000 };
  const client = new MultiServerMCPClient({ storage });
  try {
    const agent = createAgent({ model, tools: await client.getTools() });
    const state = await agent.invoke({ messages: [{ role: "user", content: task }] });
    return state.messages.at(-1).content;
  } finally {
    await client.close();
  }
}
