"""A BaseLlm of Google's ADK."""

import asyncio
import json

from agent import run
from google.adk.models import BaseLlm, LlmResponse
from google.genai.types import Content, FunctionCall, Part
from scenario import DONE, TASK, Scenario

scenario = Scenario()


class StandIn(BaseLlm):
    async def generate_content_async(self, request, stream=False):
        parts = [part for content in request.contents for part in content.parts]
        results = [json.dumps(part.function_response.response) for part in parts if part.function_response]
        call = scenario.next(request.tools_dict, results, request.config.system_instruction)
        if call:
            part = Part(function_call=FunctionCall(id=call.id, name=call.tool, args=call.arguments))
        else:
            part = Part(text=DONE)
        yield LlmResponse(content=Content(role="model", parts=[part]))


scenario.end(asyncio.run(run(StandIn(model="stand-in"), TASK)))
