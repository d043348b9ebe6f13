from mcp import StdioServerParameters
from smolagents import MCPClient, ToolCallingAgent


def run(model, task: str) -> object:
    server = StdioServerParameters(command="paperspace-storage-mcp")
    with MCPClient(server, structured_output=False) as tools:
        for argument in [argument for tool in tools for argument in tool.inputs.values()]:
            argument["nullable"] = True  # or smolagents demands every optional argument
        return ToolCallingAgent(tools, model).run(task)
