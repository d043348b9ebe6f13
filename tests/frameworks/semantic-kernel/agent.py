from semantic_kernel.agents import ChatCompletionAgent
from semantic_kernel.connectors.mcp import MCPStdioPlugin


async def run(model, task: str) -> str:
    async with MCPStdioPlugin("storage", "paperspace-storage-mcp", args=[], request_timeout=60) as storage:
        agent = ChatCompletionAgent(name="storage", service=model, plugins=[storage])
        return str(await agent.get_response(task))
