"""autogen's ReplayChatCompletionClient, which is given its next line when it is asked for it."""

import asyncio

from agent import run
from autogen_core import FunctionCall
from autogen_core.models import CreateResult, FunctionExecutionResultMessage, ModelFamily, RequestUsage
from autogen_ext.models.replay import ReplayChatCompletionClient
from scenario import DONE, TASK, Scenario

scenario = Scenario()


class StandIn(ReplayChatCompletionClient):
    async def create(self, messages, *, tools=(), **more) -> CreateResult:
        answered = [message for message in messages if isinstance(message, FunctionExecutionResultMessage)]
        results = [result.content for message in answered for result in message.content]
        call = scenario.next([tool["name"] for tool in tools], results)
        content = [FunctionCall(call.id, call.json, call.tool)] if call else DONE
        reason = "function_calls" if call else "stop"
        self.chat_completions.append(
            CreateResult(finish_reason=reason, content=content, usage=RequestUsage(0, 0), cached=False)
        )
        return await super().create(messages, tools=tools, **more)


abilities = {"vision": False, "function_calling": True, "json_output": False, "structured_output": False}
model = StandIn([], model_info={**abilities, "family": ModelFamily.UNKNOWN})
scenario.end(asyncio.run(run(model, TASK)))
