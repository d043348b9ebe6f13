"""The REST surface as an ASGI application below `/v1`: one route per operation of the published document."""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Scope

from paperspace_storage_server.calls.service import NoSuchTeam, Service
from paperspace_storage_server.calls.unasked import Unasked
from paperspace_storage_server.rest.answers import answer
from paperspace_storage_server.rest.document import described
from paperspace_storage_server.rest.operations import PREFIX, RestOperation, operations
from paperspace_storage_server.rest.problems import Problem, changed_by, problem_of
from paperspace_storage_server.rest.requests import BadRequest, arguments_of, bad, body_of, header_of
from paperspace_storage_server.state.idempotency import Begun, Idempotency, OtherBody, Replay, UnderWay
from paperspace_storage_tools.errors import StoreUnavailable
from paperspace_storage_tools.tool import AnyTool

if TYPE_CHECKING:
    from paperspace_storage_server.process.telemetry import Telemetry
    from paperspace_storage_server.rest.traced import Around

_KEY = re.compile(r'"?([\x21\x23-\x7e]{1,255})"?')
_LEASE = 10.0  # seconds beyond a call's budget, for the answer to be written down
_KEPT_HEADERS = ("link", "safety-snapshot", "notice", "cache-control", "content-type")


@dataclass(frozen=True, slots=True)
class Requester:
    """Who makes a request, and the service of their team; `principal` is None where one token is everybody's."""

    service: Service
    principal: str | None = None


RequesterOf = Callable[[Scope], Requester]
May = Callable[[Scope, AnyTool], Response | None]
"""A refusal where this request's token does not reach as far as the tool."""


def rest_app(
    requester_of: RequesterOf, *, may: May = lambda scope, tool: None, telemetry: Telemetry | None = None
) -> Starlette:
    """The surface. Whoever mounts it has seen to it that a request shows a token."""
    around: Around | None = None
    if telemetry is not None:
        from paperspace_storage_server.rest import traced

        around = traced.around(telemetry.tracer, telemetry.meter)

    async def openapi(request: Request) -> Response:
        text = json.dumps(described(requester_of(request.scope).service.tools))
        return Response(text, media_type="application/json", headers={"Cache-Control": "no-store"})

    routes = [Route(f"{PREFIX}/openapi.json", openapi, methods=["GET"])]
    for path in dict.fromkeys(one.path for one in operations()):
        by_method: dict[str, RestOperation] = {one.method: one for one in operations() if one.path == path}
        routes.append(Route(PREFIX + path, _endpoint(by_method, requester_of, may, around), methods=list(by_method)))
    app = Starlette(
        routes=routes,
        exception_handlers={HTTPException: _no_operation, NoSuchTeam: _no_team, Exception: _failed_inside},
    )
    app.router.redirect_slashes = False  # the document knows no such path, and the redirect goes where Host says
    return app


def _endpoint(
    by_method: Mapping[str, RestOperation], requester_of: RequesterOf, may: May, around: Around | None
) -> Callable[[Request], Awaitable[Response]]:
    async def respond(request: Request) -> Response:
        operation = by_method["GET" if request.method == "HEAD" else request.method]
        if b"%2f" in request.scope.get("raw_path", b"").lower():
            return _no_such_path()  # a slash in an id, decoded: to a proxy before this server it was another path
        try:
            return await _respond(operation, request, requester_of(request.scope), may)
        except BadRequest as error:
            return error.problem.response()
        except StoreUnavailable as failure:
            return problem_of(failure, failure.text(), write=True).response()

    if around is None:
        return respond
    route = PREFIX + next(iter(by_method.values())).path

    async def seen(request: Request) -> Response:
        return await around(request, route, lambda: respond(request))

    return seen


async def _respond(operation: RestOperation, request: Request, requester: Requester, may: May) -> Response:
    tool = operation.tool
    if (refusal := may(request.scope, tool)) is not None:
        return refusal
    if tool.name not in requester.service.tools:
        raise bad(f"{operation.method} {PREFIX}{operation.path} is not served here.", 403, "not-selected")
    body = await body_of(request)
    given = arguments_of(operation, request, body)
    begun: Begun | None = None
    if operation.method == "POST" and (key := header_of(request, "Idempotency-Key")) is not None:
        standing = await _standing(request, requester, key, given)
        if isinstance(standing, Response):
            return standing
        begun = standing
    try:
        outcome = await requester.service.call(tool, given, Unasked(requester.principal, uuid.uuid4().hex))
        response = answer(operation, request, outcome)
    except BaseException:
        if begun is not None:
            await begun.forget()
        raise
    if begun is not None:
        failure = outcome.failure
        # What a creation may have made is looked for when it is asked for again. A restore has no such second look,
        # so that an answer which left it open is the answer for good.
        if failure is None or (changed_by(failure) != "nothing" and not tool.answers_with_resource):
            await begun.finish(_kept(response))
        else:
            await begun.forget()
    return response


async def _standing(request: Request, requester: Requester, key: str, given: Mapping[str, object]) -> Begun | Response:
    """Ours to answer, or the answer: keys belong to a principal, team, method and path."""
    match = _KEY.fullmatch(key.strip())
    if match is None:
        raise bad("Idempotency-Key must be 1 to 255 visible characters.")
    service = requester.service
    owner = (requester.principal or "", service.team.upstream.team, request.method, request.url.path)
    digest = hashlib.sha256(json.dumps(given, sort_keys=True).encode("utf-8", "surrogatepass")).hexdigest()
    lease = service.process.settings.call_timeout + _LEASE
    match await Idempotency(service.team.upstream.store).begin(owner, match[1], digest, lease):
        case Begun() as begun:
            return begun
        case Replay(answer=kept):
            return _replayed(kept)
        case OtherBody():
            raise bad("This Idempotency-Key came with another request before.", 422, "idempotency-key-reused")
        case UnderWay():
            raise bad("A request with this Idempotency-Key is under way.", 409, "idempotency-key-under-way")


def _kept(response: Response) -> str:
    headers = {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}
    return json.dumps({"status": response.status_code, "headers": headers, "body": bytes(response.body).decode()})


def _replayed(kept: str) -> Response:
    answer = json.loads(kept)
    return Response(answer["body"], answer["status"], {**answer["headers"], "Idempotent-Replay": "true"})


async def _no_operation(request: Request, error: Exception) -> Response:
    """No such path, or not this method there."""
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        allow = (error.headers or {}).get("Allow", "")
        return Problem(
            405, "method-not-allowed", f"Methods at this path: {allow}.", headers={"Allow": allow}
        ).response()
    return _no_such_path()


def _no_such_path() -> Response:
    return Problem(404, "no-such-path", "This path is none of the API's. GET /v1/openapi.json describes it.").response()


async def _no_team(request: Request, error: Exception) -> Response:
    return Problem(403, "access-denied", "Your team has gone from this server.", "nothing").response()


async def _failed_inside(request: Request, error: Exception) -> Response:
    return Problem(500, "failed-inside", "This server failed inside; its log says where.", "unknown").response()
