"""The bearer token of a REST surface on loopback: made at the start, kept in a file that only its owner can read."""

from __future__ import annotations

import hmac
import os
import secrets
import sys
from pathlib import Path

from pydantic import SecretStr
from starlette.types import ASGIApp, Receive, Scope, Send

from paperspace_storage_server.rest.problems import Problem


def make_token(file: Path) -> SecretStr:
    """A new token, in `file` (0600, folder 0700 where it is made). A link there is not followed.

    Raises:
        OSError: it cannot be written.
    """
    token = SecretStr(secrets.token_urlsafe(32))
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0)
    descriptor = os.open(file, flags, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as opened:
        if sys.platform != "win32":  # not on Windows, where the folder is the user's own
            os.fchmod(descriptor, 0o600)  # it may have been there before, for all to read
        opened.write(token.get_secret_value() + "\n")
    return token


class NeedsToken:
    """ASGI: lets in who shows the one token."""

    def __init__(self, app: ASGIApp, token: SecretStr) -> None:
        self._app = app
        self._wanted = f"bearer {token.get_secret_value()}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given: list[bytes] = [value for name, value in scope["headers"] if name == b"authorization"]
        kind, _, token = given[0].partition(b" ") if len(given) == 1 else (b"", b"", b"")
        if hmac.compare_digest(kind.lower() + b" " + token.strip(), self._wanted):
            await self._app(scope, receive, send)
            return
        problem = Problem(
            401,
            "not-authenticated",
            "Send `Authorization: Bearer TOKEN`. The token of this server stands in the file that it named when it "
            "started; a Paperspace API key is never taken here.",
            headers={"WWW-Authenticate": "Bearer"},
        )
        await problem.response()(scope, receive, send)
