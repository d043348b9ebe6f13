"""What is no request, not allowed, not confirmed or not answered: problem details, and nothing sent in vain."""

from __future__ import annotations

import dataclasses
import json
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from paperspace_storage_server.rest.problems import changed_by, problem_of, status_of
from paperspace_storage_server.settings.fields import Limit
from paperspace_storage_tools import errors
from paperspace_storage_tools.errors import Failure
from support.guarded import API_KEY

from .surface import Surface, problem, surface

pytestmark = pytest.mark.anyio
NEW = {"name": "n", "size": 100, "region": "ny2", "privateNetworkId": "ne1"}


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "said"),
    [
        ("POST", "/shared-drives", b"{", 400, "The body is not JSON."),
        ("POST", "/shared-drives", b"[" * 100_000, 400, "The body is not JSON."),
        ("POST", "/shared-drives", b'{"size": NaN}', 400, "The body is not JSON."),
        ("POST", "/shared-drives", b"\xff\xfe", 400, "The body is not JSON."),
        ("POST", "/shared-drives", [], 400, "must be a JSON object"),
        ("POST", "/shared-drives", {**NEW, "size": "100"}, 400, "`size` must be of type integer"),
        ("POST", "/shared-drives", {**NEW, "size": True}, 400, "`size` must be of type integer"),
        ("POST", "/shared-drives", {**NEW, "name": None}, 400, "`name` must be of type string"),
        ("POST", "/shared-drives", {**NEW, "colour": "red"}, 400, "unknown field `colour`"),
        ("POST", "/shared-drives", {**NEW, "confirm": "x"}, 400, "unknown field `confirm`"),
        ("POST", "/shared-drives", {"name": "n"}, 400, "`size` is required"),
        ("POST", "/shared-drives", b'{"name": "a", "name": "b", "size": 1}', 400, "field `name` more than once"),
        ("POST", "/shared-drives", {**NEW, "name": "\ud800"}, 400, "`name` must be text without halves"),
        ("POST", "/shared-drives", {**NEW, "\ud800": 1}, 400, "unknown field `?`"),
        ("POST", "/shared-drives", b'{"size": ' + b"9" * 5000 + b"}", 400, "The body is not JSON."),
        ("POST", "/storage-providers", {"name": "n", "type": "s3", "region": ""}, 400, "`region` must not be empty"),
        ("PUT", "/shared-drives/sd1", {"name": "", "size": 5}, 400, "`name` must not be empty"),
        ("PUT", "/snapshots/ss1", {"name": "n", "note": ""}, 400, "`note` must not be empty"),
        ("GET", "/shared-drives?orderBy=", None, 400, "`orderBy` must not be empty"),
        ("GET", "/snapshots?machineId=&limit=1", None, 400, "`machineId` must not be empty"),
        ("POST", "/shared-drives?dry=1", NEW, 400, "Unknown in the query: `dry`"),
        ("PUT", "/shared-drives/sd1", {}, 400, "give at least one of name, size"),
        ("GET", "/snapshots?limit=none", None, 400, "`limit` must be a whole number"),
        ("GET", "/snapshots?limit=1&limit=2", None, 400, "More than once in the query: `limit`"),
        ("GET", "/snapshots?summary=true", None, 400, "Unknown in the query: `summary`"),
        ("GET", "/snapshots/%2e%2e", None, 400, "`id` must be an id"),
        ("GET", "/storage-providers/Utilization", None, 400, "for the utilization call"),
        ("POST", "/snapshots/ss1/restore", {"x": 1}, 400, "takes no body"),
        ("POST", "/snapshots/ss1/restore?createSnapshotBeforeRestore=perhaps", None, 400, "true or false"),
        ("GET", "/drives", None, 404, "none of the API's"),
        ("GET", "/shared-drives/", None, 404, "none of the API's"),
        ("DELETE", "/shared-drives/sd1/", None, 404, "none of the API's"),
        ("POST", "/snapshots/ss1%2frestore", None, 404, "none of the API's"),
        ("POST", "/snapshots%2Fss1/restore", None, 404, "none of the API's"),
        ("GET", "//shared-drives", None, 404, "none of the API's"),
        ("GET", "/snapshots/a/b/c", None, 404, "none of the API's"),
        ("PATCH", "/shared-drives/sd1", {}, 405, "Methods at this path:"),
        ("POST", "/shared-drives", b'"' + b"x" * 1024 * 1024 + b'"', 413, "at most"),
    ],
)
async def test_what_is_no_request_is_refused_before_anything_is_sent(
    method: str, path: str, body: object, status: int, said: str
) -> None:
    async with surface("live") as one:
        answer = await one.ask(method, path, body)
        made = problem(answer)
        assert (made["status"], said in made["detail"]) == (status, True), made
        assert one.api.sent == []
        if status == 405:
            assert answer.headers["allow"]


@pytest.mark.parametrize("name", ["Confirm-Name", "Idempotency-Key", "Content-Type"])
async def test_a_header_that_comes_twice_is_refused(name: str) -> None:
    async with surface("live") as one:
        twice = [(name, "application/json"), (name, "application/json")]
        body = json.dumps({"machineId": one.ids["machine"], "name": "n"}).encode()
        answer = await one.client.post("/v1/snapshots", content=body, headers=twice)
        if name == "Confirm-Name":  # of an operation that takes it
            answer = await one.client.delete(f"/v1/shared-drives/{one.ids['drive']}", headers=twice)
        made = problem(answer)
        assert (made["status"], f"{name} came more than once" in made["detail"]) == (400, True)
        assert one.api.writes == []


async def test_a_form_is_no_body() -> None:
    async with surface("live") as one:
        answer = await one.client.post("/v1/shared-drives", data={"name": "n"})
        assert (problem(answer)["status"], one.api.sent) == (415, [])


async def test_what_destroys_needs_the_exact_name_in_the_header() -> None:
    async with surface("live") as one:
        path = f"/shared-drives/{one.ids['drive']}"
        for headers in ({}, {"Confirm-Name": "wrong"}, {"Confirm-Name": "*"}):
            made = problem(await one.ask("DELETE", path, headers=headers))
            assert (made["status"], made["changed"]) == (428, "nothing")
            assert f'Deleting shared drive {one.ids["drive"]} "{one.ids["drive name"]}" (' in made["detail"]
            assert made["detail"].endswith("Over REST: in the header Confirm-Name, percent-encoded.")
        assert problem(await one.ask("DELETE", path, headers={"Confirm-Name": "%ff"}))["status"] == 400
        assert one.api.writes == []
        name = quote(one.ids["drive name"], safe="")
        assert (await one.ask("DELETE", path, headers={"Confirm-Name": name})).status_code == 204


async def test_protection_budgets_and_unsupported_things_have_their_status() -> None:
    async with surface("live", confirm="never", protect=["*"]) as one:
        made = problem(await one.ask("DELETE", f"/shared-drives/{one.ids['drive']}"))
        assert (made["status"], made["type"].rsplit(":", 1)[1], one.api.writes) == (403, "protected", [])
        made = problem(await one.ask("PUT", f"/shared-drives/{one.ids['drive']}", {"size": 9000}))
        assert (made["status"], made["changed"], one.api.writes) == (501, "nothing", [])
    async with surface("live", confirm="never", max_destructive=Limit(1, 3600)) as one:
        assert (await one.ask("DELETE", f"/shared-drives/{one.ids['drive']}")).status_code == 204
        answer = await one.ask("DELETE", f"/snapshots/{one.ids['snapshot']}")
        assert problem(answer)["status"] == 429
        assert 3590 < int(answer.headers["retry-after"]) <= 3600


@pytest.mark.parametrize(
    ("answer", "status", "retry"),
    [
        (httpx.Response(401, json={"code": "UNAUTHORIZED", "message": "no"}), 502, None),
        (httpx.Response(403, json={"code": "FORBIDDEN", "message": "no"}), 502, None),
        (httpx.Response(404, json={"code": "NOT_FOUND", "message": "no"}), 404, None),
        (httpx.Response(404, text="<html>"), 502, None),
        (httpx.Response(409, json={"code": "CONFLICT", "message": "no"}), 409, None),
        (httpx.Response(422, json={"code": "X", "message": "no"}), 422, None),
        (httpx.Response(429, headers={"retry-after": "9000"}), 429, "9000"),
        (httpx.Response(503), 502, None),
        (httpx.Response(200, text="<html>"), 502, None),
    ],
)
async def test_what_the_api_answers_becomes_a_status_of_ours(
    answer: httpx.Response, status: int, retry: str | None
) -> None:
    async with surface("live") as one:
        one.api.instead = lambda request: httpx.Response(
            answer.status_code, content=answer.content, headers=answer.headers
        )
        got = await one.ask("GET", "/shared-drives/sd1")
        assert (problem(got)["status"], got.headers.get("retry-after")) == (status, retry)
        assert API_KEY not in got.text


def _failures() -> list[Failure]:
    """One of every class of failure."""
    named: dict[str, Any] = {
        "status": 409,
        "problems": ["x"],
        "known": ["x"],
        "cause": errors.TimedOut(1.0, 1, "unknown"),
    }
    kinds: dict[str, Any] = {"int": 1, "float": 1.0, "bool": True}
    made: list[Failure] = []
    for cls in _classes(Failure):
        fields = [one for one in dataclasses.fields(cls) if one.init and one.default is dataclasses.MISSING]
        arguments = {one.name: named.get(one.name, kinds.get(str(one.type).split(" ")[0], "x")) for one in fields}
        arguments.pop("issues", None)
        made.append(cls(**arguments))
    return made


def _classes(cls: type[Failure]) -> list[Any]:
    found = [one for sub in cls.__subclasses__() for one in (sub, *_classes(sub))]
    return [one for one in found if one.__module__ == errors.__name__]


def test_every_class_of_failure_has_a_status_and_says_what_was_changed() -> None:
    failures = _failures()
    assert len(failures) > 15
    for failure in failures:
        assert 400 <= status_of(failure) <= 504, failure
        assert changed_by(failure) in ("nothing", "unknown", "partly")
        made = json.loads(bytes(problem_of(failure, "text", write=True).response().body))
        assert made["status"] == status_of(failure)


# --- idempotency


async def _post(one: Surface, key: str, body: object = None, path: str = "/snapshots") -> httpx.Response:
    new = {"machineId": one.ids["machine"], "name": "nightly"} if body is None else body
    return await one.ask("POST", path, new, {"Idempotency-Key": key})


async def test_the_same_key_and_body_give_the_same_answer_and_one_creation() -> None:
    async with surface("live") as one:
        first = await _post(one, '"k1"')
        again = await _post(one, "k1")
        assert (first.status_code, first.content) == (again.status_code, again.content)
        assert "idempotent-replay" in again.headers
        assert "idempotent-replay" not in first.headers
        assert one.api.writes == ["POST /snapshots"]
        assert (await _post(one, "k2")).json()["id"] != first.json()["id"]


async def test_a_key_belongs_to_one_body_one_path_and_one_principal() -> None:
    async with surface("live", confirm="never") as one:
        one.principal = "ann"
        first = await _post(one, "k1")
        assert problem(await _post(one, "k1", {"machineId": one.ids["machine"], "name": "other"}))["status"] == 422
        restore = f"/snapshots/{one.ids['snapshot']}/restore"
        assert (await one.ask("POST", restore, headers={"Idempotency-Key": "k1"})).status_code == 200
        one.principal = "bob"
        theirs = await _post(one, "k1")
        assert theirs.json()["id"] != first.json()["id"]
        for key in ("", '""', "k" * 256, "a b"):
            assert problem(await _post(one, key))["status"] == 400


async def test_what_was_refused_or_not_confirmed_is_not_remembered() -> None:
    async with surface("live") as one:
        restore = f"/snapshots/{one.ids['snapshot']}/restore"
        asked = await one.ask("POST", restore, headers={"Idempotency-Key": "k"})
        assert problem(asked)["status"] == 428
        name = quote(one.ids["snapshot name"], safe="")
        done = await one.ask("POST", restore, headers={"Idempotency-Key": "k", "Confirm-Name": name})
        assert done.status_code == 200
        again = await one.ask("POST", restore, headers={"Idempotency-Key": "k", "Confirm-Name": name})
        assert (again.status_code, again.headers["link"]) == (200, done.headers["link"])
        assert len(one.api.writes) == 1


async def test_a_restore_whose_outcome_is_unknown_is_not_made_again_under_its_key() -> None:
    async with surface("live", confirm="never") as one:
        one.api.instead = lambda request: httpx.Response(502) if request.method == "POST" else None
        restore = f"/snapshots/{one.ids['snapshot']}/restore"
        first = await one.ask("POST", restore, headers={"Idempotency-Key": "k"})
        assert (problem(first)["status"], problem(first)["changed"]) == (502, "unknown")
        again = await one.ask("POST", restore, headers={"Idempotency-Key": "k"})
        assert (again.status_code, again.content) == (first.status_code, first.content)
        assert len(one.api.writes) == 1
