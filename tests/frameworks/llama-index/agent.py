from llama_index.core.agent.workflow import FunctionAgent
from llama_index.tools.mcp import BasicMCPClient, McpToolSpec


async def run(model, task: str, server: str = "paperspace-storage-mcp") -> str:
    storage = McpToolSpec(
        BasicMCPClient(server, timeout=60)
    )  # a command, of which each call starts a process, or a URL
    agent = FunctionAgent(tools=await storage.to_tool_list_async(), llm=model)
    return str(await agent.run(task))
