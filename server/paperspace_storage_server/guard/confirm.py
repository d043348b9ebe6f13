"""Confirmation before what destroys, shrinks or redirects: what a person is shown, and what a model types.

Whether a person is asked is the caller's to say: where one can be, they are, whatever the model typed; elsewhere the
model types the resource's exact name. How they are asked, and what of their answer is a yes, the surface knows.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from dataclasses import dataclass
from typing import Protocol

from paperspace_storage_server.guard.hygiene import Hygiene
from paperspace_storage_server.http.budget import Clock
from paperspace_storage_tools.errors import NotConfirmed
from paperspace_storage_tools.ports import Act, AtStake
from paperspace_storage_tools.text import in_quotes

_MOST_OPEN = 1000
STANDS = 600.0
"""Seconds for which a question stands that travels with an answer: no call is held open for it, a person may be at
lunch, and what they were shown is compared with what is there when they have answered."""
_NOTHING = "Nothing was sent to change anything."
_AGAIN = "Call again to be asked."


class CannotAsk(Exception):
    """The client turns out to have no way to ask a person."""


@dataclass(frozen=True, slots=True)
class _Open:
    """A question that was put: for which call, about what, until when."""

    call: str
    shown: AtStake
    until: float


class Questions(Protocol):
    """Questions that wait for an answer, each under a token that is good for one."""

    async def put(self, call: str, shown: AtStake, seconds: float) -> str:
        """Keep the question open that long; `call` identifies tool, arguments and caller. Returns the token."""
        ...

    async def take(self, token: str, call: str) -> AtStake:
        """What was shown. Raises `NotConfirmed` for a foreign, used or late token."""
        ...


class QuestionsHere:
    """`Questions` of one process. A token is random, and means nothing elsewhere."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._open: OrderedDict[str, _Open] = OrderedDict()

    async def put(self, call: str, shown: AtStake, seconds: float) -> str:
        token = secrets.token_urlsafe(24)
        self._open[token] = _Open(call, shown, self._clock() + seconds)
        while len(self._open) > _MOST_OPEN:
            self._open.popitem(last=False)
        return token

    async def take(self, token: str, call: str) -> AtStake:
        open = self._open.pop(token, None)
        if open is None or open.call != call:
            raise not_open()
        if self._clock() > open.until:
            raise too_late()
        return open.shown


@dataclass(frozen=True, slots=True)
class Question:
    """A question to a person: its text, what is at stake, for which call, and how many seconds a call that waits for
    the reply has for it."""

    text: str
    at_stake: AtStake
    call: str
    seconds: float
    questions: Questions

    async def put(self) -> str:
        """Keep it open, and no call with it; the token by which its reply is known."""
        return await self.questions.put(self.call, self.at_stake, STANDS)

    async def take(self, token: str) -> AtStake:
        """What was shown under this token, which is used up. Raises `NotConfirmed` for a foreign, used or late one."""
        return await self.questions.take(token, self.call)


@dataclass(frozen=True, slots=True)
class _Words:
    """How an act is spoken of: as a question, as a refusal, and what a person has to know of it."""

    question: str
    refusal: str
    warning: str


_WORDS: dict[Act, _Words] = {
    "delete": _Words("Delete {}", "Deleting {}", "This cannot be undone."),
    "restore": _Words("Restore {}", "Restoring {}", "What is lost cannot be brought back."),
    "shrink": _Words("Shrink {}", "Shrinking {}", "Files that no longer fit may be lost."),
    "redirect": _Words(
        "Point {} at another place", "Pointing {} at another place", "What reads and writes there moves."
    ),
    "displace": _Words(
        "Take the place of {} as the team's default",
        "Taking the place of {} as the team's default",
        "What names no provider goes to the new default from then on.",
    ),
}


def describe(at_stake: AtStake, hygiene: Hygiene) -> str:
    """`shared drive sd123 "data" (500 GB, region ny2)`: kind and id first, for the name is whatever someone typed."""
    kind, name = at_stake.kind, f" {in_quotes(at_stake.name)}" if at_stake.name else ""
    facts = ", ".join(at_stake.facts)
    return hygiene.for_person(f"{kind} {at_stake.id}{name}{f' ({facts})' if facts else ''}", kind)


def question(act: Act, at_stake: AtStake, hygiene: Hygiene, team: str | None = None) -> str:
    """What the person reads: team, kind and id before the name, which is escaped, so that it cannot imitate the rest.

    Raises:
        CannotBeShown: a secret that this server knows stands in it; masked, it would name nothing.
    """
    words = _WORDS[act]
    whose = hygiene.for_person(f"Team {in_quotes(team)}: ", "team") if team else ""
    asked = f"{whose}{words.question.format(describe(at_stake, hygiene))}?"
    return f"{asked[:1].upper()}{asked[1:]}\n{words.warning}"


def exact_name(at_stake: AtStake, hygiene: Hygiene) -> str:
    """What `confirm` must be: the name without what cannot be typed, or the id where there is no name."""
    return hygiene.for_person(at_stake.name, at_stake.kind) or at_stake.id


def check_typed(act: Act, at_stake: AtStake, typed: str | None, hygiene: Hygiene) -> None:
    """Raise unless the exact name was typed; the text shows what is at stake and how to go on."""
    described, name = describe(at_stake, hygiene), exact_name(at_stake, hygiene)
    if typed is not None and typed in (name, at_stake.name or at_stake.id):
        return
    doing = _WORDS[act].refusal.format(described)
    what = "name" if at_stake.name else "id"
    why = "needs a confirmation" if typed is None else f"is not confirmed: `confirm` is not its exact {what}"
    raise NotConfirmed(
        f"{doing} {why}. If that is what the person wants, call again with confirm set to its exact {what}."
    )


def check_unchanged(shown: AtStake, now: AtStake) -> None:
    """Raise where the resource is no longer what the person was shown."""
    if shown != now:
        raise NotConfirmed(
            f"The {now.kind} {now.id} changed between the question and the answer. {_NOTHING} Look again first."
        )


def not_open() -> NotConfirmed:
    """The reply is to no question that is open: a foreign one, or one that was answered before."""
    return NotConfirmed(f"This answer belongs to no open question of this call. {_NOTHING} {_AGAIN}")


def too_late() -> NotConfirmed:
    """Somebody answered, but too late: the question was shown, so no advice about hosts that never do."""
    return NotConfirmed(f"The question was answered too late. {_NOTHING} {_AGAIN}")


def nobody() -> NotConfirmed:
    """Only a person may confirm here, and this client cannot ask one."""
    return NotConfirmed(
        "This server takes only a person's own yes (PAPERSPACE_MCP_CONFIRM=person), and this client cannot ask one. "
        "Use a client that supports elicitation, or ask the operator."
    )
