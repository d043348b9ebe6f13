"""The caller of one `tools/call`: whether its client can ask a person, and asking in both protocol eras."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import (
    METHOD_NOT_FOUND,
    CallToolRequestParams,
    ClientCapabilities,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    InputRequiredResult,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError
from starlette.requests import Request

from paperspace_storage_server.calls.call import AskedLater
from paperspace_storage_server.calls.principal import Principal, principal_in
from paperspace_storage_server.calls.unasked import Unasked
from paperspace_storage_server.guard.confirm import CannotAsk, Question, check_unchanged
from paperspace_storage_server.mcp import replies
from paperspace_storage_server.mcp.replies import CONFIRM_FORM

Context = ServerRequestContext[Any, Any]

_REPLY = "confirm"


def principal_of(context: Context) -> Principal | None:
    """Who made this request, of a session too: each has its own. None where nobody has to say."""
    request: object = context.request
    return principal_in(request.scope) if isinstance(request, Request) else None


def key_of(context: Context) -> str | None:
    principal = principal_of(context)
    return principal.key if principal else None


class InputRequired(AskedLater):
    """The question as the 2026 era carries it: in the result, with a token that comes back with the reply."""

    def __init__(self, result: InputRequiredResult) -> None:
        super().__init__()
        self.result = result


def reading(context: Context) -> Unasked:
    """Who makes a request that only reads: a resource, a completion. Nobody is asked, nothing is told."""
    return Unasked(key_of(context), context.request_id)


@dataclass(frozen=True, slots=True)
class McpCaller:
    """`calls.call.Caller` for a client of either era. `cleaned` makes a client's own words fit to be shown."""

    context: Context
    params: CallToolRequestParams
    cleaned: Callable[[str], str]

    @property
    def principal(self) -> str | None:
        return key_of(self.context)

    @property
    def request_id(self) -> str | int | None:
        return self.context.request_id

    @property
    def can_ask(self) -> bool:
        """Whether the client declares form elicitation (an empty declaration means forms) and the wire carries it."""
        capabilities: ClientCapabilities | None = self.context.session.client_capabilities
        declared = capabilities.elicitation if capabilities else None
        if declared is None or (declared.url is not None and declared.form is None):
            return False
        return self._modern or self.context.session.can_send_request

    async def ask(self, question: Question) -> bool:
        if self._modern:
            await self._take_reply(question)
            return False
        await self._elicit(question)
        return True

    async def progress(self, done: float, total: float, message: str) -> None:
        await self.context.session.report_progress(done, total, message)

    @property
    def _modern(self) -> bool:
        return self.context.protocol_version in MODERN_PROTOCOL_VERSIONS

    async def _take_reply(self, question: Question) -> None:
        """2026 era: the question is returned, and the client calls again with the reply and our token."""
        token = self.params.request_state
        if token is None:
            params = ElicitRequestFormParams(message=question.text, requested_schema=CONFIRM_FORM)
            raise InputRequired(
                InputRequiredResult(
                    input_requests={_REPLY: ElicitRequest(params=params)}, request_state=await question.put()
                )
            )
        shown = await question.take(token)
        reply = (self.params.input_responses or {}).get(_REPLY)
        if not isinstance(reply, ElicitResult):
            raise replies.garbled()
        replies.check_reply(reply.action, reply.content)
        check_unchanged(shown, question.at_stake)

    async def _elicit(self, question: Question) -> None:
        """Handshake era: the client is asked while it waits for this call, within the call's budget."""
        try:
            async with asyncio.timeout(question.seconds):
                reply = await self.context.session.elicit_form(question.text, CONFIRM_FORM, self.context.request_id)
        except TimeoutError:
            raise replies.late() from None
        except ValidationError:
            raise replies.garbled() from None
        except MCPError as error:
            if error.error.code == METHOD_NOT_FOUND:
                raise CannotAsk from None  # it declares what it does not have
            said = self.cleaned(error.error.message)
            raise replies.not_shown(f'its client answered with an error ("{said}")') from None
        replies.check_reply(reply.action, reply.content)
