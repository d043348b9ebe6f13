"""Sending a request and getting its answer, within a budget: key, tries, pauses, and what each try may have done."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from pydantic import SecretStr

from paperspace_storage_server.http.budget import Budget
from paperspace_storage_server.http.retry import RetryPolicy, retry_after_seconds
from paperspace_storage_server.http.transport import Transport
from paperspace_storage_server.wire.messages import Answer, Request
from paperspace_storage_tools.errors import NoKey, TimedOut

if TYPE_CHECKING:
    from paperspace_storage_server.http.trouble import Trouble

logger = logging.getLogger(__name__)

LONGEST_TRY = 20.0  # seconds; a try that hangs must leave time for another
SHARE_OF_A_TRY = 0.4  # of the whole budget, for a request that may be repeated
SHARE_OF_LOOKING = 0.2  # kept from a write, for looking whether it acted when its answer is lost

Sleep = Callable[[float], Awaitable[None]]
OpenTransport = Callable[[], Transport]


@dataclass(slots=True)
class _Wire:
    """Whether the first byte of a try has gone out."""

    reached: bool = False

    def reach(self) -> None:
        self.reached = True


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
        if self._transport is not None:
            transport, self._transport = self._transport, None
            await transport.aclose()

    async def send(self, request: Request, budget: Budget) -> Answer:
        """The API's answer, whatever its status, after as many tries as `retry.py` allows.

        Raises:
            NoKey: nothing is sent.
            TimedOut, Unreachable, Malformed: no usable answer; `changed` is "unknown" where a write may have acted.
        """
        if self._key is None:
            raise NoKey
        write = request.method != "GET"
        attempt, doubt = 0, False
        while True:
            attempt += 1
            if budget.left() <= 0:
                raise TimedOut(budget.spent(), attempt - 1, "unknown" if doubt and write else "nothing")
            outcome = await self._try(request, budget)
            if isinstance(outcome, Answer):
                status, retry_after = outcome.status, outcome.retry_after
                sent = status >= 500 or status == 408
            else:
                status, retry_after, sent = None, None, outcome.sent
            pause = None
            if isinstance(outcome, Answer) or not outcome.lasting:
                pause = self._policy.pause(
                    request.method,
                    attempt,
                    status=status,
                    retry_after=retry_after,
                    sent=sent,
                    left=budget.left() - _kept(request, budget),
                )
            if pause is None:
                if isinstance(outcome, Answer):
                    return outcome if attempt == 1 else _after_tries(outcome, attempt, doubt)
                raise outcome.failure(seconds=budget.spent(), tries=attempt, doubt=write and (doubt or sent))
            doubt = doubt or sent
            logger.info("%s %s: repeated in %.2f s (try %d)", request.method, request.path, pause, attempt + 1)
            await self._sleep(pause)

    async def _try(self, request: Request, budget: Budget) -> Answer | Trouble:
        transport, wire = self.warm_up(), _Wire()
        left = budget.left()
        limit = max(left - _kept(request, budget), left / 2)
        if request.method != "POST":
            limit = min(limit, LONGEST_TRY, budget.seconds * SHARE_OF_A_TRY)
        path = f"{request.path}?{urlencode(request.query)}" if request.query else request.path
        headers = self._headers[request.body is not None]
        try:
            async with asyncio.timeout(limit):
                reply = await transport.send(
                    request.method, self._base_url + path, headers, request.body, on_wire=wire.reach
                )
            return Answer(
                reply.status, reply.content_type, reply.body, retry_after=retry_after_seconds(reply.retry_after)
            )
        except Exception as error:  # whatever a transport raises is a failed try; cancellation is none of these
            from paperspace_storage_server.http.trouble import trouble_of

            trouble = trouble_of(error, on_wire=wire.reached)
            logger.info("%s %s: %s (%s)", request.method, request.path, trouble.what, type(error).__name__)
            return trouble


def _kept(request: Request, budget: Budget) -> float:
    """Seconds of the budget that the request must leave over."""
    return 0.0 if request.method == "GET" else budget.seconds * SHARE_OF_LOOKING


def _after_tries(answer: Answer, tries: int, doubt: bool) -> Answer:
    return Answer(
        answer.status, answer.content_type, answer.body, retry_after=answer.retry_after, tries=tries, doubt=doubt
    )
