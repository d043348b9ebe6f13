"""The ASGI app: from a request to an operation and back; the only module here that knows HTTP."""

import contextlib
import hashlib
import json
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Literal, NoReturn

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from . import live, published
from .operations import Answer, Call, Operation, error_body
from .refusals import Refusal, bad_request, not_found, too_large, unauthorized, unparsable
from .rules import TeamRules
from .store import Store, Team
from .team import seed
from .team_large import seed_large

LARGEST_BODY = 1024 * 1024
_DIALECTS = {"published": published, "live": live}


def create_app(
    dialect: Literal["published", "live"],
    *,
    db: str | Path | None = None,
    clock: Callable[[], float] = time.time,
    event_seconds: float = 2.0,
    prefix: str = "/v1",
    large: bool = False,
) -> Starlette:
    """The emulated API as an ASGI app; without a `db` its state is in memory and its own.

    `clock` answers seconds since 1970; `event_seconds` is how long a machine event takes from its
    creation; with `large`, a new key finds a team of 2,000 snapshots and 150 drives instead of the sample
    team. `app.state.close()` ends the database connection, as does the end of the lifespan.

    Raises: SandboxError where `db` cannot be used.
    """
    spoken = _DIALECTS[dialect]
    store = Store(db)
    new_team = seed_large if large else seed
    desk = _Desk(store, clock, round(event_seconds * 1000) if spoken.HAS_EVENTS else None, new_team)
    base = prefix.rstrip("/")
    routes = [
        Route(base + path, desk.endpoint(operations), methods=list(operations))
        for path, operations in _by_path(spoken.OPERATIONS).items()
    ]
    if spoken.DESCRIPTION is not None:
        routes.append(Route(f"{base}/openapi.json", _describing(spoken.DESCRIPTION)))

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        yield
        store.close()

    app = Starlette(
        routes=routes,
        exception_handlers={HTTPException: _no_such_operation, Exception: _broken},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    app.state.close = store.close
    return app


class _Desk:
    """Takes requests in: whose it is, what is asked, and hands it to the operation."""

    def __init__(
        self,
        store: Store,
        clock: Callable[[], float],
        event_ms: int | None,
        new_team: Callable[[Store, str, int], Team],
    ) -> None:
        self._store = store
        self._clock = clock
        self._event_ms = event_ms
        self._new_team = new_team

    def endpoint(self, operations: Mapping[str, Operation]) -> Callable[[Request], Awaitable[Response]]:
        """The Starlette endpoint of one path, whose operations go by their method."""

        async def answer(request: Request) -> Response:
            # Starlette lets HEAD through wherever there is a GET.
            operation = operations.get(request.method) or operations["GET"]
            try:
                key_hash = _key_hash(request.headers.get("authorization", ""))
                body = await _json(request) if operation.takes_body else None
            except Refusal as refusal:
                return _refused(refusal)
            except ClientDisconnect:
                return _refused(Refusal(499, "CLIENT_CLOSED_REQUEST", "The client went away."))
            # Nothing awaits from here on: requests of one event loop cannot mix.
            now = int(self._clock() * 1000)
            team = self._team(key_hash, now)
            rules = TeamRules(self._store, team, now, self._event_ms)
            call = Call(rules, request.path_params.get("id", ""), request.query_params, body)
            try:
                with self._store.transaction():
                    rules.take_automatic_snapshots()
                    return _answered(operation.run(call))
            except Refusal as refusal:
                return _refused(refusal)

        return answer

    def _team(self, key_hash: str, now: int) -> Team:
        known = self._store.team_of(key_hash)
        if known is not None:
            return known
        with self._store.transaction():
            # Another sandbox on the same file may have been faster.
            return self._store.team_of(key_hash) or self._new_team(self._store, key_hash, now)


def _describing(file: str) -> Callable[[Request], Awaitable[Response]]:
    """The endpoint that answers a description of this package to anyone."""

    async def answer(_: Request) -> Response:
        return Response(Path(__file__).with_name(file).read_bytes(), media_type="application/json")

    return answer


def _by_path(operations: Iterable[Operation]) -> dict[str, dict[str, Operation]]:
    paths: dict[str, dict[str, Operation]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method] = operation
    return paths


def _key_hash(authorization: str) -> str:
    scheme, _, key = authorization.partition(" ")
    key = key.strip()
    if scheme.lower() != "bearer" or not key or " " in key:
        raise unauthorized()
    return hashlib.sha256(key.encode()).hexdigest()


async def _json(request: Request) -> object:
    """The body as parsed JSON, within its bounds."""
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > LARGEST_BODY:
            raise too_large(LARGEST_BODY)
        parts.append(part)
    if size == 0:
        raise bad_request("A JSON object is required as the request body.")
    try:
        parsed: object = json.loads(b"".join(parts).decode(), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise unparsable() from error
    return parsed


def _no_constant(_: str) -> NoReturn:
    raise ValueError("NaN and the infinities are no JSON")


def _answered(answer: Answer) -> Response:
    if answer.body is None:
        return Response(status_code=answer.status)
    return JSONResponse(answer.body, answer.status)


def _refused(refusal: Refusal) -> Response:
    headers = {"WWW-Authenticate": "Bearer"} if refusal.status == 401 else None
    return JSONResponse(error_body(refusal), refusal.status, headers)


def _no_such_operation(_: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException) and error.status_code == 405:
        refusal = Refusal(405, "METHOD_NOT_SUPPORTED", "This path does not take this method.")
        return JSONResponse(error_body(refusal), 405, error.headers)
    return _refused(not_found("Path"))


def _broken(_: Request, error: Exception) -> Response:
    del error  # the server logs it; its text is nothing for the caller
    return _refused(Refusal(500, "INTERNAL_SERVER_ERROR", "The sandbox failed."))
