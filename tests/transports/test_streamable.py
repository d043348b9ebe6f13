"""Streamable HTTP in the handshake era: one message is answered as JSON, more as a stream; sessions begin and end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import pytest
from mcp.server import Server
from mcp.server.context import ServerRequestContext
from mcp_types import CallToolRequestParams
from starlette.types import Message, Receive, Scope, Send

from paperspace_storage_server.calls.principal import PRINCIPAL, Principal
from paperspace_storage_server.mcp import streamable
from paperspace_storage_server.mcp.exchanges import Session
from paperspace_storage_server.mcp.streamable import StreamableHttp
from paperspace_storage_server.mcp.web import security

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]

Context = ServerRequestContext[Any, Any]
Tool = Callable[[Context], Awaitable[None]]
VERSION = "2025-11-25"
FORM = {"type": "object", "properties": {"yes": {"type": "boolean"}}, "required": ["yes"]}
ACCEPTS = "application/json, text/event-stream"
SENDER: ContextVar[str] = ContextVar("sender", default="nobody")


@dataclass
class Posted:
    """One HTTP request under way: what comes back, as it comes, and leaving before the end."""

    task: asyncio.Task[None]
    came: asyncio.Queue[Message] = field(default_factory=asyncio.Queue[Message])
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    head: Message = field(default_factory=dict[str, Any])

    @property
    def status(self) -> int:
        number: int = self.head["status"]
        return number

    @property
    def headers(self) -> dict[str, str]:
        return {name.decode(): value.decode() for name, value in self.head["headers"]}

    async def begun(self) -> Posted:
        if not self.head:
            self.head.update(await self.came.get())
        return self

    async def piece(self) -> bytes:
        body: bytes = (await self.came.get()).get("body", b"")
        return body

    async def event(self) -> dict[str, Any]:
        """The next message of an event stream, what only keeps it alive passed over."""
        while True:
            kind, _, text = (await self.piece()).decode().partition("\r\n")
            if kind == "event: message":
                message: dict[str, Any] = json.loads(text.removeprefix("data: "))
                return message
            assert kind == ": ping", kind

    async def json(self) -> dict[str, Any]:
        await self.begun()
        assert self.headers["content-type"] == "application/json"
        body = await self.piece()
        assert self.headers["content-length"] == str(len(body))
        message: dict[str, Any] = json.loads(body)
        return message


@dataclass
class World:
    """A server with one tool, whose behaviour the test gives."""

    app: StreamableHttp
    modern: list[str]
    session: str | None = None

    def request(
        self,
        method: str,
        body: bytes = b"",
        *,
        headers: dict[str, str] | None = None,
        principal: str | None = None,
        team: str = "team",
        session: str | None = "",
    ) -> Posted:
        given = {"host": "127.0.0.1:1", "accept": ACCEPTS, "content-type": "application/json"}
        given |= {"mcp-protocol-version": VERSION}
        if (named := self.session if session == "" else session) is not None:
            given["mcp-session-id"] = named
        raw = [(name.encode(), value.encode()) for name, value in {**given, **(headers or {})}.items()]
        scope: Scope = {"type": "http", "method": method, "path": "/mcp", "query_string": b"", "headers": raw}
        if principal is not None:
            scope["state"] = {PRINCIPAL: Principal(principal, team, frozenset())}
        bodies = [body]

        async def receive() -> Message:
            if bodies:
                return {"type": "http.request", "body": bodies.pop(), "more_body": False}
            await posted.gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            await posted.came.put(message)

        async def run() -> None:
            await self.app(scope, receive, send)

        posted = Posted(asyncio.ensure_future(run()))
        return posted

    def post(self, method: str | None, params: object = None, *, id: object = None, **more: Any) -> Posted:
        message: dict[str, Any] = {"jsonrpc": "2.0", "method": method, "params": params or {}, "id": id}
        return self.request("POST", json.dumps({k: v for k, v in message.items() if v is not None}).encode(), **more)

    def call(self, id: object = 1, **more: Any) -> Posted:
        params: dict[str, Any] = {"name": "it", "arguments": {}, "_meta": {"progressToken": "p"}}
        return self.post("tools/call", params, id=id, **more)

    async def status(self, posted: Posted) -> int:
        return (await posted.begun()).status

    async def begin(self, **more: Any) -> str:
        client = {"name": "t", "version": "1"}
        params: dict[str, Any] = {"protocolVersion": VERSION, "capabilities": {"elicitation": {}}, "clientInfo": client}
        posted = self.post("initialize", params, id=0, session=None, **more)
        assert (await posted.json())["result"]["protocolVersion"] == VERSION
        self.session = posted.headers["mcp-session-id"]
        assert await self.status(self.post("notifications/initialized", **more)) == 202
        return self.session


async def _nothing(context: Context) -> None:
    return None


@asynccontextmanager
async def world(tool: Tool = _nothing, **more: Any) -> AsyncGenerator[World]:
    async def call_tool(context: Context, params: CallToolRequestParams) -> dict[str, Any]:
        await tool(context)
        return {"content": [], "structuredContent": {"said": "done"}}

    server: Server[Any] = Server("test")
    server.add_request_handler("tools/call", CallToolRequestParams, call_tool)
    modern: list[str] = []

    async def to_the_sdk(scope: Scope, receive: Receive, send: Send) -> None:
        modern.append(dict(scope["headers"])[b"mcp-protocol-version"].decode())

    app = StreamableHttp(server, security("127.0.0.1"), to_the_sdk, 1000, **more)
    async with app.run():
        yield World(app, modern)


async def test_an_answer_that_is_all_there_is_to_say_comes_as_json() -> None:
    async with world() as one:
        session = await one.begin()
        posted = one.call(id="a")
        result: dict[str, Any] = {"content": [], "structuredContent": {"said": "done"}}
        assert await posted.json() == {"jsonrpc": "2.0", "id": "a", "result": result}
        assert (posted.status, posted.headers["mcp-session-id"]) == (200, session)
        await posted.task


async def test_what_is_said_before_the_answer_makes_it_a_stream() -> None:
    async def tool(context: Context) -> None:
        await context.session.report_progress(1, 2, "half")

    async with world(tool) as one:
        await one.begin()
        posted = await one.call().begun()
        assert posted.headers["content-type"] == "text/event-stream"
        said = await posted.event()
        params = {"progressToken": "p", "progress": 1, "total": 2, "message": "half"}
        assert (said["method"], said["params"]) == ("notifications/progress", params)
        assert (await posted.event())["result"]["structuredContent"] == {"said": "done"}
        assert await posted.piece() == b""
        await posted.task


async def test_silence_makes_it_a_stream_that_is_kept_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streamable, "PING", 0.0)
    go_on = asyncio.Event()

    async def tool(context: Context) -> None:
        await go_on.wait()

    async with world(tool) as one:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(streamable, "PING", 15.0)
            await one.begin()
        posted = await one.call().begun()
        assert [await posted.piece(), await posted.piece()] == [b": ping\r\n\r\n"] * 2
        go_on.set()
        assert (await posted.event())["result"]["structuredContent"] == {"said": "done"}


async def test_a_question_goes_out_on_the_calls_stream_and_its_answer_comes_as_a_post_of_its_own() -> None:
    replies: list[Any] = []

    async def tool(context: Context) -> None:
        replies.append((await context.session.elicit_form("Sure?", FORM, context.request_id)).content)

    async with world(tool) as one:
        await one.begin()
        posted = one.call()
        await posted.begun()
        question = await posted.event()
        assert (question["method"], question["params"]["message"]) == ("elicitation/create", "Sure?")
        reply = {"jsonrpc": "2.0", "id": question["id"], "result": {"action": "accept", "content": {"yes": True}}}
        assert await one.status(one.request("POST", json.dumps(reply).encode())) == 202
        assert (await posted.event())["id"] == 1
    assert replies == [{"yes": True}]


async def test_a_call_that_is_cancelled_ends_in_an_error_and_the_session_goes_on() -> None:
    begun = asyncio.Event()

    async def tool(context: Context) -> None:
        if context.request_id == 1:
            begun.set()
            await asyncio.Event().wait()

    async with world(tool) as one:
        await one.begin()
        posted = one.call()
        await begun.wait()
        assert await one.status(one.post("notifications/cancelled", {"requestId": 1})) == 202
        assert (await posted.json())["error"] == {"code": -32800, "message": "Request cancelled"}
        assert "result" in await one.call(id=2).json()


async def test_two_requests_of_one_id_are_not_mixed_up() -> None:
    go_on, begun = asyncio.Event(), asyncio.Event()

    async def tool(context: Context) -> None:
        begun.set()
        await go_on.wait()

    async with world(tool) as one:
        await one.begin()
        first = one.call(id=1)
        await begun.wait()
        for again in (1, "1"):
            second = one.call(id=again)
            assert (await second.json())["error"]["message"] == "Bad Request: a request of this id is under way"
            assert second.status == 400
        go_on.set()
        assert "result" in await first.json()
        assert "result" in await one.call(id=1).json()


async def test_a_client_that_left_is_told_nothing_more_and_its_call_goes_on_to_its_end() -> None:
    go_on, ended = asyncio.Event(), asyncio.Event()

    async def tool(context: Context) -> None:
        await context.session.report_progress(0, None, None)
        await go_on.wait()
        for number in range(40):  # more than an exchange keeps
            await context.session.report_progress(number, None, None)
        ended.set()

    async with world(tool) as one:
        await one.begin()
        posted = await one.call().begun()
        await posted.event()
        posted.gone.set()
        await posted.task
        go_on.set()
        await ended.wait()
        assert posted.came.empty()


async def test_a_client_that_does_not_read_makes_the_call_wait() -> None:
    said = 0

    async def tool(context: Context) -> None:
        nonlocal said
        for _ in range(100):
            await context.session.report_progress(1, None, None)
            said += 1

    async with world(tool) as one:
        await one.begin()
        blocked = asyncio.Event()
        posted = one.call()
        posted.came = asyncio.Queue(maxsize=1)
        await posted.begun()
        for _ in range(200):
            await asyncio.sleep(0)
        assert 16 <= said <= 25
        del blocked
        assert [(await posted.event()).get("method") for _ in range(100)] == ["notifications/progress"] * 100
        assert "result" in await posted.event()


async def test_the_listening_stream_is_one_a_session_and_ends_when_its_client_leaves() -> None:
    async def tool(context: Context) -> None:
        await context.session.send_tool_list_changed()

    async with world(tool) as one:
        await one.begin()
        first = await one.request("GET").begun()
        assert (first.status, first.headers["content-type"]) == (200, "text/event-stream")
        assert await one.status(one.request("GET")) == 409
        assert "result" in await one.call().json()
        assert (await first.event())["method"] == "notifications/tools/list_changed"
        first.gone.set()
        await first.task
        again = await one.request("GET").begun()
        assert again.status == 200
        again.gone.set()
        await again.task


async def test_a_session_that_its_client_ends_is_over_for_whoever_waits_in_it() -> None:
    begun, cancelled = asyncio.Event(), asyncio.Event()

    async def tool(context: Context) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    async with world(tool) as one:
        await one.begin()
        listening = await one.request("GET").begun()
        posted = one.call()
        await begun.wait()
        assert await one.status(one.request("DELETE")) == 200
        assert (await posted.json())["error"]["message"] == "Connection closed"
        await asyncio.gather(cancelled.wait(), listening.task)
        assert [await one.status(one.request(method)) for method in ("GET", "DELETE")] == [404, 404]
        assert await one.status(one.call(id=2)) == 404


async def test_a_session_that_nobody_uses_ends_but_not_one_that_is_listened_to(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    later, now = loop.call_later, [1000.0]
    watches: list[tuple[float, Callable[[], object]]] = []

    def call_later(delay: float, callback: Callable[..., object], *given: Any) -> asyncio.TimerHandle:
        if given and isinstance(given[0], Session):
            watches.append((delay, lambda: callback(*given)))
            delay = 3600.0
        return later(delay, callback, *given)

    def check(then: float) -> list[float]:
        """What is looked at then, and in how many seconds it is looked at again."""
        now[0] = then
        due, watches[:] = list(watches), []
        for _, look in due:
            look()
        return [delay for delay, _ in watches]

    monkeypatch.setattr(loop, "call_later", call_later)
    async with world(idle=60.0) as one:
        left, kept = await one.begin(), await one.begin()
        listening = await one.request("GET").begun()
        monkeypatch.setattr(loop, "time", lambda: now[0])
        assert "result" in await one.call(session=left).json()  # at 1000
        assert check(1059.0) == [1.0, 60.0]
        assert "result" in await one.call(session=left).json()
        assert check(1060.0) == [59.0, 60.0]
        assert check(1119.0) == [60.0]
        assert await one.status(one.call(session=left)) == 404
        assert await one.status(one.call(session=kept)) == 200
        listening.gone.set()
        await listening.task


async def test_there_are_only_so_many_sessions() -> None:
    async with world(most_sessions=2) as one:
        first = await one.begin()
        await one.begin()
        client = {"name": "t", "version": "1"}
        params: dict[str, Any] = {"protocolVersion": VERSION, "capabilities": {}, "clientInfo": client}
        assert await one.status(one.post("initialize", params, id=0, session=None)) == 503
        assert await one.status(one.request("DELETE", session=first)) == 200
        await one.begin()


async def test_a_session_is_there_for_who_began_it_alone() -> None:
    async with world() as one:
        await one.begin(principal="anna")
        for whose in ("ben", None):
            for posted in (one.call(principal=whose), one.request("GET", principal=whose)):
                assert await one.status(posted) == 404
            assert await one.status(one.request("DELETE", principal=whose)) == 404
        assert await one.status(one.call(principal="anna", team="another of hers")) == 404
        assert "result" in await one.call(principal="anna").json()


async def test_an_initialize_that_is_refused_leaves_no_session() -> None:
    async with world(most_sessions=1) as one:
        refused = one.post("initialize", {"capabilities": {}}, id=0, session=None)
        assert "error" in await refused.json()
        await one.begin()


async def test_a_handler_runs_in_the_context_of_its_request() -> None:
    seen: list[str] = []

    async def tool(context: Context) -> None:
        seen.append(SENDER.get())

    async with world(tool) as one:
        await one.begin()
        for name in ("anna", "ben"):
            token = SENDER.set(name)
            await one.call(id=name).json()
            SENDER.reset(token)
    assert seen == ["anna", "ben"]


async def test_what_names_another_revision_goes_to_the_sdk() -> None:
    async with world() as one:
        for version in ("2026-07-28", "nonsense"):
            await one.call(session=None, headers={"mcp-protocol-version": version}).task
    assert one.modern == ["2026-07-28", "nonsense"]


SECRET = "a-secret-that-was-typed-into-a-garbled-message"


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"body": b"{" + SECRET.encode()}, 400),
        ({"body": json.dumps({"jsonrpc": "2.0", "method": [SECRET], "id": 1}).encode()}, 400),
        ({"body": b"[]"}, 400),
        ({"body": b"\xff"}, 400),
        ({"body": b"[" * 900}, 400),
        ({"body": b'"' + b"x" * 1000 + b'"'}, 413),
        ({"headers": {"content-length": "1001"}}, 413),
        ({"headers": {"accept": "application/json"}}, 406),
        ({"headers": {"accept": "text/event-stream"}}, 406),
        ({"headers": {"content-type": "text/plain"}}, 400),
        ({"headers": {"host": "evil.example.com"}}, 421),
        ({"headers": {"origin": "https://evil.example.com"}}, 403),
        ({"method": "PUT"}, 405),
        ({"method": "GET", "headers": {"accept": "application/json"}}, 406),
        ({"method": "GET", "session": None}, 400),
        ({"method": "DELETE", "session": None}, 400),
        ({"body": b'{"jsonrpc":"2.0","id":1,"method":"ping"}', "session": None}, 400),
        ({"body": b'{"jsonrpc":"2.0","id":1,"method":"ping"}', "session": "nobodys"}, 404),
    ],
)
async def test_what_is_not_for_it_is_refused_and_not_repeated(sent: dict[str, Any], status: int) -> None:
    async with world() as one:
        await one.begin()
        given: dict[str, Any] = {"method": "POST", "body": b"{}", **sent}
        posted = one.request(**given)
        assert await one.status(posted) == status
        assert SECRET.encode() not in await posted.piece()
        assert "result" in await one.call(id=2).json()
