"""Every tool, dialect and failure with marked secrets: what comes out of any of them is a leak."""

from __future__ import annotations

import base64
import io
import json
import logging
import tempfile
from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, redirect_stderr
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn, cast
from urllib.parse import quote

import httpx
from mcp.client import ClientRequestContext
from mcp_types import ElicitRequestParams, ElicitResult
from pydantic import ValidationError

from paperspace_storage_server.calls.validate import validate
from paperspace_storage_server.process.logs import log_to_stderr
from paperspace_storage_server.wire.messages import Dialect, Request
from paperspace_storage_tools.catalogue import CATALOGUE
from paperspace_storage_tools.errors import Failure
from support.guarded import API_KEY, DESTRUCTIVE, DIALECTS, PROFILES, World, arguments_of, everything_in, world

ACCESS, SECRET = "AKIAZ51XYQWUV8RT2HNB", "zR4/wSx8+Kd1&6dQ9pTvJ3m"
NEVER_LEARNED = "Uq83hf02-nL7xw5-Jk41vb"
STATUSES = (401, 403, 404, 409, 422, 429, 500)
PART = 8
_TEXTS = {"name", "note", "error", "bucket", "region", "mountPoint", "username", "networkId", "privateNetworkId"}
_KEYS = {"password", "accessKey", "secretAccessKey", "secretKey"}
_INVISIBLE = "\u200b"


@dataclass(frozen=True, slots=True)
class Leak:
    where: str
    mark: str
    text: str


@dataclass(slots=True)
class Sweep:
    """Collects leaks; with `stop`, only up to the first tool that has one."""

    stop: bool = False
    leaks: list[Leak] = field(default_factory=list[Leak])
    looks: int = 0
    marks: set[str] = field(default_factory=set[str])

    def look(self, where: str, text: str, *, parts: bool) -> None:
        """`parts`: not even eight characters in a row may be there."""
        self.looks += 1
        bare = text.replace(_INVISIBLE, "")
        for mark in self.marks:
            if any(one in bare for one in (mark, *spellings(mark))) or (
                parts and any(part_in(bare, one) for one in (mark, *spellings(mark)))
            ):
                self.leaks.append(Leak(where, mark, text))


def spellings(mark: str) -> tuple[str, ...]:
    encoded = base64.b64encode(mark.encode()).decode().rstrip("=")
    return quote(mark, safe=""), json.dumps(mark)[1:-1], encoded


def part_in(text: str, mark: str) -> bool:
    return any(mark[at : at + PART] in text for at in range(len(mark) - PART + 1))


def quotations(marks: set[str]) -> str:
    """The marks as an upstream may quote them: whole, encoded, in part, and with something invisible inside."""
    ways: list[str] = []
    for mark in sorted(marks - {NEVER_LEARNED}):
        ways += [f"{mark} {quote(mark, safe='')}", mark[:10] + "…", mark[:5] + _INVISIBLE + mark[5:]]
    return " ".join(ways)


async def sweep(*, stop: bool = False) -> Sweep:
    """Everything; with `stop`, up to the first tool that leaks."""
    made = Sweep(stop)
    for dialect in DIALECTS:
        for tool in CATALOGUE:
            await _tool(made, dialect, tool.name)
            if stop and made.leaks:
                return made
    await _questions(made)
    return made


@contextmanager
def logs_of(one: World) -> Generator[io.StringIO]:
    """What goes to stderr at log level debug."""
    root = logging.getLogger()
    names = ("httpx", "httpcore", "asyncio", "urllib3", "mcp", "sse_starlette")
    before = root.handlers[:], root.level, {name: logging.getLogger(name).level for name in names}
    stderr = io.StringIO()
    try:
        with redirect_stderr(stderr):
            log_to_stderr("debug", one.service.team.vault)
            yield stderr
    finally:
        root.handlers[:], level, levels = before
        root.setLevel(level)
        for name, old in levels.items():
            logging.getLogger(name).setLevel(old)


@asynccontextmanager
async def _watched(made: Sweep, where: str, dialect: Dialect, **settings: Any) -> AsyncGenerator[World]:
    """A world whose logs and audit file are looked at when it ends."""
    with tempfile.TemporaryDirectory() as folder:
        audit = Path(folder) / "audit.jsonl"
        async with world(dialect, audit_file=audit, **settings) as one:
            with logs_of(one) as stderr:
                made.marks = {API_KEY, ACCESS, SECRET, NEVER_LEARNED, *sum(PROFILES.values(), ())}
                yield one
            made.look(f"{where}: stderr", stderr.getvalue(), parts=True)
            if audit.exists():
                made.look(f"{where}: audit file", audit.read_text(), parts=False)
            for name, value in {"process": one.service.process, "team": one.service.team}.items():
                made.look(f"{where}: repr of {name}", repr(value), parts=True)


async def _tool(made: Sweep, dialect: Dialect, tool: str) -> None:
    where = f"{tool} {dialect}"
    async with _watched(made, where, dialect, confirm="never") as one:
        if "accessKey" not in arguments_of(tool, one.ids, access=ACCESS, secret=SECRET):
            made.marks -= {ACCESS, SECRET}  # nobody tells this tool
        good = arguments_of(tool, one.ids, access=ACCESS, secret=SECRET)
        good.pop("confirm", None)
        whole = one.service.tools[tool]
        if "accessKey" in good:
            good["name"] = f"called {SECRET}"

        async def call(case: str, arguments: dict[str, Any]) -> None:
            result = await one.call(tool, arguments)
            made.look(f"{where}: {case}", everything_in(result), parts=bool(result.is_error))

        for case, arguments in _bad_arguments(good):
            await call(case, arguments)
            _rejected(made, f"{where}: {case}", tool, arguments)
        for case, instead in _failures(made.marks):
            for only_writes in (False, True):
                if only_writes and not whole.writes:
                    continue
                one.api.instead = _when(instead, only_writes)
                await call(f"{case}{' of the write' if only_writes else ''}", good)
        one.api.instead = None
        one.api.after = _quoting(made.marks)
        await call("success, secrets in names and notes", good)
        made.marks |= one.api.secrets
        one.api.after = None
        if "accessKey" in good:
            profile = {name: value for name, value in good.items() if name not in ("accessKey", "secretKey")}
            one.api.after = _quoting(made.marks)
            await call("success with a profile", {**profile, "name": "by profile", "credentialProfile": "TEAM"})
            one.api.after = None

        async def broken(*_: object) -> NoReturn:
            raise RuntimeError(f"a mistake of ours with {quotations(made.marks)}")

        one.service.tools[tool] = replace(whole, run=broken)
        await call("a mistake inside", good)
        # What libraries log of a message that has only just arrived; see mcp/server/sse.py.
        logging.getLogger("mcp.server.sse").debug("Received JSON: %s", NEVER_LEARNED)
        logging.getLogger("httpx").debug("body %s", NEVER_LEARNED)
        logging.getLogger("mcp.server.sse").error("Failed: [type=x, input_value='%s', input_type=str]", NEVER_LEARNED)


async def _questions(made: Sweep) -> None:
    """What a person is asked, and what is said where nobody can be."""
    for dialect in DIALECTS:
        for tool in DESTRUCTIVE:
            asked: list[str] = []

            async def decline(
                context: ClientRequestContext, params: ElicitRequestParams, asked: list[str] = asked
            ) -> ElicitResult:
                asked.append(params.message)
                return ElicitResult(action="decline")

            for elicit in (decline, None):
                async with _watched(made, f"{tool} {dialect}", dialect, elicit=elicit) as one:
                    made.marks -= {ACCESS, SECRET}
                    one.api.after = _quoting(made.marks)
                    arguments = arguments_of(tool, one.ids, access=ACCESS, secret=SECRET)
                    result = await one.call(tool, arguments)
                    made.look(f"{tool} {dialect}: not confirmed", everything_in(result), parts=True)
            for text in asked:
                made.look(f"{tool} {dialect}: question", text, parts=False)


def _rejected(made: Sweep, where: str, tool: str, arguments: dict[str, Any]) -> None:
    """The objects behind a refusal, as a traceback or a debugger would show them."""
    entry = next(one for one in CATALOGUE if one.name == tool)
    try:
        validate(entry, arguments)
    except Failure as failure:
        made.look(f"{where}: failure", _but_key(f"{failure!r} {failure}"), parts=False)
    try:
        entry.arguments.model_validate(arguments)
    except ValidationError as error:
        made.look(f"{where}: pydantic's text", _but_key(str(error)), parts=False)
    body = json.dumps(arguments).encode()
    made.look(f"{where}: request", repr(Request("POST", "/x", body=body)), parts=False)


def _but_key(text: str) -> str:
    """The name of an argument is in these texts, and in one case it is the key; the mask is put on later."""
    return text.replace(API_KEY, "")


def _bad_arguments(good: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [
        ("accessKey a list", {**good, "accessKey": [NEVER_LEARNED], "secretKey": {"x": NEVER_LEARNED}}),
        ("accessKey alone", {**good, "accessKey": NEVER_LEARNED, "secretKey": None}),
        ("an unknown argument", {**good, "acessKey": NEVER_LEARNED, "token": NEVER_LEARNED}),
        ("ids and names of other types", {**good, "id": [NEVER_LEARNED], "name": {"x": NEVER_LEARNED}}),
        ("an id that is no id", {**good, "id": f"../{NEVER_LEARNED}", "machineId": f"{NEVER_LEARNED}/x"}),
        ("numbers that are text", {**good, "size": NEVER_LEARNED, "limit": NEVER_LEARNED, "type": NEVER_LEARNED}),
        ("an endpoint with keys", {**good, "endpoint": f"https://key:{NEVER_LEARNED}@s3.example.com"}),
        ("a secret as an argument's name", {**good, API_KEY: 1}),
        ("a secret as the id", {**good, "id": API_KEY, "machineId": API_KEY}),
        ("a profile that is a secret", {**good, "credentialProfile": PROFILES["team"][1], "accessKey": None}),
    ]


Instead = Callable[[httpx.Request], httpx.Response]


def _failures(marks: set[str]) -> Iterator[tuple[str, Instead]]:
    """Each class of failure, its text quoting all that it can."""

    def words(request: httpx.Request, at: int) -> str:
        body = request.content.decode()
        quoting = (
            request.headers["authorization"],
            body,
            *(quotations({mark}) for mark in sorted(marks - {NEVER_LEARNED})),
        )
        return quoting[at % len(quoting)]

    for status in STATUSES:
        for at in range(2 + len(marks) - 1):

            def refuse(request: httpx.Request, status: int = status, at: int = at) -> httpx.Response:
                said = words(request, at)
                return httpx.Response(
                    status, json={"code": said[:30], "message": f"No: {said}", "issues": [{"message": said}]}
                )

            yield f"status {status} ({at})", refuse
    keyed = json.dumps({"code": "X", "message": f"https://u:{NEVER_LEARNED}@s3.example.com is no endpoint"})
    everything = quotations(marks)
    yield "a URL with keys quoted", lambda _: httpx.Response(400, text=keyed)
    yield "an error body under 200", lambda _: httpx.Response(200, json={"code": "X", "message": everything[:250]})
    yield "malformed", lambda _: httpx.Response(200, text='{"id": "' + everything)
    yield "another shape", lambda _: httpx.Response(200, json={"id": [everything], "items": everything})
    yield "a web page", lambda _: httpx.Response(502, html=f"<h1>{everything}</h1>")
    yield "empty", lambda _: httpx.Response(200, text="")

    def lost(request: httpx.Request) -> NoReturn:
        raise httpx.ReadError(f"lost {everything} {request.headers}")

    yield "connection lost", lost


def _when(instead: Instead, only_writes: bool) -> Callable[[httpx.Request], httpx.Response | None]:
    return lambda request: None if only_writes and request.method == "GET" else instead(request)


def _quoting(marks: set[str]) -> Callable[[httpx.Request, httpx.Response], httpx.Response]:
    known = sorted(marks - {NEVER_LEARNED})
    return lambda _, answer: _quote(answer, known)


def _quote(answer: httpx.Response, known: list[str]) -> httpx.Response:
    """The sandbox's answer with secrets in every text: ours, the operator's, and those of this very answer."""
    if answer.status_code >= 300 or not answer.content:
        return answer
    value = answer.json()
    own: list[str] = []

    def collect(key: str, text: str) -> str:
        if key in _KEYS:
            own.append(text)
        return text

    _walk(value, collect)
    turn = iter(range(10_000))
    marks = [*known, *own[:4]]

    def spoil(key: str, text: str) -> str:
        if key not in _TEXTS:
            return text
        mark = marks[next(turn) % len(marks)]
        way = next(turn) % 3
        return (f"x {mark} y", quote(mark, safe=""), mark[:5] + _INVISIBLE + mark[5:])[way]

    spoiled = _walk(value, spoil)
    _endpoints(spoiled)
    return httpx.Response(answer.status_code, json=spoiled)


def _endpoints(value: Any) -> None:
    """A provider's endpoint with keys in its URL, as some write it."""
    if isinstance(value, dict):
        config = cast("dict[str, Any]", value)
        if "bucket" in config:
            config["endpoint"] = f"https://u:{NEVER_LEARNED}@s3.example.com"
        for one in config.values():
            _endpoints(one)
    elif isinstance(value, list):
        for one in cast("Sequence[Any]", value):
            _endpoints(one)


def _walk(value: Any, change: Callable[[str, str], str], key: str = "") -> Any:
    if isinstance(value, dict):
        return {name: _walk(one, change, name) for name, one in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [_walk(one, change, key) for one in cast("Sequence[Any]", value)]
    return change(key, value) if isinstance(value, str) else value
