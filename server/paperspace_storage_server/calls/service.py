"""The tools of one team: which of them exist, and running one of them for whoever calls."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Protocol

from pydantic import SecretStr

from paperspace_storage_server.calls.call import AskedLater, Called, Caller, GuardedCall, Process, Team
from paperspace_storage_server.calls.dialects import as_spoken, spoken
from paperspace_storage_server.calls.outcome import Outcome
from paperspace_storage_server.calls.principal import Principal
from paperspace_storage_server.calls.validate import DENIED, validate
from paperspace_storage_server.guard.hygiene import Json
from paperspace_storage_server.http.budget import Budget
from paperspace_storage_server.settings import Settings
from paperspace_storage_tools.arguments import Arguments
from paperspace_storage_tools.catalogue import CATALOGUE, TOOLSETS
from paperspace_storage_tools.errors import FailedInside, Failure, describe
from paperspace_storage_tools.listing import entries
from paperspace_storage_tools.models import Model, written
from paperspace_storage_tools.tool import AnyTool

logger = logging.getLogger(__name__)


class Services(Protocol):
    """The services of all teams of a server; where there is one team, that is its `Service` itself."""

    @property
    def settings(self) -> Settings:
        """The operator's, which no team can widen."""
        ...

    def of(self, principal: Principal | None) -> Service:
        """The service of a caller's team; None is a caller who does not have to say who they are.

        Raises:
            NoSuchTeam: it has gone since the caller was let in.
        """
        ...

    def awaited_key(self, principal: Principal | None) -> AwaitedKey | None:
        """The key that this caller's person has to hand in before anything can be done for them; None where there is
        one, or where the person could not."""
        ...

    async def aclose(self) -> None: ...


class AwaitedKey(Protocol):
    """A key that a person has to hand in, on a page that no client and no model can look into."""

    def link(self) -> str:
        """The URL of the page, for this person alone: it can be opened once, and soon."""
        ...

    async def comes(self, seconds: float) -> bool:
        """Whether it is there within so many seconds; then `Services.of` has the service that uses it."""
        ...


class NoSuchTeam(Exception):
    """There is no such team, or no longer."""


class Service:
    """The tools of one team and what they run on."""

    def __init__(self, process: Process, team: Team) -> None:
        self.process = process
        self.team = team
        self.tools = {tool.name: tool for tool in select(process.settings)}
        self._denied = DENIED[process.settings.secret_arguments]

    def catalogue(self) -> list[Json]:
        """The tools as `tools/list` answers them."""
        return listing(self.process.settings)

    @property
    def settings(self) -> Settings:
        return self.process.settings

    def of(self, principal: Principal | None) -> Service:
        """As `Services` of one team: whoever calls, it is this one."""
        return self

    def awaited_key(self, principal: Principal | None) -> AwaitedKey | None:
        """As `Services` of one team: the operator has set its key, or can."""
        return None

    async def aclose(self) -> None:
        await self.team.upstream.aclose()

    async def call(self, tool: AnyTool, given: Mapping[str, Any], caller: Caller) -> Outcome:
        """Run one of `tools`: every failure becomes an outcome that says what to do next.

        Raises:
            AskedLater: the caller's own, where a person has to be asked first.
        """
        call = GuardedCall(self.process, self.team, Budget.of(self.process.settings.call_timeout), caller, tool, given)
        error: str | None = "Interrupted"
        try:
            with self.team.vault.in_call():
                outcome = await self._outcome(call)
            error = type(outcome.failure).__name__ if outcome.failure else None
        except AskedLater:
            error = "AskedLater"
            raise
        finally:
            spent = call.budget.spent()
            called = Called(tool.name, self.team.name, caller.principal, caller.request_id, spent, error)
            self.process.seen(called)
        return outcome

    async def _outcome(self, call: GuardedCall) -> Outcome:
        try:
            return self._succeeded(await self._run(call), call)
        except AskedLater:
            raise
        except Failure as failure:
            return self._failed(failure, call.tool)
        except Exception as error:  # the model is told, the log has the rest, and the server lives on
            logger.exception("%s failed inside this server", call.tool.name)
            return self._failed(FailedInside(type(error).__name__, call.tool.writes), call.tool)

    async def _run(self, call: GuardedCall) -> Model:
        if self.team.closed is not None:
            raise self.team.closed()
        arguments: Arguments = validate(call.tool, call.given, denied=self._denied)
        for secret in vars(arguments).values():
            if isinstance(secret, SecretStr):
                self.team.vault.hear(secret)
        if self.process.audit is None or not call.tool.writes:
            return await call.tool.run(call, arguments)
        shown = self.team.hygiene.for_audit(arguments.model_dump(mode="json", by_alias=True, exclude_none=True))
        call.attempt = attempt = self.process.audit.begin(
            call.tool.name, shown, call.caller.request_id, principal=call.caller.principal, team=self.team.name
        )
        try:
            result = await call.tool.run(call, arguments)
            attempt.outcome = "done"
        except AskedLater:
            attempt.outcome = "asked"
            raise
        except Failure as failure:
            attempt.outcome = f"{'unknown' if failure.in_doubt else 'failed'}: {type(failure).__name__}"
            raise
        except BaseException as error:  # a cancellation too leaves its line in the audit file
            attempt.outcome = f"interrupted: {type(error).__name__}"
            raise
        finally:
            if remark := self.process.audit.end(attempt):
                logger.error("%s", remark)  # a failed call carries no notices
                call.notice(remark)
        return result

    def _succeeded(self, result: Model, call: GuardedCall) -> Outcome:
        return Outcome(self.team.hygiene.spelled(written(result), " ".join(call.notices)))

    def _failed(self, failure: Failure, tool: AnyTool) -> Outcome:
        return Outcome(self.team.hygiene.failure(describe(failure, write=tool.writes)), failure=failure)


def listing(settings: Settings) -> list[Json]:
    """The selected tools as `tools/list` answers them: a fixed dialect without what it cannot do."""
    tools = spoken(select(settings), settings.dialect)
    return [as_spoken(one, settings.dialect) for one in entries(tools, DENIED[settings.secret_arguments])]


def select(settings: Settings) -> list[AnyTool]:
    """The tools that exist on this server. What is not selected is not registered, so it cannot be called."""
    toolsets = settings.toolsets or TOOLSETS
    return [
        tool
        for tool in CATALOGUE
        if tool.toolset in toolsets
        and (not settings.tools or tool.name in settings.tools)
        and tool.name not in settings.exclude_tools
        and not (settings.read_only and tool.writes)
    ]
