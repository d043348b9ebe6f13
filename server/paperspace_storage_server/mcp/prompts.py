"""The skills' workflows as MCP prompts, for hosts that show them as commands. What they say stands in the skills."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    GetPromptRequestParams,
    GetPromptResult,
    ListPromptsResult,
    PromptMessage,
    TextContent,
)
from mcp_types import Prompt as Listed
from mcp_types import PromptArgument as ListedArgument

from paperspace_storage_server.mcp.caller import Context
from paperspace_storage_server.mcp.offers import Selected

if TYPE_CHECKING:
    from paperspace_storage_tools.skills.prompts import Prompt


class Prompts:
    """The prompts that can be carried out with the caller's tools."""

    def __init__(self, selected: Selected) -> None:
        self._selected = selected

    def list(self, context: Context) -> ListPromptsResult:
        return ListPromptsResult(prompts=[_listed(prompt) for prompt in self._served(context)])

    def get(self, context: Context, params: GetPromptRequestParams) -> GetPromptResult:
        """One prompt's text.

        Raises:
            MCPError: an unknown prompt or argument, or one that is missing or wrong; it is named.
        """
        from paperspace_storage_tools.skills.prompts import WrongPromptArgument

        for prompt in self._served(context):
            if prompt.name == params.name:
                try:
                    text = prompt.text(params.arguments or {})
                except WrongPromptArgument as wrong:
                    raise MCPError(INVALID_PARAMS, str(wrong)) from None
                message = PromptMessage(role="user", content=TextContent(text=text))
                return GetPromptResult(description=_purpose(prompt), messages=[message])
        raise MCPError(INVALID_PARAMS, f"Unknown prompt: {json.dumps(params.name[:80])}")

    def _served(self, context: Context) -> tuple[Prompt, ...]:
        from paperspace_storage_tools.skills.prompts import prompts  # read from disk only when somebody asks

        return prompts(self._selected(context))


def _listed(prompt: Prompt) -> Listed:
    arguments = [
        ListedArgument(name=one.name, description=one.description, required=one.required) for one in prompt.arguments
    ]
    title = prompt.skill.title
    return Listed(name=prompt.name, title=title, description=_purpose(prompt), arguments=arguments)


def _purpose(prompt: Prompt) -> str:
    """What it is for, without how: the first part of the skill's description."""
    return prompt.skill.description.split(" - ")[0] + "."
