from fastmcp import Client
from fastmcp.client.transports import StdioTransport


async def run(model, task: str) -> list[str]:
    async with Client(StdioTransport("paperspace-storage-mcp", [])) as storage:
        tools, results = await storage.list_tools(), []
        while call := model(task, tools, results):  # whatever you ask: the next call, or None
            result = await storage.call_tool(call.tool, call.arguments, raise_on_error=False)
            results.append("".join(block.text for block in result.content))
        return results
