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
from functools import cache
from pathlib import Path
from typing import Any, NoReturn, cast
from urllib.parse import quote

import httpx
from mcp.client import ClientRequestContext
from mcp.client.session import ElicitationFnT
from mcp.shared.dispatcher import ProgressFnT
from mcp_types import CallToolResult, ElicitRequestParams, ElicitResult
from pydantic import ValidationError

from paperspace_storage_server.api.upstream import DIALECTS
from paperspace_storage_server.calls.validate import validate
from paperspace_storage_server.process.logs import log_to_stderr
from paperspace_storage_server.wire.messages import Dialect, Request
from paperspace_storage_tools.catalogue import CATALOGUE
from paperspace_storage_tools.errors import Failure
from support.guarded import (
    API_KEY,
    DESTRUCTIVE,
    PROFILES,
    World,
    arguments_of,
    everything_in,
    world,
)
from support.recorded_spans import Recorded

ACCESS, SECRET = "AKIAZ51XYQWUV8RT2HNB", "zR4/wSx8+Kd1&6dQ9pTvJ3m"
NEVER_LEARNED = "Uq83hf02-nL7xw5-Jk41vb"
OPERATORS = (API_KEY, *sum(PROFILES.values(), ()))
STATUSES = (401, 403, 404, 409, 422, 429, 500)
PART = 8
_TYPED = {"name", "note", "error", "bucket", "mountPoint", "username"}
_MADE = {"region", "networkId", "privateNetworkId"}
"""Fields that the API fills from what it knows: only the operator's own secrets are masked there, for a password that
is also a region's name must not blank every region."""
_KEYS = {"password", "accessKey", "secretAccessKey", "secretKey"}
_SHOWN = 300  # characters of an API's message
_PADDING = "m" * (_SHOWN - 6)  # after which a secret in a message is cut off some characters in
_PADDING_OF_CODE = "c" * 36
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
        pieces = {bare[at : at + PART] for at in range(len(bare) - PART + 1)} if parts else set[str]()
        for mark in self.marks:
            if any(trace in bare for trace in traces(mark)) or not pieces.isdisjoint(pieces_of(mark)):
                self.leaks.append(Leak(where, mark, text))


@cache
def escaped(mark: str) -> tuple[str, ...]:
    """A mark as texts hold it: as it is, and with its characters escaped, all or some, in one way, in two, or twice."""
    special = "/+&="
    percent = quote(mark, safe="")
    return (
        mark,
        percent,
        "".join(f"%{ord(one):02x}" if one in special else one for one in mark),
        percent.replace("%2B", "+").replace("%3D", "%3d"),
        quote(percent, safe=""),
        json.dumps(mark)[1:-1].replace("/", "\\/"),
        "".join(f"\\u{ord(one):04x}" if one in special else one for one in mark),
        "".join(f"&#x{ord(one):x};" if one in special else one for one in mark),
    )


@cache
def encoded(mark: str) -> tuple[tuple[str, str], ...]:
    """A mark in other alphabets, within other text where that makes a difference; and what of it is the mark's own."""
    made = [(mark.encode().hex(), mark.encode().hex()), (mark.encode().hex().upper(), mark.encode().hex().upper())]
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for before, after in ((b"", b""), (b"user:", b""), (b"key ", b" x"), (b'{"a":"', b'"}')):
            whole = encode(before + mark.encode() + after).decode()
            begin, end = -(-len(before) * 8 // 6), (len(before) + len(mark)) * 8 // 6
            made.append((whole, whole[begin:end]))
    return tuple(made)


@cache
def ways(mark: str) -> tuple[str, ...]:
    return (*escaped(mark), *(whole for whole, _ in encoded(mark)))


@cache
def traces(mark: str) -> tuple[str, ...]:
    """What gives a mark away: itself, however written, and its first characters where it was cut off."""
    return (*escaped(mark), *(own for _, own in encoded(mark)), f"mmm{mark[:4]}", f"ccc{mark[:3]}")


@cache
def pieces_of(mark: str) -> frozenset[str]:
    whole = (mark, quote(mark, safe=""), *(own for _, own in encoded(mark)))
    return frozenset(one[at : at + PART] for one in whole for at in range(len(one) - PART + 1))


def quotations(marks: set[str], turn: int = 0) -> str:
    """The marks as an upstream may quote them: two ways at each turn, in part, and with something invisible inside."""
    said: list[str] = []
    for mark in sorted(marks - {NEVER_LEARNED}):
        every = ways(mark)
        said += [every[2 * turn % len(every)], every[(2 * turn + 1) % len(every)]]
        said += [mark[:10] + "…", mark[:5] + _INVISIBLE + mark[5:]]
    return " ".join(said)


async def sweep(*, stop: bool = False) -> Sweep:
    """Everything; with `stop`, up to the first tool that leaks."""
    made = Sweep(stop)
    for few in (_questions, _events, _typed):  # quick, so first where the first leak is looked for
        await few(made)
        if stop and made.leaks:
            return made
    for dialect in DIALECTS:
        for tool in CATALOGUE:
            await _tool(made, dialect, tool.name)
            if stop and made.leaks:
                return made
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
async def _watched(
    made: Sweep, where: str, dialect: Dialect, *, audited: bool = True, **settings: Any
) -> AsyncGenerator[World]:
    """A world whose logs, spans and audit file are looked at when it ends."""
    with tempfile.TemporaryDirectory() as folder:
        audit, recorded = Path(folder) / "audit.jsonl", Recorded()
        async with world(
            dialect, audit_file=audit if audited else None, telemetry=recorded.telemetry, **settings
        ) as one:
            with logs_of(one) as stderr:
                made.marks = {*OPERATORS, ACCESS, SECRET, NEVER_LEARNED}
                yield one
            made.look(f"{where}: stderr", stderr.getvalue(), parts=True)
            assert recorded.spans
            made.look(f"{where}: spans and metrics", recorded.text(), parts=True)
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

        async def call(case: str, arguments: dict[str, Any]) -> None:
            result = await one.call(tool, arguments)
            made.look(f"{where}: {case}", every_text_in(result), parts=bool(result.is_error))

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
        lists = "after" in whole.arguments.model_fields
        for turn in range(3 if lists else len(ways(SECRET))):  # a list has room for many at once
            one.api.after = _quoting(made.marks, turn)
            await call(f"success, secrets in names and notes ({turn})", good)
            made.marks |= one.api.secrets
        one.api.after = None
        if "accessKey" in good:
            made.marks -= {ACCESS, SECRET}  # what an earlier call brought is forgotten
            profile = {name: value for name, value in good.items() if name not in ("accessKey", "secretKey")}
            one.api.after = _quoting(made.marks)
            await call("success with a profile", {**profile, "name": "by profile", "credentialProfile": "TEAM"})
            one.api.after = None
            made.marks |= {ACCESS, SECRET}

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
            for turn in (0, 1, 2):
                asked: list[str] = []
                for elicit in (_declining(asked), None):
                    async with _watched(made, f"{tool} {dialect}", dialect, elicit=elicit) as one:
                        made.marks -= {ACCESS, SECRET}
                        one.api.after = _quoting(made.marks, turn)
                        arguments = arguments_of(tool, one.ids, access=ACCESS, secret=SECRET)
                        result = await one.call(tool, arguments)
                        made.look(f"{tool} {dialect}: not confirmed", every_text_in(result), parts=True)
                for text in asked:
                    made.look(f"{tool} {dialect}: question", text, parts=False)


def _declining(asked: list[str]) -> ElicitationFnT:
    async def decline(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        asked.append(params.message)
        return ElicitResult(action="decline")

    return decline


async def _events(made: Sweep) -> None:
    """Progress, notices and failures of what goes on after its answer, with all that the API can say meanwhile."""
    for turn in range(len(ways(SECRET)) // 2 + 1):
        async with _watched(made, "create_snapshot live: event", "live") as one:
            made.marks -= {ACCESS, SECRET}
            said: list[str] = []
            ends = iter(("in progress", "refused", "in progress", "error"))
            one.api.instead = _event(made.marks, turn, ends)
            one.api.after = _begun(made.marks)

            for _ in range(2):
                arguments = {"machineId": one.ids["machine"], "name": "made", "waitSeconds": 40}
                result = await one.client.call_tool("create_snapshot", arguments, progress_callback=_telling(said))
                made.look("create_snapshot live: followed", every_text_in(result), parts=True)
            for text in said:
                made.look("create_snapshot live: progress", text, parts=True)


def _telling(said: list[str]) -> ProgressFnT:
    async def told(progress: float, total: float | None, message: str | None) -> None:
        said.append(message or "")

    return told


async def _typed(made: Sweep) -> None:
    """A secret of the call's own in one of its other arguments, with an audit file and without."""
    for audited in (True, False):
        async with _watched(made, "create_storage_provider live", "live", audited=audited) as one:
            arguments = arguments_of("create_storage_provider", one.ids, access=ACCESS, secret=SECRET)
            for way in ways(SECRET):
                result = await one.call("create_storage_provider", {**arguments, "name": f"called {way}"})
                made.look("create_storage_provider live: typed twice", every_text_in(result), parts=audited)


def _event(marks: set[str], turn: int, ends: Iterator[str]) -> Callable[[httpx.Request], httpx.Response | None]:
    """How the event goes on: it is read once, then its reading fails, or it ends in an error."""

    def answer(request: httpx.Request) -> httpx.Response | None:
        if "/machine-events/" not in request.url.path:
            return None
        state, words = next(ends), quotations(marks, turn)
        if state == "refused":
            return httpx.Response(403, json={"code": words[:30], "message": words[:250]})
        id = request.url.path.rsplit("/", 1)[1]
        return httpx.Response(200, json={"id": id, "name": "snapshot-create", "state": state, "error": words})

    return answer


def _begun(marks: set[str]) -> Callable[[httpx.Request, httpx.Response], httpx.Response]:
    """A snapshot whose event goes on, and whose id is the operator's key, as no API should have it."""

    def begin(request: httpx.Request, answer: httpx.Response) -> httpx.Response:
        if request.method != "POST":
            return answer
        value = answer.json()
        value["data"]["id"] = f"ss-{API_KEY}"
        value["event"] = {"id": "me1", "name": "snapshot-create", "state": "new", "error": None}
        return httpx.Response(200, json=value)

    return begin


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
    known = sorted(marks - {NEVER_LEARNED})

    def words(request: httpx.Request, at: int, turn: int) -> str:
        quoting = (
            request.headers["authorization"],
            request.content.decode(),
            *(quotations({mark}, turn) for mark in known),
            *(_PADDING + mark for mark in known),
        )
        return quoting[at % len(quoting)]

    for turn, status in enumerate(STATUSES):
        for at in range(2 + 2 * len(known)):

            def refuse(request: httpx.Request, status: int = status, at: int = at, turn: int = turn) -> httpx.Response:
                said = words(request, at, turn)
                message, code = f"No: {said}", said[:30]
                if said.startswith(_PADDING):
                    message, code = said, _PADDING_OF_CODE + said.removeprefix(_PADDING)
                return httpx.Response(status, json={"code": code, "message": message, "issues": [{"message": said}]})

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


def every_text_in(result: CallToolResult) -> str:
    """What a client gets, as it comes, and each text in it once more without JSON's own escapes."""
    texts: list[str] = [everything_in(result)]

    def collect(key: str, text: str) -> str:
        texts.append(text)
        return text

    _walk(result.structured_content, collect)
    return "\n".join(texts)


def _when(instead: Instead, only_writes: bool) -> Callable[[httpx.Request], httpx.Response | None]:
    return lambda request: None if only_writes and request.method == "GET" else instead(request)


def _quoting(marks: set[str], turn: int = 0) -> Callable[[httpx.Request, httpx.Response], httpx.Response]:
    known = sorted(marks - {NEVER_LEARNED})
    return lambda _, answer: _quote(answer, known, turn)


def _quote(answer: httpx.Response, known: list[str], turn: int) -> httpx.Response:
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
    at = iter(range(turn, 10_000))
    marks = [*known, *own[:4]]

    def spoil(key: str, text: str) -> str:
        if key not in _TYPED | _MADE:
            return text
        place = next(at)
        chosen = OPERATORS if key in _MADE else marks
        mark = chosen[place % len(chosen)]
        every = (*ways(mark), mark[:5] + _INVISIBLE + mark[5:])
        return f"x {every[(place // len(chosen) + turn) % len(every)]} y"

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
