"""Streamable HTTP for the handshake era: a POST is answered as JSON where one message is all there is to say.

The SDK's own transport answers each POST with an event stream, through four tasks and as many queues, which took longer
than the call itself (docs/decisions/own-streamable-http.md). The protocol's part (the handshake, dispatch, cancelling,
asking the client) stays the SDK's, and so does all of the 2026 era.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any
from uuid import uuid4

import anyio
from anyio.abc import TaskGroup
from mcp.server import Server
from mcp.server.runner import serve_loop
from mcp.server.streamable_http import MCP_SESSION_ID_HEADER, check_accept_headers
from mcp.server.transport_security import TransportSecurityMiddleware, TransportSecuritySettings
from mcp.shared.inbound import MCP_PROTOCOL_VERSION_HEADER
from mcp.shared.message import ServerMessageMetadata, SessionMessage
from mcp_types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    INVALID_REQUEST,
    PARSE_ERROR,
    ErrorData,
    JSONRPCError,
    JSONRPCMessage,
    JSONRPCRequest,
    JSONRPCResponse,
    jsonrpc_message_adapter,
)
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS
from pydantic import ValidationError
from pydantic_core import from_json
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from paperspace_storage_server.calls.principal import principal_in
from paperspace_storage_server.mcp.exchanges import Exchange, InUse, Owner, Session
from paperspace_storage_server.mcp.results import TakesSpelled, encoded
from paperspace_storage_server.mcp.sessions import IDLE, MOST

logger = logging.getLogger(__name__)

PING = 15.0
"""Seconds of silence after which an answer becomes an event stream, and is kept alive: proxies give up on silence."""

_JSON = b"application/json"
_STREAM = (
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-cache, no-transform"),
    (b"connection", b"keep-alive"),
    (b"x-accel-buffering", b"no"),
)


class _Posted(Request, TakesSpelled):
    """The request that the SDK's handlers see."""


class StreamableHttp:
    """ASGI, at one path: sessions of the handshake era; what names another revision goes to `modern`."""

    def __init__(
        self,
        server: Server[Any],
        security: TransportSecuritySettings,
        modern: ASGIApp,
        largest_body: int,
        *,
        idle: float = IDLE,
        most_sessions: int = MOST,
    ) -> None:
        self._server = server
        self._security = TransportSecurityMiddleware(security)
        self._modern = modern
        self._largest_body = largest_body
        self._idle = idle
        self._most_sessions = most_sessions
        self._sessions: dict[str, Session] = {}
        self._tasks: TaskGroup | None = None
        self._lifespan: Any = None

    @asynccontextmanager
    async def run(self) -> AsyncGenerator[None]:
        """Sessions can be had within; at the end all of them are over."""
        async with self._server.lifespan(self._server) as self._lifespan, anyio.create_task_group() as self._tasks:
            try:
                yield
            finally:
                self._tasks.cancel_scope.cancel()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = _headers(scope)
        version = headers.get(MCP_PROTOCOL_VERSION_HEADER)
        if version is not None and version not in HANDSHAKE_PROTOCOL_VERSIONS:
            await self._modern(scope, receive, send)
            return
        method: str = scope["method"]
        request = _Posted(scope)
        refusal = await self._security.validate_request(request, is_post=method == "POST")
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        try:
            if method == "POST":
                await self._post(request, headers, receive, send)
            elif method == "GET":
                await self._listen(request, headers, receive, send)
            elif method == "DELETE":
                self._end(self._session(scope, headers))
                await _answer(send, 200, b"")
            else:
                raise _Refused(405, "Method Not Allowed", extra=((b"allow", b"GET, POST, DELETE"),))
        except _Refused as refused:
            await _answer(send, refused.status, encoded(refused.message), refused.extra)

    async def _post(self, request: _Posted, headers: Mapping[str, str], receive: Receive, send: Send) -> None:
        if check_accept_headers(request) != (True, True):
            raise _Refused(406, "Not Acceptable: Client must accept both application/json and text/event-stream")
        message = _message(await self._body(headers, receive))
        if MCP_SESSION_ID_HEADER in headers:
            session = self._session(request.scope, headers)
        elif isinstance(message, JSONRPCRequest) and message.method == "initialize":
            session = self._begin(request.scope)
        else:
            raise _Refused(400, "Bad Request: Missing session ID")
        if not isinstance(message, JSONRPCRequest):
            session.asked.put(SessionMessage(message, ServerMessageMetadata(request_context=request)))
            await _answer(send, 202, b"", _named(session))
            return
        try:
            with session.exchange(message.id) as exchange:
                about = ServerMessageMetadata(
                    request_context=request, on_request_unanswered=partial(session.unanswered, message.id)
                )
                session.asked.put(SessionMessage(message, about))
                await self._respond(session, exchange, message.method, receive, send)
        except InUse:
            raise _Refused(400, "Bad Request: a request of this id is under way", extra=_named(session)) from None

    async def _respond(self, session: Session, exchange: Exchange, method: str, receive: Receive, send: Send) -> None:
        first: JSONRPCMessage | None = None
        with suppress(TimeoutError):
            async with asyncio.timeout(PING):
                first = await exchange.next()
                if first is None:
                    raise _Refused(500, "Session terminated before the request completed", INTERNAL_ERROR)
        if not isinstance(first, JSONRPCResponse | JSONRPCError):
            await _stream(session, exchange, first, receive, send)
            return
        if method == "initialize" and isinstance(first, JSONRPCError):
            self._end(session)
        await _answer(send, 200, encoded(first), _named(session))

    async def _listen(self, request: _Posted, headers: Mapping[str, str], receive: Receive, send: Send) -> None:
        if not check_accept_headers(request)[1]:
            raise _Refused(406, "Not Acceptable: Client must accept text/event-stream")
        session = self._session(request.scope, headers)
        try:
            with session.exchange(None) as exchange:
                await _stream(session, exchange, None, receive, send)
        except InUse:
            raise _Refused(409, "Conflict: Only one SSE stream is allowed per session", extra=_named(session)) from None

    async def _body(self, headers: Mapping[str, str], receive: Receive) -> bytes:
        told = headers.get("content-length", "")
        if told.isdecimal() and int(told) > self._largest_body:
            raise _Refused(413, "Request body too large")
        body = b""
        while True:
            message = await receive()
            if message["type"] != "http.request":
                raise _Refused(400, "Bad Request: the client left")
            part: bytes = message.get("body", b"")
            body += part
            if len(body) > self._largest_body:
                raise _Refused(413, "Request body too large")
            if not message.get("more_body", False):
                return body

    def _begin(self, scope: Scope) -> Session:
        if len(self._sessions) >= self._most_sessions:
            raise _Refused(503, "Too many open sessions", INTERNAL_ERROR)
        session = Session(uuid4().hex, _owner(scope))
        self._sessions[session.id] = session
        assert self._tasks is not None, "not running"
        self._tasks.start_soon(self._serve, session)
        self._watch(session)
        return session

    async def _serve(self, session: Session) -> None:
        try:
            await serve_loop(self._server, session.asked, session, lifespan_state=self._lifespan, session_id=session.id)
        except Exception:
            logger.exception("a session failed inside this server")
        finally:
            self._end(session)
            session.close()

    def _session(self, scope: Scope, headers: Mapping[str, str]) -> Session:
        """The session that a request names. One that somebody else began is there for nobody else."""
        if (id := headers.get(MCP_SESSION_ID_HEADER)) is None:
            raise _Refused(400, "Bad Request: Missing session ID")
        session = self._sessions.get(id)
        if session is None or session.ended or session.owner != _owner(scope):
            raise _Refused(404, "Session not found")
        return session

    def _end(self, session: Session) -> None:
        self._sessions.pop(session.id, None)
        session.end()

    def _watch(self, session: Session) -> None:
        """End it once nobody has used it for long enough."""
        if session.ended:
            return
        loop = asyncio.get_running_loop()
        left = self._idle if session.in_use or not session.used else session.used + self._idle - loop.time()
        if left <= 0:
            self._end(session)
        else:
            session.watch = loop.call_later(left, self._watch, session)


class _Refused(Exception):
    """A status with a JSON-RPC error that belongs to no request."""

    def __init__(
        self,
        status: int,
        text: str,
        code: int = INVALID_REQUEST,
        *,
        extra: tuple[tuple[bytes, bytes], ...] = (),
    ) -> None:
        super().__init__(text)
        self.status = status
        self.message = JSONRPCError(jsonrpc="2.0", id=None, error=ErrorData(code=code, message=text))
        self.extra = extra


def _owner(scope: Scope) -> Owner | None:
    """Who may use the session that this request begins; who is in two teams has sessions for each."""
    principal = principal_in(scope)
    return (principal.team, principal.key) if principal is not None else None


def _headers(scope: Scope) -> dict[str, str]:
    """By name, the first of each; ASGI has names in small letters."""
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in reversed(scope["headers"])}


def _message(body: bytes) -> JSONRPCMessage:
    try:
        return jsonrpc_message_adapter.validate_json(body, by_name=False)
    except ValidationError:
        try:
            from_json(body)
        except ValueError:
            raise _Refused(400, "Parse error", PARSE_ERROR) from None
        raise _Refused(400, "This is no JSON-RPC message", INVALID_PARAMS) from None


def _named(session: Session) -> tuple[tuple[bytes, bytes], ...]:
    return ((MCP_SESSION_ID_HEADER.encode(), session.id.encode()),)


async def _answer(send: Send, status: int, body: bytes, extra: tuple[tuple[bytes, bytes], ...] = ()) -> None:
    headers = [(b"content-type", _JSON), (b"content-length", b"%d" % len(body)), *extra]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _stream(
    session: Session, exchange: Exchange, first: JSONRPCMessage | None, receive: Receive, send: Send
) -> None:
    """An event stream until the answer, or until the client or the server leaves."""
    await send({"type": "http.response.start", "status": 200, "headers": [*_STREAM, *_named(session)]})
    left = asyncio.ensure_future(_left(receive))
    try:
        message = first
        while True:
            body = b": ping\r\n\r\n" if message is None else b"event: message\r\ndata: %b\r\n\r\n" % encoded(message)
            await send({"type": "http.response.body", "body": body, "more_body": True})
            if isinstance(message, JSONRPCResponse | JSONRPCError):
                break
            coming = asyncio.ensure_future(exchange.next())
            try:
                done, _ = await asyncio.wait((coming, left), timeout=PING, return_when=asyncio.FIRST_COMPLETED)
            finally:
                if not coming.done():
                    coming.cancel()
            if left in done:
                return
            message = coming.result() if coming in done else None
            if coming in done and message is None:
                break
        await send({"type": "http.response.body", "body": b""})
    finally:
        left.cancel()


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
