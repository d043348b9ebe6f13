"""One tool call: the API within its budget, and the guard between the caller and harm. Knows no protocol."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from pydantic_core import to_json

from paperspace_storage_server.api.storage import PaperspaceStorage
from paperspace_storage_server.api.upstream import Upstream
from paperspace_storage_server.guard import confirm as confirmation
from paperspace_storage_server.guard.allowance import Allowance
from paperspace_storage_server.guard.audit import Attempt, AuditFile
from paperspace_storage_server.guard.confirm import CannotAsk, Question, Questions
from paperspace_storage_server.guard.hygiene import Hygiene
from paperspace_storage_server.guard.profiles import Profiles
from paperspace_storage_server.guard.protect import Protection
from paperspace_storage_server.guard.secrets import Vault
from paperspace_storage_server.http.budget import Budget
from paperspace_storage_server.settings import Settings
from paperspace_storage_tools.errors import Failure, NotConfirmed, Protected, ProtectionUnknown
from paperspace_storage_tools.ports import Act, AtStake, Credentials, Look, Remark
from paperspace_storage_tools.tool import AnyTool

if TYPE_CHECKING:
    from paperspace_storage_server.state.seal import Sealer

_RESERVE = 0.2  # of the budget, kept from the question for the deletion itself
_COUNTED: frozenset[Act] = frozenset({"delete", "restore"})
_PARTICIPLES: dict[Act, str] = {
    "delete": "deleted",
    "restore": "restored over",
    "shrink": "shrunk",
    "redirect": "replaced",
    "displace": "displaced as the team's default",
}


class Caller(Protocol):
    """Who makes a call, as the surface knows them."""

    @property
    def principal(self) -> str | None:
        """Who is calling, where the surface knows it: a text that nobody else has."""
        ...

    @property
    def request_id(self) -> str | int | None:
        """The surface's own number of the request, for the audit file."""
        ...

    @property
    def can_ask(self) -> bool:
        """Whether a person can be asked."""
        ...

    async def ask(self, question: Question) -> bool:
        """Put the question to a person, and return only after a clear yes.

        Whether the person was waited for is returned: then what is at stake has to be looked at again.

        Raises:
            NotConfirmed: there was no clear yes.
            CannotAsk: the question could not be put at all, so the typed name counts.
            AskedLater: the question travels with the answer of this call, which is made again with the reply.
        """
        ...

    async def progress(self, done: float, total: float, message: str) -> None: ...


class AskedLater(Exception):
    """Raised through a tool by a `Caller` that can ask only by ending the call: the call comes again with the reply.

    So whatever a tool does before `allow` may run twice, and nothing is written before it.
    """


@dataclass(frozen=True, slots=True)
class Called:
    """One call of a tool that has ended, without its arguments: for logs and metrics.

    `error` is the class of its failure; None where there was none.
    """

    tool: str
    team: str | None
    principal: str | None
    request_id: str | int | None
    seconds: float
    error: str | None

    @property
    def outcome(self) -> str:
        return self.error or "done"


@dataclass(frozen=True, slots=True)
class Process:
    """What belongs to the process, whoever is calling: the operator's settings, the audit file."""

    settings: Settings
    audit: AuditFile | None
    sealer: Callable[[], Sealer]
    """Seals what travels through clients; made when it is first needed, for its library takes a start's time."""
    seen: Callable[[Called], None] = lambda called: None
    """Is told of each call that has ended."""


@dataclass(frozen=True, slots=True)
class Team:
    """What belongs to one team, and must not be seen, counted or waited for by another."""

    vault: Vault
    hygiene: Hygiene
    profiles: Profiles
    protection: Protection
    upstream: Upstream
    questions: Questions
    allowance: Allowance
    name: str | None = None
    """As the operator calls it, where there are several; None leaves it to the API to say."""
    closed: Callable[[], Failure] | None = None
    """Why no call can be made, where none can: nobody has handed in its key, say."""


@dataclass(slots=True)
class GuardedCall:
    """`ports.Call` for one call of one tool."""

    process: Process
    team: Team
    budget: Budget
    caller: Caller
    tool: AnyTool
    given: Mapping[str, Any]
    attempt: Attempt | None = None
    notices: list[str] = field(default_factory=list[str])
    storage: PaperspaceStorage = field(init=False)

    def __post_init__(self) -> None:
        team = self.team
        self.storage = PaperspaceStorage(team.upstream, self.budget, team.vault.learn, self.notice, team.hygiene)

    @property
    def protects(self) -> bool:
        return bool(self.team.protection)

    def refuse_protected(self, at_stake: AtStake, act: str) -> None:
        if glob := self.team.protection.match(at_stake.name, at_stake.id, *at_stake.also):
            raise Protected(at_stake.kind, at_stake.name, at_stake.id, glob, act)
        if self.protects and at_stake.unsaid:
            raise ProtectionUnknown(at_stake.kind, at_stake.id, at_stake.unsaid, act)

    def credentials(self, profile: str, *, endpoint: str | None, bucket: str | None) -> Credentials:
        return self.team.profiles.get(profile, endpoint=endpoint, bucket=bucket)

    def left(self) -> float:
        return self.budget.left()

    async def pause(self, seconds: float) -> None:
        await self.team.upstream.sleep(seconds)

    async def progress(self, done: float, total: float, message: str) -> None:
        await self.caller.progress(round(done, 1), round(total, 1), self.team.hygiene.progress(message))

    def notice(self, sentence: str) -> None:
        self.notices.append(sentence)

    async def allow(self, act: Act, look: Look, *, confirm: str | None, remark: Remark | None = None) -> AtStake:
        at_stake = await look()
        self.refuse_protected(at_stake, _PARTICIPLES[act])
        counted = act in _COUNTED
        if counted:
            await self.team.allowance.check()
        match self.process.settings.confirm:
            case "never":
                if confirm is not None:
                    await self._check_typed(act, at_stake, confirm, remark)
                self._confirmed("never asked")
            case _ if self.caller.can_ask and await self._asked(act, at_stake, look, remark):
                self._confirmed("person")
            case "person":
                raise confirmation.nobody()
            case "auto":
                await self._check_typed(act, at_stake, confirm, remark)
                self._confirmed("typed name")
        if counted:
            await self.team.allowance.take()
        return at_stake

    async def _check_typed(self, act: Act, at_stake: AtStake, typed: str | None, remark: Remark | None) -> None:
        try:
            confirmation.check_typed(act, at_stake, typed, self.team.hygiene)
        except NotConfirmed:
            confirmation.check_typed(act, await _told(at_stake, remark), typed, self.team.hygiene)  # with more to read
            raise

    async def _asked(self, act: Act, at_stake: AtStake, look: Look, remark: Remark | None) -> bool:
        """Whether a person was asked, and said yes to exactly what is there; False where nobody could be asked."""
        question = Question(
            text=confirmation.question(act, await _told(at_stake, remark), self.team.hygiene, await self._team_name()),
            at_stake=at_stake,
            call=self._identity(),
            seconds=self.budget.left() - self.budget.seconds * _RESERVE,
            questions=self.team.questions,
        )
        try:
            waited = await self.caller.ask(question)
        except CannotAsk:
            return False
        if waited:
            confirmation.check_unchanged(at_stake, await look())
        return True

    async def _team_name(self) -> str | None:
        return self.team.name or await self.storage.team_name()

    def _confirmed(self, how: str) -> None:
        if self.attempt is not None:
            self.attempt.confirmed = how

    def _identity(self) -> str:
        """What makes an answer belong to this call and no other: the tool, its arguments as they came, and who asks."""
        said = [self.tool.name, sorted(self.given.items()), self.caller.principal]
        return hashlib.sha256(to_json(said, fallback=repr)).hexdigest()


async def _told(at_stake: AtStake, remark: Remark | None) -> AtStake:
    """What is at stake as somebody reads it."""
    return at_stake if remark is None else replace(at_stake, facts=(*at_stake.facts, *await remark()))
