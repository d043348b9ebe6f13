"""A ChatCompletionClientBase of Semantic Kernel."""

import asyncio

from agent import run
from scenario import DONE, TASK, Scenario
from semantic_kernel.connectors.ai.chat_completion_client_base import ChatCompletionClientBase
from semantic_kernel.connectors.ai.function_calling_utils import update_settings_from_function_call_configuration
from semantic_kernel.connectors.ai.open_ai import OpenAIChatPromptExecutionSettings
from semantic_kernel.contents import ChatMessageContent, FunctionCallContent, FunctionResultContent

scenario = Scenario()


class StandIn(ChatCompletionClientBase):
    SUPPORTS_FUNCTION_CALLING = True

    def get_prompt_execution_settings_class(self):
        return OpenAIChatPromptExecutionSettings  # it holds the tools

    def _update_function_choice_settings_callback(self):
        return update_settings_from_function_call_configuration

    async def _inner_get_chat_message_contents(self, chat_history, settings):
        items = [item for message in chat_history for item in message.items]
        results = [str(item.result) for item in items if isinstance(item, FunctionResultContent)]
        call = scenario.next([tool["function"]["name"] for tool in settings.tools], results)
        if call is None:
            return [ChatMessageContent(role="assistant", content=DONE)]
        item = FunctionCallContent(id=call.id, name=call.tool, arguments=call.arguments)
        return [ChatMessageContent(role="assistant", items=[item])]


scenario.end(asyncio.run(run(StandIn(ai_model_id="stand-in"), TASK)))
