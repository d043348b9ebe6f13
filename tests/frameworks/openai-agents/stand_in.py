"""A Model of openai-agents."""

import asyncio

from agent import run
from agents import Model, ModelResponse, Usage
from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage, ResponseOutputText
from scenario import DONE, TASK, Scenario

scenario = Scenario()


def text(output: object) -> str:
    """What the model reads of an output: a string, or parts."""
    return output if isinstance(output, str) else "".join(part["text"] for part in output)


class StandIn(Model):
    async def get_response(self, system_instructions, input, model_settings, tools, *rest, **more) -> ModelResponse:
        items = [] if isinstance(input, str) else input
        results = [text(item["output"]) for item in items if item.get("type") == "function_call_output"]
        call = scenario.next([tool.name for tool in tools], results, system_instructions)
        if call:
            item = ResponseFunctionToolCall(
                type="function_call", call_id=call.id, name=call.tool, arguments=call.json, status="completed"
            )
        else:
            said = ResponseOutputText(type="output_text", text=DONE, annotations=[])
            item = ResponseOutputMessage(id="1", type="message", role="assistant", status="completed", content=[said])
        return ModelResponse(output=[item], usage=Usage(), response_id=None)

    def stream_response(self, *rest, **more):
        raise NotImplementedError  # Runner.run does not stream


scenario.end(asyncio.run(run(StandIn(), TASK)))
