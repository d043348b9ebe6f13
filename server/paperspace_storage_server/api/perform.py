"""One operation of the API: encode, send, decode, in the dialect that it speaks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Protocol, TypeAlias, TypeVar

from pydantic import SecretStr

from paperspace_storage_server.api.upstream import DIALECTS, Upstream, codec_of, held
from paperspace_storage_server.http.budget import Budget
from paperspace_storage_server.wire.messages import Answer, Codec, Decoded, Dialect, Operation
from paperspace_storage_server.wire.parts import LARGEST_WHOLE
from paperspace_storage_server.wire.recognise import PROBE, recognise
from paperspace_storage_tools.errors import Failure, Malformed, Refused, ServerTrouble, Unsupported
from paperspace_storage_tools.ports import SnapshotQuery

T = TypeVar("T")
WhenLeft: TypeAlias = Callable[[Failure], Awaitable[None]]


class Quoting(Protocol):
    """Makes the API's own words fit to be quoted: without secrets, then cut."""

    def message(self, text: str) -> str: ...
    def code(self, text: str) -> str: ...


class Performing:
    """Performs operations within one call's budget. Secrets in answers go to `learn`, remarks to `notice`, and the
    API's words in failures through `quoting`."""

    def __init__(
        self,
        upstream: Upstream,
        budget: Budget,
        learn: Callable[[SecretStr], None],
        notice: Callable[[str], None],
        quoting: Quoting,
    ) -> None:
        self.upstream = upstream
        self.budget = budget
        self.notice = notice
        self._learn = learn
        self._quoting = quoting

    async def codec(self) -> Codec:
        """The codec in use; asks with one harmless GET where no earlier answer has told."""
        upstream = self.upstream
        if (codec := upstream.codec) is not None:
            return codec
        async with held(upstream.probing, self.budget):
            if (codec := upstream.codec) is not None:
                return codec
            answer = await upstream.http.send(PROBE, self.budget)
            dialect = recognise(answer)
            if dialect is None:
                if answer.status < 300:
                    raise Malformed("it does not show which dialect the API speaks")
                from paperspace_storage_server.wire.answers import failure_of

                raise self._quoted(failure_of(answer, kind="snapshot", id=None))
            codec = codec_of(dialect)
            # A stray `[]` or `{}` must not settle it.
            await self._decode(codec.list_snapshots(SnapshotQuery()), answer)
            upstream.dialect = dialect
            return codec

    async def perform(self, make: Callable[[Codec], Operation[T]], *, left: WhenLeft | None = None) -> T:
        """Encode, send, decode. While the dialect is unknown, what both encode alike is sent, and its answer tells.

        A write whose caller is cancelled while it is under way is read to its end; if it fails, `left` is then awaited
        with its failure.
        """
        codec = self.upstream.codec
        if codec is None:
            operation = alike(make)
            if operation is not None:
                answer = await self.upstream.http.send(operation["live"].request, self.budget)
                dialect = recognise(answer)
                value = await self._decode(operation[dialect or "live"], answer)
                if dialect is not None and self.upstream.codec is None:
                    self.upstream.dialect = dialect  # an answer that could not be read tells nothing
                return value
            codec = await self.codec()
        made = make(codec)

        def when_left(outcome: Answer | Failure) -> None:
            if left is not None:
                self.upstream.later(self._left(made, outcome, left))

        return await self._decode(made, await self.upstream.http.send(made.request, self.budget, when_left=when_left))

    async def _left(self, operation: Operation[T], outcome: Answer | Failure, left: WhenLeft) -> None:
        """Tell of a write that nobody waits for that it failed."""
        if isinstance(outcome, Answer):
            try:
                await self._decode(operation, outcome)
            except Failure as failure:
                await left(failure)
        else:
            await left(outcome)

    async def _decode(self, operation: Operation[T], answer: Answer) -> T:
        try:
            decoded = await _decoded(operation, answer)
        except Failure as failure:
            self._quoted(failure)
            if operation.request.method == "GET":
                raise
            # A refusal, too, leaves it open what an earlier try of the same request has done. A 408 may come from
            # a gateway that gave up waiting for an API that goes on.
            if answer.doubt or answer.status == 408 or isinstance(failure, ServerTrouble | Malformed):
                failure.changed = "unknown"
            raise
        for secret in decoded.secrets:
            self._learn(secret)
        return decoded.value

    def _quoted(self, failure: Failure) -> Failure:
        if isinstance(failure, Refused | ServerTrouble | Malformed) and failure.message:
            failure.message = self._quoting.message(failure.message)
        if isinstance(failure, Refused):
            failure.code = self._quoting.code(failure.code) if failure.code else failure.code
            failure.issues = [self._quoting.message(one) for one in failure.issues]
        return failure


async def _decoded(operation: Operation[T], answer: Answer) -> Decoded[T]:
    """A long list is read in a thread, part by part, so that it holds up nobody else."""
    if len(answer.body) <= LARGEST_WHOLE:
        return operation.decode(answer)
    # The thread keeps what it was given, and the event loop what it awaits, for longer than they need it.
    given, made = [answer], list[Decoded[T]]()
    del answer
    await asyncio.get_running_loop().run_in_executor(_beside(), lambda: made.append(operation.decode(given.pop())))
    return made.pop()


@cache
def _beside() -> ThreadPoolExecutor:
    """One thread for the whole process: two long lists at once would share the interpreter with it two to one."""
    return ThreadPoolExecutor(1, "long-list")


def alike(make: Callable[[Codec], Operation[T]]) -> dict[Dialect, Operation[T]] | None:
    """The operation in both dialects where they send the same request, else None.

    Raises:
        Unsupported: neither dialect can express it.
    """
    made: dict[Dialect, Operation[T]] = {}
    refusals: list[Unsupported] = []
    for dialect in DIALECTS:
        try:
            made[dialect] = make(codec_of(dialect))
        except Unsupported as refusal:
            refusals.append(refusal)
    if not made:
        raise refusals.pop()
    if refusals or made["published"].request != made["live"].request:
        return None
    return made
