from crewai import Agent
from crewai.mcp import MCPServerStdio


def run(model, task: str) -> str:
    storage = MCPServerStdio(command="paperspace-storage-mcp")  # each call starts a process
    agent = Agent(role="storage", goal="do the task", backstory="none", llm=model, mcps=[storage])
    return agent.kickoff(task).raw
