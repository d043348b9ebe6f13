from pydantic_ai import Agent
from pydantic_ai.mcp import MCPToolset, StdioTransport


async def run(model, task: str) -> str:
    server = StdioTransport("paperspace-storage-mcp", [])
    storage = MCPToolset(server, tool_error_behavior="failed", include_instructions=True, init_timeout=30)
    async with Agent(model, toolsets=[storage]) as agent:
        return (await agent.run(task)).output
