"""The API's own description against what the codecs send and read: each way to differ is found, and named."""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from paperspace_storage_server.api.upstream import DIALECTS, codec_of
from paperspace_storage_server.commands.doctor.compare import differences, known
from paperspace_storage_server.commands.doctor.openapi import NoDescription
from paperspace_storage_server.commands.doctor.samples import operations
from paperspace_storage_server.wire.messages import Dialect

Change = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_description_that_a_codec_was_written_after_does_not_differ(dialect: Dialect) -> None:
    codec = codec_of(dialect)
    assert differences(known(codec), codec) == []


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_operation_of_the_description_that_a_tool_needs_is_compared(dialect: Dialect) -> None:
    """Made from the types of the codec; none is left out because its arguments could not be made up."""
    described = {
        (method.upper(), path)
        for path, item in known(codec_of(dialect))["paths"].items()
        for method in item
        if method in ("get", "post", "put", "delete")
    }
    compared = {(one.request.method, one.request.path.replace("/1", "/{id}")) for one in operations(codec_of(dialect))}
    assert compared <= described, "tests/data/*.openapi.yaml, and what is made of them"
    assert described - compared <= {("GET", "/machine-events"), ("GET", "/auth/session")}


def schemas(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = document["components"]["schemas"]
    return found


def body(document: dict[str, Any], path: str, method: str = "post") -> dict[str, Any]:
    found: dict[str, Any] = document["paths"][path][method]["requestBody"]["content"]["application/json"]["schema"]
    return found


def rename(table: dict[str, Any], *names: tuple[str, str]) -> None:
    for old, new in names:
        table[new] = table.pop(old)


def require(schema: dict[str, Any], name: str) -> None:
    schema["required"] = [*schema.get("required", []), name]


def parameter(document: dict[str, Any], path: str, name: str) -> dict[str, Any]:
    def at(one: dict[str, Any]) -> dict[str, Any]:
        return document["components"]["parameters"][one["$ref"].split("/")[-1]] if "$ref" in one else one

    found: dict[str, Any] = next(
        at(one) for one in document["paths"][path]["get"]["parameters"] if at(one)["name"] == name
    )
    return found


UNUSABLE = "is not read: The API's answer is not usable:"
CHANGES: list[tuple[str, Change, list[str]]] = [
    (
        "an operation is gone",
        lambda document: document["paths"].pop("/snapshots/{id}/restore"),
        ["POST /snapshots/{id}/restore is not described"],
    ),
    (
        "a method is gone",
        lambda document: document["paths"]["/shared-drives/{id}"].pop("put"),
        ["PUT /shared-drives/{id} is not described"],
    ),
    (
        "a field of an answer has another name",
        lambda document: rename(schemas(document)["Machine"]["properties"], ("name", "title")),
        ["GET /machines: its answer no longer gives `items.name`"],
    ),
    (
        "a field of an answer has another type",
        lambda document: schemas(document)["StorageUtilization"]["properties"].update(totalUsage={"type": "object"}),
        [f"GET /storage-providers/utilization: an answer 200 {UNUSABLE} totalUsage is not of the promised shape."],
    ),
    (
        "a field that is needed may be left out",
        lambda document: schemas(document)["MachineEvent"]["required"].remove("id"),
        [
            f"{where} {UNUSABLE} {field}id is not of the promised shape."
            for where, field in (
                ("POST /snapshots: an answer 200 without `event.id`", "event."),
                ("DELETE /snapshots/{id}: an answer 200 without `event.id`", "event."),
                ("POST /snapshots/{id}/restore: an answer 200 without `event.id`", "event."),
                ("GET /machine-events/{id}: an answer 200 without `id`", ""),
            )
        ],
    ),
    (
        "a state that is not known",
        lambda document: schemas(document)["MachineEvent"]["properties"]["state"]["enum"].append("paused"),
        [
            f'{where} "paused" is read, but nobody knows what that state means'
            for where in (
                "POST /snapshots: an answer 200 with `event.state`",
                "DELETE /snapshots/{id}: an answer 200 with `event.state`",
                "POST /snapshots/{id}/restore: an answer 200 with `event.state`",
                "GET /machine-events/{id}: an answer 200 with `state`",
            )
        ],
    ),
    (
        "a field of a body has another name",
        lambda document: rename(body(document, "/shared-drives")["properties"], ("size", "gigabytes")),
        ["POST /shared-drives: `size` is sent and not described"],
    ),
    (
        "a field of a body has another type",
        lambda document: body(document, "/shared-drives")["properties"].update(size={"type": "string"}),
        ["POST /shared-drives: `size` is sent as integer and described as string"],
    ),
    (
        "a body needs one more field",
        lambda document: require(body(document, "/snapshots"), "reason"),
        ["POST /snapshots: `reason` is required and not sent"],
    ),
    (
        "a query has another name",
        lambda document: parameter(document, "/snapshots", "machineId").update(name="machine"),
        ["GET /snapshots: the query `machineId` is sent and not described"],
    ),
    (
        "a query takes fewer values",
        lambda document: parameter(document, "/machines", "orderBy").update(schema={"enum": ["dtCreated"]}),
        ["GET /machines: the query `orderBy` is sent as `name`, which is none of dtCreated"],
    ),
    (
        "a query is required",
        lambda document: document["paths"]["/machines"]["get"]["parameters"].append(
            {"name": "team", "in": "query", "required": True}
        ),
        ["GET /machines: the query `team` is required and not sent"],
    ),
    ("a field that nobody reads", lambda document: schemas(document)["Machine"]["properties"].update(new={}), []),
    (
        "a parameter of a path has another name",
        lambda document: rename(document["paths"], ("/snapshots/{id}", "/snapshots/{it}")),
        [],
    ),
    (
        "the paths hold the base",
        lambda document: rename(document["paths"], *[(path, f"/v1{path}") for path in document["paths"]]),
        [],
    ),
]


@pytest.mark.parametrize(("change", "said"), [row[1:] for row in CHANGES], ids=[row[0] for row in CHANGES])
def test_what_differs_is_named(change: Change, said: list[str]) -> None:
    codec = codec_of("live")
    document = copy.deepcopy(dict(known(codec)))
    change(document)
    assert differences(document, codec, "/v1") == said


@pytest.mark.parametrize(
    "found",
    [
        {},
        {"paths": []},
        {"paths": {"/shared-drives": {"get": {"responses": {"200": 7}}, "post": {"requestBody": {"content": "x"}}}}},
        {"paths": {"/shared-drives": {"get": {"parameters": 7}}}},
        {"paths": {"/snapshots": {"get": {"responses": {"200": {"content": {"application/json": {"schema": 7}}}}}}}},
        {"paths": {"/snapshots": {"get": {"parameters": [{"$ref": "#/paths/~1snapshots/get/parameters/0"}]}}}},
        {"paths": {"/snapshots": {"post": {"requestBody": {"$ref": "#/a"}}}}, "a": {"$ref": "#/a"}},
        {
            "paths": {
                "/snapshots/{id}": {
                    "get": {"responses": {"200": {"content": {"application/json": {"schema": {"$ref": "#/a"}}}}}}
                }
            },
            "a": {"allOf": [{"$ref": "#/a"}], "properties": {"b": {"$ref": "#/a"}}},
        },
    ],
)
def test_a_description_may_be_anything(found: dict[str, Any]) -> None:
    with suppress(NoDescription):
        assert differences(found, codec_of("live"))
