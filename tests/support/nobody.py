"""A caller behind which nobody can be asked."""

from __future__ import annotations

from paperspace_storage_server.guard.confirm import Question


class Nobody:
    """`calls.call.Caller` without a person. Whoever asks it all the same is wrong."""

    principal: str | None = None
    request_id = 1
    can_ask = False

    async def ask(self, question: Question) -> bool:
        raise AssertionError(question)

    async def progress(self, done: float, total: float, message: str) -> None:
        return None
