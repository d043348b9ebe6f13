"""The gate: a request with a good token goes on with its `Principal`, any other is answered here.

Pure ASGI, and no tool known. The token goes no further: neither the surfaces nor the API ever see it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Protocol

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from paperspace_storage_server.calls.principal import PRINCIPAL, Principal, with_implied
from paperspace_storage_server.hosted import challenges
from paperspace_storage_server.hosted.challenges import Refusal, Resource
from paperspace_storage_server.hosted.identity import BadToken, Identity, NotForAnyTeam, NotReady
from paperspace_storage_server.hosted.jwt_tokens import JwtTokens
from paperspace_storage_server.hosted.static_tokens import PREFIX, StaticTokens

_LONGEST = 32_768  # characters of the header
_JWT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*")


class TeamOf(Protocol):
    """Which team somebody acts for. Raises `NotForAnyTeam`, `NotReady`."""

    def __call__(self, identity: Identity) -> str: ...


class Authenticate:
    """ASGI: lets in who shows a token, under the surfaces' paths; `open_paths` need none."""

    def __init__(
        self,
        app: ASGIApp,
        resource: Resource,
        team_of: TeamOf,
        *,
        jwts: JwtTokens | None,
        static: StaticTokens | None,
        refused: Callable[[Refusal], None] = lambda refusal: None,
    ) -> None:
        self._app = app
        self._resource = resource
        self._team_of = team_of
        self._jwts = jwts
        self._static = static
        self._refused = refused
        self._metadata = resource.metadata_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # nothing of ours speaks WebSocket, and no way in may lead past the gate
            await send({"type": "websocket.close", "code": 1008})
            return
        path: str = scope["path"]
        if path in self._metadata and scope["method"] in ("GET", "HEAD", "OPTIONS"):
            # Public, and read by web pages that are about to sign somebody in.
            headers = {"Access-Control-Allow-Origin": "*", "Cache-Control": "public, max-age=300"}
            await JSONResponse(self._resource.metadata(), headers=headers)(scope, receive, send)
            return
        try:
            principal = await self.principal_of(_bearer(scope))
        except _NoToken:
            refusal = self._resource.no_token()
        except BadToken as error:
            refusal = self._resource.bad_token(error.why)
        except NotForAnyTeam as error:
            refusal = challenges.no_team(error.why)
        except NotReady:
            refusal = challenges.not_ready("This server cannot check tokens at the moment. Try again in a moment.")
        else:
            needed = principal.lacks("storage:read")
            if not needed:
                scope.setdefault("state", {})[PRINCIPAL] = principal
                scope["headers"] = [pair for pair in scope["headers"] if pair[0] != b"authorization"]
                await self._app(scope, receive, send)
                return
            refusal = self._resource.too_little(needed)
        self._refused(refusal)
        await refusal.response(problem=path.startswith("/v1/"))(scope, receive, send)

    async def principal_of(self, token: str) -> Principal:
        """Who a token speaks for, and for which team.

        Raises:
            BadToken, NotForAnyTeam, NotReady.
        """
        if self._static is not None and token.startswith(PREFIX):
            identity = self._static.identify(token)
        elif self._jwts is not None and _JWT.fullmatch(token):
            identity = await self._jwts.identify(token)
        else:
            # One text for whatever it is: nobody learns here whether a key belongs to a team.
            raise BadToken(
                "This is no token of this server. A Paperspace API key is never taken here: the server has its own."
            )
        return Principal(identity.key, self._team_of(identity), with_implied(identity.scopes))


class _NoToken(Exception):
    """The request shows none."""


def _bearer(scope: Scope) -> str:
    """The token of the one `Authorization` header. Raises `_NoToken`, `BadToken`."""
    found: list[bytes] = [value for name, value in scope["headers"] if name == b"authorization"]
    if not found:
        raise _NoToken
    kind, _, token = found[0].decode("latin-1").partition(" ")
    if len(found) > 1 or kind.lower() != "bearer" or len(token) > _LONGEST:
        raise BadToken("One header Authorization with one bearer token is needed.")
    return token.strip()
