"""Confirmation before a delete or a restore: who is asked, with which words, and what counts as a yes.

Whether a person is asked is the connection's to say: a client that declares elicitation is asked, whatever the
model typed; for any other client the model types the resource's exact name. Nothing but a clear yes is a yes.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from paperspace_storage_server.guard.hygiene import Hygiene
from paperspace_storage_server.http.budget import Clock
from paperspace_storage_tools.errors import NotConfirmed
from paperspace_storage_tools.ports import AtStake

Reply: TypeAlias = Literal["accept", "decline", "cancel"]
_MOST_OPEN = 1000
_NOTHING = "Nothing was sent to change anything."
_NEVER_SHOWN = (
    "If the person never saw the question, their MCP host declares elicitation without showing it: they can use "
    "another host, or set PAPERSPACE_MCP_CONFIRM=never for this one (with PAPERSPACE_MCP_PROTECT for what must stay)."
)


class CannotAsk(Exception):
    """The client turns out to have no way to ask a person."""


@dataclass(frozen=True, slots=True)
class _Open:
    """A question that was put: for which call, about what, until when."""

    call: str
    shown: AtStake
    until: float


class Questions:
    """Questions that wait for an answer. A token is random, good for one answer, and means nothing elsewhere."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._open: OrderedDict[str, _Open] = OrderedDict()

    def put(self, call: str, shown: AtStake, seconds: float) -> str:
        """Remember the question; `call` identifies tool and arguments. Returns the token."""
        token = secrets.token_urlsafe(24)
        self._open[token] = _Open(call, shown, self._clock() + seconds)
        while len(self._open) > _MOST_OPEN:
            self._open.popitem(last=False)
        return token

    def take(self, token: str, call: str) -> AtStake:
        """What was shown. Raises `NotConfirmed` for a foreign, used or late token."""
        open = self._open.pop(token, None)
        if open is None or open.call != call:
            raise NotConfirmed(
                f"This answer belongs to no open question of this call. {_NOTHING} Call again to be asked."
            )
        if self._clock() > open.until:
            raise late()
        return open.shown


@dataclass(frozen=True, slots=True)
class Question:
    """A question to a person: its text, what is at stake, for which call, and for how many seconds it stands."""

    text: str
    at_stake: AtStake
    call: str
    seconds: float
    questions: Questions

    def put(self) -> str:
        """Remember it as open; the token by which its reply is known."""
        return self.questions.put(self.call, self.at_stake, self.seconds)

    def take(self, token: str) -> AtStake:
        """What was shown under this token, which is used up. Raises `NotConfirmed` for a foreign, used or late one."""
        return self.questions.take(token, self.call)


def describe(at_stake: AtStake, hygiene: Hygiene) -> str:
    """`shared drive "data" (sd123): 500 GB, region ny2`, cleaned and masked."""
    facts = ", ".join(hygiene.shown(fact) if len(fact) < 250 else hygiene.failure(fact) for fact in at_stake.facts)
    name = hygiene.shown(at_stake.name)
    return f'{at_stake.kind} "{name}" ({hygiene.shown(at_stake.id)}){": " + facts if facts else ""}'


def question(act: str, at_stake: AtStake, hygiene: Hygiene) -> str:
    """What the person reads. Names come cleaned of line breaks, so that none can forge a line of it."""
    end = "This cannot be undone." if act == "delete" else "What is lost cannot be brought back."
    return f"{act.capitalize()} {describe(at_stake, hygiene)}?\n{end}"


def exact_name(at_stake: AtStake, hygiene: Hygiene) -> str:
    """What `confirm` must be: the name as it is shown, or the id where there is no name."""
    return hygiene.shown(at_stake.name) or hygiene.shown(at_stake.id)


def check_typed(act: str, at_stake: AtStake, typed: str | None, hygiene: Hygiene) -> None:
    """Raise unless the exact name was typed; the text shows what would be destroyed and how to go on."""
    if typed is not None and typed in (exact_name(at_stake, hygiene), at_stake.name or at_stake.id):
        return
    why = "needs confirmation" if typed is None else "is not confirmed: `confirm` is not the exact name"
    what = "name" if hygiene.shown(at_stake.name) else "id"
    raise NotConfirmed(
        f"To {act} {why}. It concerns {describe(at_stake, hygiene)}. If that is what the person wants, call "
        f"again with confirm set to its exact {what}."
    )


def check_reply(reply: Reply, content: Mapping[str, object] | None) -> None:
    """Raise unless the person's reply is a clear yes."""
    if reply == "decline":
        raise NotConfirmed("The person declined. Do not try again unless they ask for it.")
    if reply == "cancel":
        raise NotConfirmed(
            f"The question was dismissed without an answer. Ask the person what they want. {_NEVER_SHOWN}"
        )
    if any(value is not True for value in (content or {}).values()):
        raise NotConfirmed("The reply to the question was not a clear yes. Ask the person what they want.")


def check_unchanged(shown: AtStake, now: AtStake) -> None:
    """Raise where the resource is no longer what the person was shown."""
    if shown != now:
        raise NotConfirmed(
            f"The {now.kind} {now.id} changed between the question and the answer. {_NOTHING} Look again first."
        )


def late() -> NotConfirmed:
    return NotConfirmed(f"The question was not answered in time. {_NEVER_SHOWN}")


def not_shown(why: str) -> NotConfirmed:
    return NotConfirmed(f"The person could not be asked: {why}. {_NEVER_SHOWN}")


def garbled() -> NotConfirmed:
    return NotConfirmed(f"The client's reply to the question was not understood. {_NEVER_SHOWN}")
