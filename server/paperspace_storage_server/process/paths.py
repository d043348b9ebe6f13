"""Several ASGI applications at one address, told apart by the first part of the path."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send


def below(prefix: str, app: ASGIApp, otherwise: ASGIApp) -> ASGIApp:
    """`app` at `prefix` and below it, paths unchanged; `otherwise` has all else, its start and end included."""

    async def either(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        its = scope["type"] == "http" and (path == prefix or path.startswith(prefix + "/"))
        await (app if its else otherwise)(scope, receive, send)

    return either
