"""What passed between an agent and a server, read from the relay's record; knows nothing of tasks."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import cast

Json = dict[str, object]

_NO_CALL = frozenset(
    {
        "initialize",
        "ping",
        "tools/list",
        "resources/list",
        "resources/templates/list",
        "prompts/list",
        "server/discover",
        "logging/setLevel",
    }
)


@dataclass(frozen=True, slots=True)
class Call:
    """One request that costs a model something: `result` is the text that it was given."""

    name: str
    arguments: Json
    result: str
    failed: bool


@dataclass(frozen=True, slots=True)
class Seen:
    """All of it. `texts` is every text that went either way; `listing` what models read of the tools."""

    calls: tuple[Call, ...] = ()
    texts: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()
    """The server's questions to the person, each with the reply."""
    listing: tuple[Json, ...] = ()


def seen_in(lines: Iterable[str]) -> Seen:
    """From the lines of a record (`evals.relay` says what is in one); agents and servers may have sent anything."""
    calls: list[Call] = []
    texts: list[str] = []
    asked: list[str] = []
    listing: list[Json] = []
    requests: dict[tuple[object, str], Json] = {}
    for line in lines:
        record = _record(line)
        message = record["message"]
        if record["from"] == "person":
            asked.append(str(message))
            continue
        texts.extend(_strings(message))
        if not isinstance(message, dict):
            continue
        told = cast("Json", message)
        place = (record["relay"], json.dumps(told.get("id")))
        if record["from"] == "agent":
            if "method" in told and "id" in told:
                requests[place] = told
        elif "method" not in told and (request := requests.pop(place, None)):
            if request["method"] == "tools/list":
                listing = [_shown(tool) for tool in _objects(_part(told, "result").get("tools"))]
            elif request["method"] not in _NO_CALL:
                calls.append(_call(request, told))
    calls += [_call(request, {}) for request in requests.values() if request["method"] not in _NO_CALL]
    return Seen(tuple(calls), tuple(texts), tuple(asked), tuple(listing))


def _record(line: str) -> Json:
    """A line of the record, without half characters, which cannot be written and have no tokens."""
    whole = json.dumps(json.loads(line), ensure_ascii=False).encode("utf-8", "replace")
    return cast("Json", json.loads(whole))


def _call(request: Json, answer: Json) -> Call:
    """An answer that never came is a failed call."""
    params, result = _part(request, "params"), _part(answer, "result")
    name = str(params.get("name") or params.get("uri") or request["method"])
    if request["method"] == "tools/call" and result:
        text = "".join(str(block["text"]) for block in _objects(result.get("content")) if "text" in block)
    else:
        text = json.dumps(result or answer.get("error") or "", ensure_ascii=False)
    return Call(name, _part(params, "arguments"), text, failed=not result or result.get("isError") is True)


def _shown(tool: Json) -> Json:
    return {name: tool[name] for name in ("name", "description", "inputSchema") if name in tool}


def _part(whole: Json, name: str) -> Json:
    part = whole.get(name)
    return cast("Json", part) if isinstance(part, dict) else {}


def _objects(value: object) -> list[Json]:
    found = cast("list[object]", value) if isinstance(value, list) else []
    return [cast("Json", one) for one in found if isinstance(one, dict)]


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, inner in cast("Json", value).items():
            yield name
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in cast("list[object]", value):
            yield from _strings(inner)
