"""Callers behind which nobody can be asked: a script, a request that only reads. Knows no surface."""

from __future__ import annotations

from dataclasses import dataclass

from paperspace_storage_server.guard.confirm import CannotAsk, Question


@dataclass(frozen=True, slots=True)
class Unasked:
    """`calls.call.Caller` without a person, and with nobody who wants to know how far it has come."""

    principal: str | None = None
    request_id: str | int | None = None
    can_ask: bool = False

    async def ask(self, question: Question) -> bool:
        raise CannotAsk

    async def progress(self, done: float, total: float, message: str) -> None:
        return None
