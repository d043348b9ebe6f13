"""LangChain's fake chat model, which answers from the messages instead of from a list."""

import asyncio

from agent import run
from langchain_core.language_models.fake_chat_models import FakeMessagesListChatModel
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from scenario import DONE, TASK, Scenario

scenario = Scenario()


class StandIn(FakeMessagesListChatModel):
    offered: tuple[str, ...] = ()

    def bind_tools(self, tools, **settings):
        return self.model_copy(update={"offered": tuple(tool.name for tool in tools)})

    def _generate(self, messages, *rest, **more) -> ChatResult:
        results = [message.text for message in messages if isinstance(message, ToolMessage)]
        call = scenario.next(self.offered, results)
        calls = [{"id": call.id, "name": call.tool, "args": call.arguments}] if call else []
        message = AIMessage("" if call else DONE, tool_calls=calls)
        return ChatResult(generations=[ChatGeneration(message=message)])


scenario.end(asyncio.run(run(StandIn(responses=[]), TASK)))
