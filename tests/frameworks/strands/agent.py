from mcp import StdioServerParameters, stdio_client
from strands import Agent
from strands.tools.mcp import MCPClient


def run(model, task: str) -> str:
    server = StdioServerParameters(command="paperspace-storage-mcp")
    with MCPClient(lambda: stdio_client(server)) as storage:
        return str(Agent(model, tools=storage.list_tools_sync(), callback_handler=None)(task))
