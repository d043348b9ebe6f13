from autogen_agentchat.agents import AssistantAgent
from autogen_ext.tools.mcp import McpWorkbench, StdioServerParams


async def run(model, task: str) -> str:
    server = StdioServerParams(command="paperspace-storage-mcp", read_timeout_seconds=60)
    async with McpWorkbench(server) as storage:
        agent = AssistantAgent("storage", model, workbench=storage, max_tool_iterations=20, reflect_on_tool_use=True)
        return (await agent.run(task=task)).messages[-1].content
