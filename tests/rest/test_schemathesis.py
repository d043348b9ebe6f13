"""Schemathesis over REST as it is served: its own document, and the published one, over an API of either dialect.

What it lets pass stands in `schemathesis.toml`, and here, each with its reason.
"""

from __future__ import annotations

import copy
import json
import os
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any, Literal, cast
from urllib.parse import urlsplit

import pytest

from paperspace_storage_server.wire.messages import Dialect
from support.published import PUBLISHED

from .over_http import Served, served

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
HERE = Path(__file__).parent
UNBOUNDED = {"PAPERSPACE_MCP_CONFIRM": "never", "PAPERSPACE_MCP_MAX_DESTRUCTIVE": "unlimited"}
Json = dict[str, Any]


def _own_document(one: Served) -> Json:
    """What the server says of itself, but for values that only the API behind it knows."""
    with one.client() as client, one.behind() as behind:
        document: Json = client.get("/openapi.json").json()
        machine = _items(behind.get("/snapshots").json())[0]["machineId"]
        made: Json = behind.post("/snapshots", json={"machineId": machine, "name": "for its event"}).json()
    paths = document["paths"]
    for path in ("/shared-drives", "/snapshots", "/storage-providers"):
        # A cursor is the API's, and another is refused; test_operations.py follows the real ones.
        listing = paths[path]["get"]
        listing["parameters"] = [each for each in listing["parameters"] if each["name"] != "after"]
    for path, method in (("/storage-providers", "post"), ("/storage-providers/{id}", "put")):
        # This operator keeps no credential profile.
        del _schema(paths[path][method])["properties"]["credentialProfile"]
    # Regions and networks are those that the API has.
    new, known = _schema(paths["/shared-drives"]["post"])["properties"], _new_drive(one)
    for name in ("region", "privateNetworkId"):
        new[name]["enum"] = [known[name]]
    if "event" in made:  # that goes on; the published API has none
        paths["/machine-events/{id}"]["parameters"][0]["schema"]["enum"] = [made["event"]["id"]]
    return document


def _schema(operation: Json) -> Json:
    schema: Json = operation["requestBody"]["content"]["application/json"]["schema"]
    return schema


def _items(answer: Any) -> list[Json]:
    return cast("list[Json]", cast("Json", answer)["items"] if isinstance(answer, dict) else answer)


def _new_drive(one: Served) -> Json:
    with one.behind() as behind:
        drive = _items(behind.get("/shared-drives").json())[0]
    network = drive.get("networkId") or drive["privateNetworkId"]
    return {"name": "an example", "size": 250, "region": drive["region"], "privateNetworkId": network}


def _published_document(one: Served) -> Json:
    """The published one, which says nothing of failures: that each has problem details is what is ours. Nor does it
    say that a text in a body is not empty and a number not zero; and of what only the API knows it has examples."""
    document = copy.deepcopy(PUBLISHED)
    for schema in _bodies(document):
        for field in schema["properties"].values():
            field.update({"minLength": 1} if field["type"] == "string" else {"minimum": 1})
    provider = {
        "name": "an example",
        "type": "s3",
        "bucket": "b",
        "accessKey": "AKIA7Q2ZLS0DFP3MCXB0",
        "secretKey": "s",
    }
    with one.behind() as behind:
        snapshot = {"machineId": _items(behind.get("/snapshots").json())[0]["machineId"], "name": "an example"}
    examples = {
        ("/shared-drives", "post"): _new_drive(one),
        ("/shared-drives/{id}", "put"): {"name": "another example"},
        ("/snapshots", "post"): snapshot,
        ("/snapshots/{id}", "put"): {"name": "another example"},
        ("/storage-providers", "post"): provider,
        ("/storage-providers/{id}", "put"): {**provider, "name": "another example"},
    }
    for (path, method), example in examples.items():
        document["paths"][path][method]["requestBody"]["content"]["application/json"]["example"] = example
    failed = {"description": "A failure.", "content": {"application/problem+json": {"schema": PROBLEM}}}
    for path in document["paths"].values():
        for method, operation in path.items():
            if method != "parameters":
                operation["responses"] |= {"4XX": failed, "501": failed}
    return document


def _bodies(document: Json) -> list[Json]:
    written = [path[method] for path in document["paths"].values() for method in ("post", "put") if method in path]
    named = [_schema(operation) for operation in written if "requestBody" in operation]
    schemas = document["components"]["schemas"]
    return [schemas[one["$ref"].rsplit("/", 1)[1]] if "$ref" in one else one for one in named]


PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "pattern": "^urn:paperspace-storage-mcp:[a-z-]+$"},
        "title": {"type": "string", "minLength": 1},
        "status": {"type": "integer", "minimum": 400, "maximum": 501},
        "detail": {"type": "string", "minLength": 1},
        "changed": {"type": "string", "enum": ["nothing"]},
    },
    "additionalProperties": False,
}


@pytest.mark.parametrize("dialect", ["live", "published"])
@pytest.mark.parametrize("which", ["own", "published"])
def test_every_answer_is_one_of_the_document(
    which: Literal["own", "published"], dialect: Dialect, tmp_path: Path
) -> None:
    with served(tmp_path, dialect, UNBOUNDED, quick=True) as one:  # else a snapshot that was just made is busy
        document = _own_document(one) if which == "own" else _published_document(one)
        # The published document names no limit: an empty name and an unknown field are valid there, and refused here.
        # The own one says what is taken, and is held to it.
        unchecked = ["--exclude-checks", "positive_data_acceptance"] if which == "published" else []
        statuses = _run(one, document, unchecked, tmp_path)
    assert len(statuses) == len(_operations(document))
    if dialect == "published":
        assert 501 in statuses.pop("GET /machine-events/{id}", {501})  # what goes on there has no event
    for name, found in statuses.items():
        assert any(200 <= status < 300 for status in found), (name, found)
    every = {status for found in statuses.values() for status in found}
    assert {200, 201, 204, 400, 401, 404} <= every
    if which == "own":
        assert 428 in statuses["DELETE /shared-drives/{id}"]


def _run(one: Served, document: Json, options: list[str], folder: Path) -> dict[str, set[int]]:
    """Which statuses each operation answered with, after a run without a failure."""
    (folder / "openapi.json").write_text(json.dumps(document))
    har = folder / "run.har"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "--no-color", "--config-file", str(HERE / "schemathesis.toml")),
            *("run", str(folder / "openapi.json"), "--url", one.url, "--header", f"Authorization: Bearer {one.token}"),
            *("--checks", "all", "--continue-on-failure", "--report-har-path", str(har), *options),
        ],
        cwd=folder,
        env={**os.environ, "HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=380,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2000:]
    statuses: defaultdict[str, set[int]] = defaultdict(set)
    patterns = {name: re.compile(name.replace("{id}", "[^/]+")) for name in _operations(document)}
    for entry in json.loads(har.read_text())["log"]["entries"]:
        url: str = entry["request"]["url"]
        path = urlsplit(url).path.removeprefix("/v1")
        asked = f"{entry['request']['method']} {path}"
        for name in sorted(patterns, key=lambda each: "{id}" in each):
            if patterns[name].fullmatch(asked):
                statuses[name].add(entry["response"]["status"])
                break
    return statuses


def _operations(document: Json) -> list[str]:
    return [
        f"{method.upper()} {path}"
        for path, item in document["paths"].items()
        for method in item
        if method != "parameters"
    ]
