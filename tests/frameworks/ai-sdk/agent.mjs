import { createMCPClient } from "@ai-sdk/mcp";
import { Experimental_StdioMCPTransport as Stdio } from "@ai-sdk/mcp/mcp-stdio";
import { generateText, isStepCount } from "ai";

export async function run(model, task) {
  const storage = await createMCPClient({ transport: new Stdio({ command: "paperspace-storage-mcp" }) });
  try {
    const tools = await storage.tools();
    return (await generateText({ model, tools, prompt: task, stopWhen: isStepCount(20) })).text;
  } finally {
    await storage.close();
  }
}
