"""The sandbox behind a socket that spoils its answers: what a tool then says is compared with what was really done."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, cast

import httpx
from hypothesis import strategies as st

from paperspace_storage_server.sandbox import create_app
from paperspace_storage_server.wire.messages import Dialect
from paperspace_storage_tools.schema import input_schema
from paperspace_storage_tools.tool import AnyTool
from support.guarded import secrets_in
from support.hostile import Heard, Hostile, Says, hostile

KEY = "pK55aa90c1d2-Wm58zeGh6Qx"
ACCESS, SECRET = "AKIA7SPOILEDQ2ZLS0DF", "pT6/yN2c+Gv0==9aX7bEo4spo"
JSON = (("content-type", "application/json"),)


@dataclass(frozen=True, slots=True)
class Spoil:
    """What becomes of one request. `commits`: the sandbox gets it, whatever is then said of it."""

    name: str
    commits: bool
    says: Callable[[Says], Says]
    spares: str = ""
    """The method whose requests are answered as they are: of a POST nobody can know which id is the right one."""

    def __repr__(self) -> str:
        return f"{self.name}{'' if self.commits else ', not acted'}"


def _changed(name: str, commits: bool = True, **changes: Any) -> Spoil:
    return Spoil(name, commits, lambda honest: replace(honest, **changes))


def _said(name: str, commits: bool, says: Says) -> Spoil:
    return Spoil(name, commits, lambda _: says)


def _cut(honest: Says) -> Says:
    return replace(honest, body=honest.body[: len(honest.body) // 2])


def _packed(honest: Says) -> Says:
    return replace(honest, headers=(*honest.headers, ("content-encoding", "gzip")), body=gzip.compress(honest.body))


def _renamed(honest: Says) -> Says:
    return replace(honest, headers=tuple((name.upper(), value) for name, value in honest.headers))


HARMLESS = (
    _changed("as it is"),
    _changed("in chunks", framing="chunked", chunk=11),
    _changed("in chunks, with trailers", framing="chunked", trailers=(("content-type", "text/html"), ("x", "y"))),
    _changed("to the end of the connection", framing="to the end"),
    _changed("after early hints", before=b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"),
    _changed("in pieces", pieces=7),
    _changed("late", delay=0.01),
    _changed("and closed", close=True),
    Spoil("packed", True, _packed),
    Spoil("with loud headers", True, _renamed),
)
"""Ways to say the same."""

_PAGE = b"<html><body>404 Not Found</body></html>"
_HTML = (("content-type", "text/html"),)
_JUNK = (
    b"[1]",
    b'"x"',
    b"null",
    b"5",
    b'{"success":false}',
    b'{"status":"maintenance"}',
    b'{"name":"n"}',
    b"\xff\xfe",
)


def _damages(commits: bool) -> tuple[Spoil, ...]:
    """Ways to say nothing that can be used, whether the API acted or not."""
    return (
        _changed("a length that is too long", commits, framing="too long"),
        _changed("a length that is given twice", commits, framing="twice"),
        _said("nothing", commits, Says(raw=())),
        _said("no HTTP", commits, Says(raw=(b"\x16\x03\x01 nonsense\r\n\r\n",))),
        _said("endless headers", commits, Says(raw=(b"HTTP/1.1 200 OK\r\n", b"x: y\r\n" * 20_000))),
        _changed("said to be packed", commits, headers=(*JSON, ("content-encoding", "gzip"))),
        Spoil("half of it", commits, lambda honest: _cut(honest) if len(honest.body) > 1 else Says(502)),
        *(_said(f"{status}", commits, Says(status)) for status in (408, 500, 502, 503, 504)),
        _said("a gateway's 404", commits, Says(404, _HTML, _PAGE)),
        _said("a web page", commits, Says(200, _HTML, _PAGE)),
        _said("a redirect", commits, Says(302, (("location", "https://collect.evil.example"),))),
        *(_said(f"200 {junk!r}", commits, Says(200, JSON, junk)) for junk in _JUNK),
        _said("an error under a 2xx", commits, Says(200, JSON, b'{"code":"C","message":"no"}')),
        Spoil("another resource", commits, lambda _: Says(200, JSON, b'{"id":"other"}'), spares="POST"),
        _said("a crowd", commits, Says(200, JSON, b"[" + b"{}," * 60_000 + b"{}]")),
    )


DAMAGE = (
    *_damages(commits=True),
    *_damages(commits=False),
    _said("429", False, Says(429, (("retry-after", "3"),))),
    *(
        _said(f"{status}", False, Says(status, JSON, b'{"code":"C","message":"no"}'))
        for status in (400, 401, 403, 409, 422)
    ),
)
SPOILS = st.sampled_from(HARMLESS) | st.sampled_from(DAMAGE)


@dataclass(slots=True)
class Spoiler:
    """A sandbox of its own for each `begin`, which the `script` spoils request by request; honest after its end."""

    dialect: Dialect
    script: list[Spoil] = field(default_factory=list[Spoil])
    heard: list[str] = field(default_factory=list[str])
    committed: list[str] = field(default_factory=list[str])
    """The writes that the sandbox got, as `METHOD /path`."""
    secrets: set[str] = field(default_factory=set[str])
    _sandbox: httpx.ASGITransport | None = None
    _close: Callable[[], None] = lambda: None

    def begin(self) -> None:
        self._close()
        app = create_app(self.dialect, event_seconds=0.0)
        self._close = app.state.close
        self._sandbox = httpx.ASGITransport(app, raise_app_exceptions=False)
        self.plan()

    def plan(self, *script: Spoil) -> None:
        self.script = list(script)
        self.heard.clear()
        self.committed.clear()

    def close(self) -> None:
        self._close()

    async def answer(self, heard: Heard) -> Says:
        spoil = self.script.pop(0) if self.script else HARMLESS[0]
        if heard.method == spoil.spares:
            spoil = HARMLESS[0]
        path = heard.target.removeprefix("/v1")
        self.heard.append(f"{heard.method} {path}")
        if not spoil.commits:
            return spoil.says(Says(200, JSON, b'{"id":"x"}'))
        if heard.method != "GET":
            self.committed.append(f"{heard.method} {path}")
        return spoil.says(await self._honest(heard.method, heard.target, heard.body))

    async def ask(self, method: str, path: str) -> tuple[int, Any]:
        """The sandbox's own answer, unspoiled and unrecorded."""
        says = await self._honest(method, f"/v1{path}", b"")
        return says.status, json.loads(says.body) if says.body else None

    async def _honest(self, method: str, target: str, body: bytes) -> Says:
        assert self._sandbox is not None
        headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
        request = httpx.Request(method, f"http://sandbox{target}", headers=headers, content=body)
        answer = await self._sandbox.handle_async_request(request)
        await answer.aread()
        if answer.content:
            self.secrets |= set(secrets_in(answer.json()))
        kind = answer.headers.get("content-type")
        return Says(answer.status_code, (("content-type", kind),) if kind else (), answer.content)


@contextmanager
def spoiling(dialect: Dialect) -> Generator[tuple[Spoiler, Hostile]]:
    spoiler = Spoiler(dialect)
    try:
        with hostile(spoiler.answer) as upstream:
            yield spoiler, upstream
    finally:
        spoiler.close()


async def samples(spoiler: Spoiler) -> dict[str, str]:
    """What arguments may be, by their names, and an `id` for each toolset and for an event."""
    _, drives = await spoiler.ask("GET", "/shared-drives")
    _, snapshots = await spoiler.ask("GET", "/snapshots")
    _, providers = await spoiler.ask("GET", "/storage-providers")
    drive, snapshot, provider = (_listed(one)[0] for one in (drives, snapshots, providers))
    return {
        "shared-drives": drive["id"],
        "snapshots": snapshot["id"],
        "storage-providers": provider["id"],
        "utilization": "me000000000",
        "machineId": snapshot["machineId"],
        "region": drive["region"],
        "privateNetworkId": drive.get("privateNetworkId") or drive["networkId"],
    }


def _listed(answer: Any) -> list[dict[str, Any]]:
    return cast("list[dict[str, Any]]", answer["items"] if isinstance(answer, dict) else answer)


def arguments_for(tool: AnyTool, known: Mapping[str, str]) -> dict[str, Any]:
    """Arguments that the sandbox takes, made of the tool's schema: what is required, and of a write also its name and
    what a storage provider needs."""
    schema = input_schema(tool.arguments)
    wanted = set(schema.get("required", []))
    if tool.kind == "write":
        wanted |= {"name", "bucket", "accessKey", "secretKey"} & schema["properties"].keys()
    values: dict[str, Any] = {
        **known,
        "id": known.get(tool.toolset, ""),
        "name": "made by a spoiled call",
        "size": 250,
        "type": "s3",
        "bucket": "a-bucket",
        "accessKey": ACCESS,
        "secretKey": SECRET,
    }
    return {name: values[name] for name in sorted(wanted)}
