"""One HTTP/1.1 connection: a request goes out, its answer comes back whole. httptools (llhttp, Node's parser) reads it.

Failures are httpx's, so that their names tell what a write may have done: `ConnectError` says that nothing went out;
`ReadError` (the connection was lost), `RemoteProtocolError` (no HTTP came back) and `TooLarge` say that it did.
"""

from __future__ import annotations

import asyncio
import select
import sys
from collections.abc import Callable
from typing import cast

import httpx
from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from paperspace_storage_server.http.body import Body
from paperspace_storage_server.http.transport import RawAnswer
from paperspace_storage_server.http.trouble import TooLarge

# What an answer may weigh beside its body, in bytes: status lines, headers, trailers, the framing of chunks. A body in
# chunks of five bytes has as much framing.
LARGEST_HEAD = 64 * 1024
MOST_FRAMING = 1  # times the body

_KEPT = frozenset({b"content-type", b"retry-after", b"content-encoding"})
_FRAMING = frozenset({b"content-length", b"transfer-encoding"})


class Connection(asyncio.Protocol):
    """A connection that carries one request at a time.

    `tunnel`: the answer ends with its headers, as a proxy's to CONNECT does (RFC 9110, 9.3.6).
    """

    idle_since: float
    """By the event loop's clock, seconds; once there was a request."""

    def __init__(self, *, tunnel: bool = False) -> None:
        self._loop = asyncio.get_running_loop()
        self._tunnel = tunnel
        self._parser = HttpResponseParser(self)
        self._answer: asyncio.Future[RawAnswer] | None = None
        self._reusable = True
        self._await_head()

    @property
    def reusable(self) -> bool:
        """Another request may be sent."""
        return self._reusable and not self.transport.is_closing() and not self._has_news()

    def _has_news(self) -> bool:
        """Something came that the event loop has not read yet: the end of the connection, most likely."""
        opened = self.transport.get_extra_info("socket")
        if opened is None:
            return False
        if sys.platform == "win32":
            return bool(select.select([opened], [], [], 0)[0])
        poll = select.poll()  # select itself takes no number beyond 1,023
        poll.register(opened, select.POLLIN)
        return bool(poll.poll(0))

    async def send(self, request: bytes, on_wire: Callable[[], None]) -> RawAnswer:
        """Send a request and wait for the whole answer; `on_wire` is called right before the first byte.

        A wait that is cancelled closes the connection: what came after it would be taken for the next answer.

        Raises:
            httpx.ConnectError: the connection had been closed; nothing went out.
            httpx.ReadError, httpx.RemoteProtocolError, httpx.DecodingError, TooLarge: no usable answer, and the request
                may have acted.
        """
        if not self.reusable:
            raise httpx.ConnectError("the connection was closed before the request")
        self._answer = self._loop.create_future()
        try:
            on_wire()
            self._received = 0  # bytes since the request
            self.transport.write(request)
            return await self._answer
        except BaseException:
            self._reusable = False
            raise
        finally:
            self._answer = None
            self.idle_since = self._loop.time()
            if not self._reusable:
                self.transport.abort()

    def _await_head(self) -> None:
        self._headers: dict[bytes, bytes] = {}  # of those in `_KEPT`, the first of each name
        self._body = Body()
        self._in_body = False
        self._framed = False  # the answer says where it ends; else it ends with the connection

    def _awaited(self) -> asyncio.Future[RawAnswer] | None:
        """Where somebody still waits for the answer."""
        return None if self._answer is None or self._answer.done() else self._answer

    def _finish(self) -> None:
        if (answer := self._awaited()) is None:
            return
        kept = {name: value.decode("latin-1") for name, value in self._headers.items()}
        try:
            body = self._body.whole(self._headers.get(b"content-encoding", b"identity"))
        except (httpx.DecodingError, TooLarge) as error:
            answer.set_exception(error)
            return
        status = self._parser.get_status_code()
        answer.set_result(RawAnswer(status, kept.get(b"content-type", ""), kept.get(b"retry-after"), body))

    def _fail(self, error: Exception, cause: BaseException | None = None) -> None:
        if (answer := self._awaited()) is not None:
            error.__cause__ = cause
            answer.set_exception(error)

    # Called by asyncio.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._answer is None:  # a server that says why it closes, or rubbish
            self.transport.abort()
            return
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            self._fail(httpx.RemoteProtocolError(str(error)))
        self._received += len(data)
        if self._received - self._body.size > LARGEST_HEAD + MOST_FRAMING * self._body.size:
            self._fail(httpx.RemoteProtocolError("its headers, trailers or chunks do not end"))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._in_body and not self._framed and exc is None:
            self._finish()
        self._fail(httpx.ReadError("the connection was closed before the answer was whole"), exc)

    # Called by httptools.

    def on_message_begin(self) -> None:
        self._reusable = False  # a second answer to one request makes all that follows unsure

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_body:
            return  # a trailer: nothing that is read of an answer may come after its body (RFC 9110, 6.5.1)
        name = name.lower()
        self._framed = self._framed or name in _FRAMING
        if name in _KEPT:
            self._headers.setdefault(name, value)

    def on_headers_complete(self) -> None:
        self._in_body = True
        if self._tunnel:
            self._reusable = True
            self._finish()

    def on_body(self, body: bytes) -> None:
        try:
            self._body.add(body)
        except TooLarge as error:
            self._fail(error)

    def on_message_complete(self) -> None:
        if self._tunnel:
            return
        if self._parser.get_status_code() >= 200:  # else 100 Continue and the like: the answer is yet to come
            self._reusable = self._awaited() is not None and self._parser.should_keep_alive()
            self._finish()
        self._await_head()
