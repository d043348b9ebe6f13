"""A call's outcome into a response: the document's fields and no others, links for what goes on, problems."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import Response

from paperspace_storage_server.calls.outcome import Outcome
from paperspace_storage_server.rest.operations import PREFIX, Json, RestOperation
from paperspace_storage_server.rest.problems import problem_of

_TO_THE_MINUTE = re.compile(r"(T\d\d:\d\d)(Z|[+-]\d\d:\d\d)\Z")
"""How the tools write an instant whose seconds are zero; a `date-time` has them always (RFC 3339, 5.6)."""


def answer(operation: RestOperation, request: Request, outcome: Outcome) -> Response:
    """What REST answers with. Links are references to this server, so that they hold behind any proxy (RFC 8288)."""
    if outcome.failure is not None or outcome.structured is None:
        assert outcome.failure is not None
        return problem_of(outcome.failure, outcome.text, write=operation.tool.writes).response()
    result: Json = outcome.structured
    headers = _headers(operation, request, result)
    if operation.answers is None:
        return Response(None, operation.status, headers)
    if operation.lists:
        known = operation.answers["items"]["properties"]
        body: object = [_known(one, known) for one in result["items"]]
    else:
        body = _known(result, operation.answers["properties"])
    return Response(_json(body), operation.status, headers, "application/json")


def _known(result: Json, properties: Mapping[str, Any]) -> Json:
    made = {name: result[name] for name in properties if name in result}
    for name, value in made.items():
        if properties[name].get("format") == "date-time":
            made[name] = _TO_THE_MINUTE.sub(r"\1:00\2", value)
    return made


def _headers(operation: RestOperation, request: Request, result: Json) -> dict[str, str]:
    headers = {"Cache-Control": "no-store"}
    links: list[str] = []
    if operation.lists and "nextPage" in result:
        query = {**request.query_params, "after": result["nextPage"]}
        links.append(f'<{PREFIX}{operation.path}?{urlencode(query)}>; rel="next"')
    if "event" in result:
        links.append(f'<{PREFIX}/machine-events/{quote(result["event"]["id"], safe="")}>; rel="monitor"')
    if "safetySnapshot" in result:
        headers["Safety-Snapshot"] = quote(result["safetySnapshot"]["id"], safe="")
    if links:
        headers["Link"] = ", ".join(links)
    if "notice" in result:
        headers["Notice"] = quote(result["notice"], safe=" !#$&'()*+,/:;=?@[]~\"")
    return headers


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
