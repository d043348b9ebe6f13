"""A Model of agno."""

import asyncio

from agent import run
from agno.models.base import Model
from agno.models.response import ModelResponse
from scenario import DONE, TASK, Scenario

scenario = Scenario()


class StandIn(Model):
    async def ainvoke(self, messages, tools=None, **more) -> ModelResponse:
        results = [message.get_content_string() for message in messages if message.role == "tool"]
        system = [message.get_content_string() for message in messages if message.role == "system"]
        call = scenario.next([tool["function"]["name"] for tool in tools], results, system)
        if call is None:
            return ModelResponse(role="assistant", content=DONE)
        function = {"name": call.tool, "arguments": call.json}
        return ModelResponse(role="assistant", tool_calls=[{"id": call.id, "type": "function", "function": function}])

    def invoke(self, *rest, **more):
        raise NotImplementedError  # arun neither blocks nor streams

    invoke_stream = ainvoke_stream = _parse_provider_response = _parse_provider_response_delta = invoke


scenario.end(asyncio.run(run(StandIn(id="stand-in"), TASK)))
