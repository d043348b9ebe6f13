"""A BaseLLM of crewai."""

from agent import run
from crewai import BaseLLM
from scenario import DONE, TASK, Scenario

scenario = Scenario()


class StandIn(BaseLLM):
    def supports_function_calling(self) -> bool:
        return True

    def call(self, messages, tools=None, *rest, **more):
        results = [message["content"] for message in messages if message["role"] == "tool"]
        system = [message["content"] for message in messages if message["role"] == "system"]
        call = scenario.next([tool["function"]["name"] for tool in tools], results, system)
        if call is None:
            return DONE
        return [{"id": call.id, "type": "function", "function": {"name": call.tool, "arguments": call.json}}]


scenario.end(run(StandIn(model="stand-in"), TASK))
