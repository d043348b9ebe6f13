from google.adk.agents import LlmAgent
from google.adk.runners import InMemoryRunner
from google.adk.tools.mcp_tool import McpToolset, StdioConnectionParams
from mcp import StdioServerParameters


async def run(model, task: str) -> str:
    server = StdioServerParameters(command="paperspace-storage-mcp")
    storage = McpToolset(connection_params=StdioConnectionParams(server_params=server, timeout=60))
    runner = InMemoryRunner(agent=LlmAgent(name="storage", model=model, tools=[storage]))
    try:
        events = await runner.run_debug(task, quiet=True)
        return events[-1].content.parts[0].text
    finally:
        await storage.close()
