"""REST as the command serves it, over HTTP, with a sandbox of either dialect behind it as a process of its own."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from paperspace_storage_server.wire.messages import Dialect
from support.servers import quick_sandbox, sandbox, server

KEY = "pK0f3a9c71d2-Wm58zeGh6"
SERVE = ["serve", "--transport", "streamable-http", "--port", "0", "--surfaces", "rest"]


@dataclass(frozen=True, slots=True)
class Served:
    """Where it is, with `/v1`; its token; and the API behind it, with its `/v1`."""

    url: str
    token: str
    api: str

    def client(self) -> httpx.Client:
        """Of the REST surface."""
        return httpx.Client(
            base_url=self.url, headers={"Authorization": f"Bearer {self.token}"}, trust_env=False, timeout=60
        )

    def behind(self) -> httpx.Client:
        """Straight to the API, as another program of the same team."""
        return httpx.Client(base_url=self.api, headers={"Authorization": f"Bearer {KEY}"}, trust_env=False, timeout=60)


@contextmanager
def served(
    folder: Path, dialect: Dialect, settings: Mapping[str, str] | None = None, *, quick: bool = False
) -> Generator[Served]:
    """`folder` keeps the token and what local processes share; the dialect is found out, as by default.

    `quick`: what the API does in the background has ended as soon as it has answered.
    """
    with quick_sandbox() if quick and dialect == "live" else sandbox("--dialect", dialect) as api:
        mine = {
            "HOME": str(folder),
            "PAPERSPACE_API_KEY": KEY,
            "PAPERSPACE_API_URL": api,
            "PAPERSPACE_MCP_REST_TOKEN_FILE": str(folder / "token"),
            **(settings or {}),
        }
        with server(SERVE, mine) as one:
            yield Served(f"{one.address}/v1", (folder / "token").read_text().strip(), api)
