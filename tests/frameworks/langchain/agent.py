from langchain.agents import create_agent
from langchain_mcp_adapters.client import MultiServerMCPClient
from langchain_mcp_adapters.tools import load_mcp_tools


async def run(model, task: str) -> str:
    storage = {"transport": "stdio", "command": "paperspace-storage-mcp", "args": []}
    client = MultiServerMCPClient({"storage": storage})
    async with client.session("storage") as session:  # client.get_tools() would start a process per call
        agent = create_agent(model, await load_mcp_tools(session))
        state = await agent.ainvoke({"messages": [{"role": "user", "content": task}]})
        return state["messages"][-1].content
