"""llama-index's MockFunctionCallingLLM."""

import asyncio

from agent import run
from llama_index.core.base.llms.types import ChatMessage, MessageRole, TextBlock, ToolCallBlock
from llama_index.core.llms.mock import MockFunctionCallingLLM
from scenario import DONE, TASK, Scenario

scenario = Scenario()


def answer(messages, tools=(), **more) -> ChatMessage:
    results = [message.content for message in messages if message.role == MessageRole.TOOL]
    call = scenario.next([tool.metadata.name for tool in tools], results)
    if call:
        block = ToolCallBlock(tool_call_id=call.id, tool_name=call.tool, tool_kwargs=call.arguments)
    else:
        block = TextBlock(text=DONE)
    return ChatMessage(role=MessageRole.ASSISTANT, blocks=[block])


async def streamed(message: ChatMessage):
    yield message


def generator(messages, **more):
    return streamed(answer(messages, **more))


scenario.end(asyncio.run(run(MockFunctionCallingLLM(response_generator=generator, is_chat_model=True), TASK)))
