"""The published document to the letter, over either dialect of the API behind."""

from __future__ import annotations

from typing import Any, cast

import httpx
import pytest
from openapi_spec_validator import OpenAPIV30SpecValidator, validate

from paperspace_storage_server.api.upstream import DIALECTS
from paperspace_storage_server.rest.document import described
from paperspace_storage_server.rest.operations import document, operations
from paperspace_storage_server.wire.messages import Dialect
from paperspace_storage_tools.catalogue import CATALOGUE
from support.published import PUBLISHED
from support.schemas import conform

from .surface import problem, surface

pytestmark = pytest.mark.anyio
each = pytest.mark.parametrize("dialect", DIALECTS)
KEYS = {"accessKey": "AKIA7Q2ZLS0DFP3MCXB0", "secretKey": "hT6/yN2c+Gv0==9aX7bEo4q"}


def test_the_document_that_is_kept_is_the_published_one() -> None:
    assert document() == PUBLISHED


def test_every_operation_of_the_document_is_a_tool_and_the_other_way_round() -> None:
    of_document = sum("operationId" in one for path in PUBLISHED["paths"].values() for one in path.values())
    assert len(operations()) == of_document + 1
    lookups = {tool.name for tool in CATALOGUE if str(tool.toolset) == "lookups"}
    assert {one.tool.name for one in operations()} == {tool.name for tool in CATALOGUE} - lookups


def _check(value: object, schema: dict[str, Any]) -> None:
    """The value is of the schema, and has no field that is not in it."""
    if "items" in schema:
        schema = {**schema, "items": {**schema["items"], "additionalProperties": False}}
    else:
        schema = {**schema, "additionalProperties": False}
    conform(value, schema)


@each
async def test_an_instant_is_written_as_the_documents_date_time_is(dialect: Dialect) -> None:
    """RFC 3339 has seconds, which the tools leave out where they are zero."""
    async with surface(dialect) as one:
        drives = await one.api.ask("GET", "/shared-drives")
        first = (drives["items"] if dialect == "live" else drives)[0]

        def at_the_minute(request: httpx.Request, answer: httpx.Response) -> httpx.Response:
            return httpx.Response(200, json={**first, "dtCreated": "2026-11-23T03:00:00.000Z"})

        one.api.after = at_the_minute
        assert (await one.ask("GET", f"/shared-drives/{first['id']}")).json()["dtCreated"] == "2026-11-23T03:00:00Z"


@each
async def test_the_main_job_in_the_documents_own_words(dialect: Dialect) -> None:
    schemas = {f"{one.method} {one.path}": one.answers for one in operations()}

    async with surface(dialect) as one:

        async def ask(
            method: str, template: str, status: int, id: str = "", body: object = None, **headers: str
        ) -> Any:
            answer = await one.ask(method, template.replace("{id}", id), body, headers)
            assert answer.status_code == status, answer.text
            schema = schemas[f"{method} {template}"]
            if schema is None:
                assert answer.content == b""
                return answer
            _check(answer.json(), dict(schema))
            return answer.json()

        drives = await ask("GET", "/shared-drives", 200)
        new = {"name": "mine", "size": 100, **{name: drives[0][name] for name in ("region", "privateNetworkId")}}
        drive = await ask("POST", "/shared-drives", 201, body=new)
        assert {name: drive[name] for name in new} == new
        renamed = await ask("PUT", "/shared-drives/{id}", 200, drive["id"], {"name": "ours ☂"})
        assert await ask("GET", "/shared-drives/{id}", 200, drive["id"]) == renamed
        await ask("DELETE", "/shared-drives/{id}", 204, drive["id"], **{"Confirm-Name": "ours%20%E2%98%82"})
        assert (await one.ask("GET", f"/shared-drives/{drive['id']}")).status_code == 404

        machine = (await ask("GET", "/snapshots", 200))[0]["machineId"]
        snapshot = await ask("POST", "/snapshots", 201, body={"machineId": machine, "name": "before"})
        assert await ask("GET", "/snapshots/{id}", 200, snapshot["id"]) == snapshot
        await ask("PUT", "/snapshots/{id}", 200, snapshot["id"], {"name": "kept"})
        restored = await ask("POST", "/snapshots/{id}/restore", 200, snapshot["id"], **{"Confirm-Name": "kept"})
        assert ('rel="monitor"' in restored.headers.get("link", "")) == (dialect == "live")
        assert ("safety-snapshot" in restored.headers) or dialect == "live"
        gone = await ask("DELETE", "/snapshots/{id}", 204, snapshot["id"], **{"Confirm-Name": "kept"})
        if dialect == "live":
            link = gone.headers["link"].removeprefix("</v1").split(">")[0]
            assert (await one.ask("GET", link)).json()["state"] == "done"

        provider = await ask("POST", "/storage-providers", 201, body={"name": "p", "type": "s3", "bucket": "b", **KEYS})
        assert await ask("GET", "/storage-providers/{id}", 200, provider["id"]) == provider
        assert provider["id"] in [each["id"] for each in await ask("GET", "/storage-providers", 200)]
        put = {"name": "q", "type": "s3", "bucket": "b", **KEYS}
        assert (await ask("PUT", "/storage-providers/{id}", 200, provider["id"], put))["name"] == "q"
        await ask("DELETE", "/storage-providers/{id}", 204, provider["id"], **{"Confirm-Name": "q"})
        usage = await ask("GET", "/storage-providers/utilization", 200)
        assert usage["sharedStorage"] > 0


@each
async def test_a_list_goes_on_where_its_link_says_and_keeps_filters_and_limit(dialect: Dialect) -> None:
    async with surface(dialect) as one:
        machine = one.ids["machine"]
        path, seen = f"/snapshots?machineId={machine}&limit=1", list[str]()
        for _ in range(50):
            answer = await one.ask("GET", path)
            seen += [each["id"] for each in answer.json()]
            if "link" not in answer.headers:
                break
            reference, rel = answer.headers["link"].split("; ")
            assert rel == 'rel="next"'
            path = reference[len("</v1") : -1]
            assert f"machineId={machine}" in path
            assert "limit=1" in path
        whole = await one.ask("GET", f"/snapshots?machineId={machine}")
        assert seen == [each["id"] for each in whole.json()]
        assert len(seen) > 1


async def test_what_goes_on_can_be_followed_to_its_end() -> None:
    async with surface("live") as one:
        restored = await one.ask(
            "POST",
            f"/snapshots/{one.ids['snapshot']}/restore?createSnapshotBeforeRestore=false",
            headers={"Confirm-Name": one.ids["snapshot name"].replace(" ", "%20")},
        )
        assert (restored.status_code, restored.content) == (200, b"")
        event = (await one.ask("GET", restored.headers["link"].removeprefix("</v1").split(">")[0])).json()
        assert (event["state"], event["machineId"]) == ("done", one.ids["machine"])


async def test_the_document_that_is_served_names_what_is_ours_and_only_what_is_selected() -> None:
    async with surface("live", read_only=True) as one:
        served = (await one.ask("GET", "/openapi.json")).json()
        methods = {method for path in served["paths"].values() for method in path if method != "parameters"}
        assert methods == {"get"}
        refused = problem(await one.ask("DELETE", f"/shared-drives/{one.ids['drive']}"))
        assert (refused["status"], one.api.writes) == (403, [])
    whole = described({tool.name for tool in CATALOGUE})
    validate(cast("Any", whole), cls=OpenAPIV30SpecValidator)
    restore = whole["paths"]["/snapshots/{id}/restore"]["post"]
    assert [(one["in"], one["name"]) for one in restore["parameters"]] == [
        ("query", "createSnapshotBeforeRestore"),
        ("header", "Confirm-Name"),
        ("header", "Idempotency-Key"),
    ]
    listing = whole["paths"]["/snapshots"]["get"]["parameters"]
    assert {"machineId", "after", "limit", "order", "orderBy"} <= {one["name"] for one in listing}
