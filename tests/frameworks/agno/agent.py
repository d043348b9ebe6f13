from agno.agent import Agent
from agno.tools.mcp import MCPTools
from mcp import StdioServerParameters


async def run(model, task: str) -> str:
    server = StdioServerParameters(command="paperspace-storage-mcp")
    async with MCPTools(server_params=server, transport="stdio", timeout_seconds=60) as storage:
        return (await Agent(model=model, tools=[storage]).arun(task)).content
