"""Who a token speaks for, before any team is known, and how a caller is refused."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Identity:
    """What a token that was checked says. `issuer` is None for a static token, whose `team` is its own.

    `emails` holds verified addresses only. `team` of a person is what the team claim names, if any.
    """

    issuer: str | None
    subject: str
    scopes: frozenset[str]
    expires: float
    emails: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    team: str | None = None

    @property
    def key(self) -> str:
        """Tells all callers apart: a static token's name can never be a person's subject."""
        return f"token {self.subject}" if self.issuer is None else f"{self.issuer} {self.subject}"


class BadToken(Exception):
    """The token lets nobody in; `why` is safe to tell its bearer."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class NotForAnyTeam(Exception):
    """The token is good and its bearer may act for no team, or names none of several; `why` names no team."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class InNoTeam(NotForAnyTeam):
    """A person of the issuer whom the operator has put in no team at all, and whose token names none."""


class NotReady(Exception):
    """Nobody can be told apart at the moment: the issuer's keys, or one of our files, cannot be read."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why
