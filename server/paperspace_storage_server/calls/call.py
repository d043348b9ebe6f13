"""One tool call: the API within its budget, and the guard between the caller and harm."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass, field
from typing import Any

from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import (
    CallToolRequestParams,
    ClientCapabilities,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    InputRequiredResult,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError
from pydantic_core import to_json

from paperspace_storage_server.api.storage import PaperspaceStorage
from paperspace_storage_server.api.upstream import Connection
from paperspace_storage_server.guard import confirm as confirmation
from paperspace_storage_server.guard.audit import Attempt, AuditFile
from paperspace_storage_server.guard.confirm import AskPerson, Questions
from paperspace_storage_server.guard.hygiene import Hygiene
from paperspace_storage_server.guard.profiles import Profiles
from paperspace_storage_server.guard.protect import Protection
from paperspace_storage_server.guard.secrets import Vault
from paperspace_storage_server.http.budget import Budget
from paperspace_storage_server.settings import Settings
from paperspace_storage_tools.errors import Protected
from paperspace_storage_tools.ports import Credentials, Doomed, Look
from paperspace_storage_tools.tool import AnyTool

Context = ServerRequestContext[Any, Any]

_ANSWER_KEY = "confirm"
_SCHEMA: dict[str, Any] = {"type": "object", "properties": {}}  # accepting is the yes: no form to fill in
_RESERVE = 0.2  # of the budget, kept from the question for the deletion itself
_PARTICIPLES = {"delete": "deleted", "restore": "restored over"}


@dataclass(frozen=True, slots=True)
class Guard:
    """What outlives a call: settings, secrets, protection, profiles, open questions, the audit file."""

    settings: Settings
    vault: Vault
    hygiene: Hygiene
    protection: Protection
    profiles: Profiles
    questions: Questions
    audit: AuditFile | None


@dataclass(slots=True)
class GuardedCall:
    """`ports.Call` for one `tools/call`."""

    guard: Guard
    connection: Connection
    budget: Budget
    context: Context
    params: CallToolRequestParams
    tool: AnyTool
    attempt: Attempt | None = None
    notices: list[str] = field(default_factory=list[str])
    storage: PaperspaceStorage = field(init=False)

    def __post_init__(self) -> None:
        self.storage = PaperspaceStorage(self.connection, self.budget, self.guard.vault.learn, self.notice)

    # --- what the tools use

    @property
    def protects(self) -> bool:
        return bool(self.guard.protection)

    def refuse_protected(self, doomed: Doomed, act: str) -> None:
        if glob := self.guard.protection.match(doomed.name, doomed.id, *doomed.also):
            raise Protected(doomed.kind, self.guard.hygiene.shown(doomed.name), doomed.id, glob, act)

    def credentials(self, profile: str, *, endpoint: str | None, bucket: str | None) -> Credentials:
        return self.guard.profiles.get(profile, endpoint=endpoint, bucket=bucket)

    def left(self) -> float:
        return self.budget.left()

    async def pause(self, seconds: float) -> None:
        await self.connection.sleep(seconds)

    async def progress(self, done: float, total: float, message: str) -> None:
        await self.context.session.report_progress(round(done, 1), round(total, 1), self.guard.hygiene.shown(message))

    def notice(self, sentence: str) -> None:
        self.notices.append(sentence)

    async def allow(self, act: str, look: Look, *, confirm: str | None) -> Doomed:
        doomed = await look()
        self.refuse_protected(doomed, _PARTICIPLES.get(act, act))
        hygiene = self.guard.hygiene
        if self.guard.settings.confirm == "never":
            if confirm is not None:
                confirmation.check_typed(act, doomed, confirm, hygiene)
            self._confirmed("never asked")
        elif not _can_ask(self.context):
            confirmation.check_typed(act, doomed, confirm, hygiene)
            self._confirmed("typed name")
        elif self.context.protocol_version in MODERN_PROTOCOL_VERSIONS:
            self._answered(act, doomed)
            self._confirmed("person")
        else:
            await self._ask(act, doomed)
            now = await look()
            confirmation.check_unchanged(doomed, now)
            self.refuse_protected(now, _PARTICIPLES.get(act, act))
            self._confirmed("person")
        return doomed

    def _confirmed(self, how: str) -> None:
        if self.attempt is not None:
            self.attempt.confirmed = how

    # --- asking

    def _answered(self, act: str, doomed: Doomed) -> None:
        """2026 era: the question is returned, and the client calls again with the answer and our token."""
        token = self.params.request_state
        if token is None:
            question = confirmation.question(act, doomed, self.guard.hygiene)
            token = self.guard.questions.put(self._identity(), doomed, self.budget.seconds * (1 - _RESERVE))
            raise AskPerson(question, token)
        shown = self.guard.questions.take(token, self._identity())
        reply = (self.params.input_responses or {}).get(_ANSWER_KEY)
        if not isinstance(reply, ElicitResult):
            raise confirmation.garbled()
        confirmation.check_reply(reply.action, reply.content)
        confirmation.check_unchanged(shown, doomed)

    def _identity(self) -> str:
        """What makes an answer belong to this call and no other: the tool and its arguments as they came."""
        given = sorted((self.params.arguments or {}).items())
        return hashlib.sha256(to_json([self.tool.name, given], fallback=repr)).hexdigest()

    async def _ask(self, act: str, doomed: Doomed) -> None:
        """Handshake era: the client is asked while it waits for this call, within the call's budget."""
        question = confirmation.question(act, doomed, self.guard.hygiene)
        try:
            async with asyncio.timeout(self.budget.left() - self.budget.seconds * _RESERVE):
                reply = await self.context.session.elicit_form(question, _SCHEMA, self.context.request_id)
        except TimeoutError:
            raise confirmation.late() from None
        except ValidationError:
            raise confirmation.garbled() from None
        except MCPError as error:
            raise confirmation.not_shown(
                f'its client answered with an error ("{self.guard.hygiene.shown(error.error.message)}")'
            ) from None
        confirmation.check_reply(reply.action, reply.content)


def input_required(ask: AskPerson) -> InputRequiredResult:
    """The question as the 2026 era carries it."""
    params = ElicitRequestFormParams(message=ask.question, requested_schema=_SCHEMA)
    return InputRequiredResult(input_requests={_ANSWER_KEY: ElicitRequest(params=params)}, request_state=ask.token)


def _can_ask(context: Context) -> bool:
    """Whether the client declares form elicitation (an empty declaration means forms) and the wire can carry it."""
    capabilities: ClientCapabilities | None = context.session.client_capabilities
    declared = capabilities.elicitation if capabilities else None
    if declared is None or (declared.url is not None and declared.form is None):
        return False
    return context.protocol_version in MODERN_PROTOCOL_VERSIONS or context.session.can_send_request
