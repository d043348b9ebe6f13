import { Agent } from "@mastra/core/agent";
import { MCPClient } from "@mastra/mcp";

export async function run(model, task) {
  const storage = new MCPClient({ servers: { storage: { command: "paperspace-storage-mcp" } } });
  try {
    const tools = await storage.listTools();
    const agent = new Agent({ id: "storage", name: "storage", instructions: "Do the task.", model, tools });
    return (await agent.generate(task, { maxSteps: 20 })).text;
  } finally {
    await storage.disconnect();
  }
}
