"""The API's own description against what a codec sends and reads.

Nothing of the API stands here: each operation is made by the codec itself, its request is looked up in the
description, and answers that are made up as the description says are given to the codec to read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, cast

import msgspec

from paperspace_storage_server.commands.doctor.openapi import (
    Description,
    Json,
    NoDescription,
    Parameter,
    examples,
    types_of,
)
from paperspace_storage_server.commands.doctor.samples import TEXT, operations
from paperspace_storage_server.wire.messages import Answer, Codec, Operation
from paperspace_storage_tools.errors import Failure
from paperspace_storage_tools.models import EVENT_STATES, MachineEvent

_JSON_TYPES: Final[dict[type, str]] = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    list: "array",
    dict: "object",
}


def known(codec: Codec) -> Json:
    """The description that the codec was written after."""
    if codec.dialect == "published":
        from paperspace_storage_server.rest.operations import document

        return document()
    from paperspace_storage_server.sandbox import live

    assert live.DESCRIPTION is not None
    return cast("Json", json.loads(Path(live.__file__).with_name(live.DESCRIPTION).read_text(encoding="utf-8")))


def differences(found: Json, codec: Codec, base_path: str = "") -> list[str]:
    """Where an API's description differs from what the codec sends and reads, a sentence each.

    What the description that the codec was written after leaves open (the published one says of no field that it is
    always there) is no difference. `base_path` may stand before the paths of `found`.

    Raises:
        NoDescription: `found` is none.
    """
    here = Description(known(codec), "")
    open_anyway = set(_differences(here, here, codec))
    try:
        there = Description(found, base_path)
        return list(dict.fromkeys(one for one in _differences(there, here, codec) if one not in open_anyway))
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):  # what is described may be anything
        raise NoDescription from None


def _differences(there: Description, here: Description, codec: Codec) -> Iterator[str]:
    for operation in operations(codec):
        request = operation.request
        where = request.path.replace(f"/{TEXT}", "/{id}")
        schema = there.operation(request.method, request.path)
        if schema is None:
            yield f"{request.method} {where} is not described"
            continue
        for difference in (
            *_of_query(dict(request.query), there.parameters(schema)),
            *_of_body(request.body, there.body(schema), there),
            *_of_answers(operation, schema, there, here),
        ):
            yield f"{request.method} {where}: {difference}"


def _of_query(sent: Mapping[str, str], described: Mapping[str, Parameter]) -> Iterator[str]:
    for name, value in sent.items():
        if name not in described:
            yield f"the query `{name}` is sent and not described"
        elif (enum := described[name].enum) is not None and value not in enum and value != TEXT:
            yield f"the query `{name}` is sent as `{value}`, which is none of {', '.join(map(str, enum))}"
    for name, parameter in described.items():
        if parameter.required and name not in sent:
            yield f"the query `{name}` is required and not sent"


def _of_body(sent: bytes | None, schema: Json | None, there: Description) -> Iterator[str]:
    if sent is None or schema is None:
        if sent is not None:
            yield "a body is sent and not described"
        elif schema is not None and schema.get("required"):
            yield "a body is required and not sent"
        return
    yield from _of_value(json.loads(sent), schema, there, "")


def _of_value(sent: object, schema: Json, there: Description, where: str) -> Iterator[str]:
    types = types_of(schema)
    kind = _JSON_TYPES.get(type(sent))
    if kind is not None and types and kind not in types and not (kind == "integer" and "number" in types):
        yield f"`{where or 'the body'}` is sent as {kind} and described as {' or '.join(types)}"
        return
    enum: list[object] | None = schema.get("enum")
    if enum and sent not in enum and sent != TEXT:
        yield f"`{where}` is sent as {sent!r}, which is none of {', '.join(map(str, enum))}"
    if not isinstance(sent, dict):
        return
    properties = schema.get("properties", {})
    for name, value in cast("dict[str, object]", sent).items():
        if name in properties:
            yield from _of_value(value, there.whole(properties[name]), there, f"{where}.{name}".lstrip("."))
        else:
            yield f"`{f'{where}.{name}'.lstrip('.')}` is sent and not described"
    for name in schema.get("required", ()):
        if name not in sent:
            yield f"`{f'{where}.{name}'.lstrip('.')}` is required and not sent"


def _of_answers(operation: Operation[Any], schema: Json, there: Description, here: Description) -> Iterator[str]:
    given: set[str] = set()
    read = False
    for status, body in there.answers(schema):
        for what, example in examples(body, there):
            try:
                value = operation.decode(_answer(status, example)).value
            except Failure as failure:
                yield f"an answer {status}{what and f' {what}'} is not read: {failure.short()}"
                if not what:
                    break  # what is wrong with the usual answer is wrong with each variant
            else:
                read = True
                given |= set() if what else set(_fields(value))
                if (event := _event(value)) is not None and event.state not in (*EVENT_STATES, TEXT):
                    yield f"an answer {status}{what and f' {what}'} is read, but nobody knows what that state means"
    if not read:
        return
    known = here.operation(operation.request.method, operation.request.path)
    for status, body in here.answers(known) if known else ():
        usual = next(example for _, example in examples(body, here))
        for field in _fields(operation.decode(_answer(status, usual)).value):
            if field not in given:
                yield f"its answer no longer gives `{field}`"


def _event(value: object) -> MachineEvent | None:
    event: object = getattr(value, "event", value)
    return event if isinstance(event, MachineEvent) else None


def _answer(status: int, example: object) -> Answer:
    if example is None:
        return Answer(status, "", b"")
    return Answer(status, "application/json", json.dumps(example).encode())


def _fields(value: object, where: str = "") -> Iterator[str]:
    """What a result holds, lists by their first item."""
    if isinstance(value, msgspec.Struct):
        value = msgspec.to_builtins(value)
    if isinstance(value, list):
        value = cast("list[object]", value)[0] if value else None
    if isinstance(value, dict):
        for name, one in cast("dict[str, object]", value).items():
            yield f"{where}{name}"
            yield from _fields(one, f"{where}{name}.")
