"""pydantic-ai's FunctionModel."""

import asyncio

from agent import run
from pydantic_ai.messages import ModelMessage, ModelResponse, RetryPromptPart, TextPart, ToolCallPart, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from scenario import DONE, TASK, Scenario

scenario = Scenario()


def answer(messages: list[ModelMessage], offered: AgentInfo) -> ModelResponse:
    parts = [part for message in messages for part in message.parts]
    results = [
        part.model_response_str() if isinstance(part, ToolReturnPart) else part.model_response()
        for part in parts
        if isinstance(part, ToolReturnPart | RetryPromptPart)
    ]
    call = scenario.next([tool.name for tool in offered.function_tools], results, offered.instructions)
    return ModelResponse([ToolCallPart(call.tool, call.arguments, call.id) if call else TextPart(DONE)])


scenario.end(asyncio.run(run(FunctionModel(answer), TASK)))
