from agents import Agent, Runner
from agents.mcp import MCPServerStdio


async def run(model, task: str) -> str:
    server = MCPServerStdio({"command": "paperspace-storage-mcp"}, client_session_timeout_seconds=60)
    async with server as storage:
        agent = Agent("storage", model=model, mcp_servers=[storage])
        return (await Runner.run(agent, task)).final_output
