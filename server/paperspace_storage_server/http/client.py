"""Sending a request and getting its answer, within a budget: key, tries, pauses, and what each try may have done."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import urlencode

from pydantic import SecretStr

from paperspace_storage_server.http.budget import Budget
from paperspace_storage_server.http.retry import RetryPolicy, retry_after_seconds
from paperspace_storage_server.http.transport import Transport
from paperspace_storage_server.wire.messages import Answer, Request
from paperspace_storage_tools.errors import Cancelled, Failure, NoKey, TimedOut

if TYPE_CHECKING:
    from paperspace_storage_server.http.trouble import Trouble

logger = logging.getLogger(__name__)

LONGEST_TRY = 20.0  # seconds; a try that hangs must leave time for another
SHARE_OF_A_TRY = 0.4  # of the whole budget, for a request that may be repeated
SHARE_OF_LOOKING = 0.2  # kept from a write, for looking whether it acted when its answer is lost

Sleep = Callable[[float], Awaitable[None]]
OpenTransport = Callable[[], Transport]
WhenLeft: TypeAlias = Callable[[Answer | Failure], None]
"""Takes the answer of a write whose caller was cancelled, or the failure that stands for it; its `changed` says whether
the API may have acted."""


@dataclass(slots=True)
class _Course:
    """How far the tries of one request have come."""

    on_wire: bool = False
    """The first byte of the present try has gone out, and its answer has not come."""
    doubt: bool = False
    """An earlier try of a write may have acted."""
    tries: int = 0
    left: bool = False
    """Nobody waits any more: nothing more is sent."""

    def reach(self) -> None:
        if self.left:  # the connection came about after all
            raise asyncio.CancelledError
        self.on_wire = True


class Http:
    """The API's base URL, the key, and one transport, opened with the first request."""

    def __init__(
        self,
        base_url: str,
        key: SecretStr | None,
        open_transport: OpenTransport,
        *,
        policy: RetryPolicy | None = None,
        user_agent: str = "paperspace-storage-mcp",
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._key = key
        self._open_transport = open_transport
        self._policy = policy or RetryPolicy()
        self._user_agent = user_agent
        self._sleep = sleep
        self._transport: Transport | None = None
        self._writes: set[asyncio.Task[Answer]] = set()
        self._headers: dict[bool, dict[str, str]] = {}  # by whether a body goes with them

    def warm_up(self) -> Transport:
        """Import and open what the first request needs; the transport from then on."""
        if self._transport is None:
            key = self._key.get_secret_value() if self._key else ""
            always = {"Authorization": f"Bearer {key}", "Accept": "application/json", "User-Agent": self._user_agent}
            self._headers = {False: always, True: {**always, "Content-Type": "application/json"}}
            self._transport = self._open_transport()
        return self._transport

    async def aclose(self) -> None:
        """Close all connections; whoever left a write behind is told that its outcome is unknown."""
        if self._transport is not None:
            transport, self._transport = self._transport, None
            await transport.aclose()
        for write in self._writes:
            write.cancel()
        await asyncio.gather(*self._writes, return_exceptions=True)

    async def send(self, request: Request, budget: Budget, *, when_left: WhenLeft | None = None) -> Answer:
        """The API's answer, whatever its status, after as many tries as `retry.py` allows.

        A write that is on the wire when its caller is cancelled is not dropped: the caller goes at once, nothing more
        is sent, and the answer is read to its end, for as long as the try might have taken. `when_left` is then called
        once, with what came of the write: in the cancellation itself where nothing was on the wire, else as soon as it
        is known, and at the latest from `aclose`. It must not raise.

        Raises:
            NoKey: nothing is sent.
            TimedOut, Unreachable, Malformed: no usable answer; `changed` is "unknown" where a write may have acted.
        """
        if self._key is None:
            raise NoKey
        course = _Course()
        if not request.writes:
            return await self._tries(request, budget, course)
        write = asyncio.create_task(self._tries(request, budget, course))
        self._writes.add(write)
        write.add_done_callback(self._writes.discard)
        try:
            return await asyncio.shield(write)
        except asyncio.CancelledError:
            course.left = True
            if write.done() or course.on_wire:
                write.add_done_callback(lambda done: _tell(when_left, _outcome(done, course)))
            else:
                write.cancel()
                _tell(when_left, Cancelled(course.tries, "unknown" if course.doubt else "nothing"))
            raise

    async def _tries(self, request: Request, budget: Budget, course: _Course) -> Answer:
        while True:
            if not budget.left():
                raise TimedOut(budget.spent(), course.tries, "unknown" if course.doubt else "nothing")
            course.tries += 1
            outcome = await self._try(request, budget, course)
            course.on_wire = False
            if isinstance(outcome, Answer):
                status, retry_after = outcome.status, outcome.retry_after
                sent = status != 429  # of what may be repeated, this alone says for sure that nothing was done
            else:
                status, retry_after, sent = None, None, outcome.sent
            pause = None
            if not course.left and (isinstance(outcome, Answer) or not outcome.lasting):
                pause = self._policy.pause(
                    request.method,
                    course.tries,
                    status=status,
                    retry_after=retry_after,
                    sent=sent,
                    left=budget.left() - _kept(request, budget),
                )
            doubt = course.doubt or (sent and request.writes)
            if pause is None:
                if isinstance(outcome, Answer):
                    return outcome
                raise outcome.failure(seconds=budget.spent(), tries=course.tries, doubt=doubt)
            course.doubt = doubt
            logger.info("%s %s: repeated in %.2f s (try %d)", request.method, request.path, pause, course.tries + 1)
            await self._sleep(pause)

    async def _try(self, request: Request, budget: Budget, course: _Course) -> Answer | Trouble:
        transport = self.warm_up()
        left = budget.left()
        limit = max(left - _kept(request, budget), left / 2)
        if request.method != "POST":
            limit = min(limit, LONGEST_TRY, budget.seconds * SHARE_OF_A_TRY)
        path = f"{request.path}?{urlencode(request.query)}" if request.query else request.path
        headers = self._headers[request.body is not None]
        try:
            async with asyncio.timeout(limit):
                reply = await transport.send(
                    request.method, self._base_url + path, headers, request.body, on_wire=course.reach
                )
            return Answer(
                reply.status,
                reply.content_type,
                reply.body,
                retry_after=retry_after_seconds(reply.retry_after),
                tries=course.tries,
                doubt=course.doubt,
            )
        except Exception as error:  # whatever a transport raises is a failed try; cancellation is none of these
            from paperspace_storage_server.http.trouble import trouble_of

            trouble = trouble_of(error, on_wire=course.on_wire)
            logger.info("%s %s: %s (%s)", request.method, request.path, trouble.what, type(error).__name__)
            return trouble


def _kept(request: Request, budget: Budget) -> float:
    """Seconds of the budget that the request must leave over."""
    return budget.seconds * SHARE_OF_LOOKING if request.writes else 0.0


def _outcome(write: asyncio.Task[Answer], course: _Course) -> Answer | Failure:
    """What came of a write that nobody waits for."""
    if not write.cancelled():
        error = write.exception()
        if error is None:
            return write.result()
        if isinstance(error, Failure):
            return error
        logger.error("a write that was left failed inside: %s", type(error).__name__)
    return Cancelled(course.tries, "unknown")


def _tell(when_left: WhenLeft | None, outcome: Answer | Failure) -> None:
    if when_left is not None:
        when_left(outcome)
