"""The whole server in this process, over an API whose every request is kept and whose answers can be replaced."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Literal, cast

import httpx
from mcp import Client
from mcp.client import ClientRequestContext
from mcp.client.extension import ClientExtension
from mcp.client.session import ElicitationFnT
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult, ElicitRequestParams, ElicitResult, TextContent
from pydantic import SecretStr

from paperspace_storage_server.calls.service import Service
from paperspace_storage_server.compose import seen_by_span, seen_through
from paperspace_storage_server.guard.profiles import Profile, Profiles
from paperspace_storage_server.http.in_process import ThroughHttpx
from paperspace_storage_server.mcp.server import build_server
from paperspace_storage_server.process.telemetry import Telemetry
from paperspace_storage_server.sandbox.app import create_app
from paperspace_storage_server.settings import Settings
from paperspace_storage_server.state.store import Store
from paperspace_storage_server.wire.messages import Dialect
from paperspace_storage_tools.ports import Credentials
from support.service import service_over

Era = Literal["legacy", "auto"]
ERAS: tuple[Era, ...] = ("legacy", "auto")
URL = "http://api.localhost/v1"
API_KEY = "pK0f3a9c71d2-Wm58zeGh6"
PROFILES = {"team": ("AKIA7Q2ZLS0DFP3MCXB9", "hT6/yN2c+Gv0==9aX7bEo4")}
Replace = Callable[[httpx.Request], httpx.Response | None]


class Api(httpx.AsyncBaseTransport):
    """A sandbox of its own. `sent` is every request as `METHOD /path`; `instead` may answer before the sandbox does,
    `after` may change what the sandbox answers."""

    def __init__(self, dialect: Dialect) -> None:
        self._app = create_app(dialect, event_seconds=0.0)
        self._sandbox = httpx.ASGITransport(self._app, raise_app_exceptions=False)
        self.sent: list[str] = []
        self.instead: Replace | None = None
        self.after: Callable[[httpx.Request, httpx.Response], httpx.Response] | None = None
        self.secrets: set[str] = set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.sent.append(f"{request.method} {request.url.path.removeprefix('/v1')}")
        if self.instead is not None and (answer := self.instead(request)) is not None:
            return answer
        answer = await self._sandbox.handle_async_request(request)
        await answer.aread()
        self._collect(answer)
        return answer if self.after is None else self.after(request, answer)

    async def ask(self, method: str, path: str, body: object = None) -> Any:
        """Straight to the sandbox, as another client of the same team would."""
        headers = {"Authorization": f"Bearer {API_KEY}", "Content-Type": "application/json"}
        content = b"" if body is None else json.dumps(body).encode()
        request = httpx.Request(method, URL + path, headers=headers, content=content)
        answer = await self._sandbox.handle_async_request(request)
        await answer.aread()
        self._collect(answer)
        return answer.json() if answer.content else None

    @property
    def writes(self) -> list[str]:
        return [one for one in self.sent if not one.startswith("GET ")]

    def close(self) -> None:
        self._app.state.close()

    def _collect(self, answer: httpx.Response) -> None:
        if answer.content:
            self.secrets |= set(secrets_in(answer.json()))


def secrets_in(value: object) -> list[str]:
    """The secrets that an answer of the API holds, by the names of their fields."""
    if isinstance(value, list):
        return [secret for one in cast("list[object]", value) for secret in secrets_in(one)]
    if not isinstance(value, dict):
        return []
    found: list[str] = []
    for name, one in cast("dict[str, object]", value).items():
        if name in ("password", "accessKey", "secretAccessKey", "secretKey") and isinstance(one, str):
            found.append(one)
        else:
            found += secrets_in(one)
    return found


@dataclass(slots=True)
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass(slots=True)
class World:
    """One server, one client, one API."""

    api: Api
    service: Service
    client: Client
    ids: dict[str, str] = field(default_factory=dict[str, str])

    async def call(self, tool: str, arguments: Mapping[str, Any] | None = None) -> CallToolResult:
        return await self.client.call_tool(tool, dict(arguments or {}))

    async def text(self, tool: str, arguments: Mapping[str, Any] | None = None) -> str:
        """The answer's text, a protocol error's too."""
        try:
            return text_of(await self.call(tool, arguments))
        except MCPError as error:
            return f"protocol error {error.error.code}: {error.error.message}"


YES = ElicitResult(action="accept", content={"confirm": True})


def accepting(asked: list[str] | None = None) -> ElicitationFnT:
    async def accept(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        if asked is not None:
            asked.append(params.message)
        return YES

    return accept


def text_of(result: CallToolResult) -> str:
    return "".join(block.text for block in result.content if isinstance(block, TextContent))


def everything_in(result: CallToolResult) -> str:
    return result.model_dump_json(by_alias=True) + text_of(result)


def make(
    dialect: Dialect,
    settings: Mapping[str, Any] | None = None,
    *,
    clock: Callable[[], float] = time.monotonic,
    store: Store | None = None,
    telemetry: Telemetry | None = None,
) -> tuple[Api, Service]:
    """The server's service over an API of its own; pauses take no time."""
    api = Api(dialect)
    chosen = Settings(api_key=SecretStr(API_KEY), api_url=URL, dialect=dialect, max_attempts=2).model_copy(
        update=dict(settings or {})
    )
    profiles = Profiles(
        {
            name: Profile(Credentials(SecretStr(access), SecretStr(secret)))
            for name, (access, secret) in PROFILES.items()
        }
    )

    through = seen_through(telemetry)
    service = service_over(lambda: through(ThroughHttpx(api), URL), chosen, profiles=profiles, clock=clock, store=store)
    service.process = replace(service.process, seen=seen_by_span(telemetry))
    return api, service


@asynccontextmanager
async def world(
    dialect: Dialect,
    *,
    era: Era = "auto",
    elicit: ElicitationFnT | None = None,
    clock: Clock | None = None,
    store: Store | None = None,
    extensions: Sequence[ClientExtension] | None = None,
    prepare: Callable[[Service], None] = lambda service: None,
    telemetry: Telemetry | None = None,
    **settings: Any,
) -> AsyncGenerator[World]:
    """`extensions` are those that the client declares; `prepare` may change the service before it is served."""
    api, service = make(dialect, settings, clock=clock or time.monotonic, store=store, telemetry=telemetry)
    prepare(service)
    try:
        async with Client(
            build_server(service, telemetry), mode=era, elicitation_callback=elicit, extensions=extensions, cache=None
        ) as client:
            made = World(api, service, client)
            made.ids = await ids_of(api, dialect)
            api.sent.clear()
            api.secrets.clear()  # the server has seen none of these
            yield made
    finally:
        api.close()


async def ids_of(api: Api, dialect: Dialect) -> dict[str, str]:
    """One id and name of everything in the sample team, and an event's."""
    drives, snapshots, providers = [
        _items(await api.ask("GET", path)) for path in ("/shared-drives", "/snapshots", "/storage-providers")
    ]
    manual = next(one for one in snapshots if not str(one["name"]).startswith("Automatic"))
    network = drives[0].get("networkId") or drives[0].get("privateNetworkId")
    ids = {
        "drive": drives[0]["id"],
        "drive name": drives[0]["name"],
        "region": drives[0]["region"],
        "network": network,
        "snapshot": manual["id"],
        "snapshot name": manual["name"],
        "machine": manual["machineId"],
        "provider": providers[0]["id"],
        "provider name": providers[0]["name"],
    }
    if dialect == "live":
        made = await api.ask("POST", "/snapshots", {"machineId": manual["machineId"], "name": "for its event"})
        ids["event"] = made["event"]["id"]
    else:
        ids["event"] = "me000000000"
    return {name: str(value) for name, value in ids.items()}


def _items(answer: object) -> list[dict[str, Any]]:
    listed = cast("dict[str, object]", answer)["items"] if isinstance(answer, dict) else answer
    return cast("list[dict[str, Any]]", listed)


def arguments_of(tool: str, ids: Mapping[str, str], *, access: str, secret: str, text: str = "") -> dict[str, Any]:
    """Arguments that work in the sample team; `text` stands in every free text field."""
    note = {"name": f"made by {tool} {text}".strip()}
    keys = {"accessKey": access, "secretKey": secret, "bucket": "a-bucket", "type": "s3"}
    made: dict[str, dict[str, Any]] = {
        "list_shared_drives": {},
        "create_shared_drive": {**note, "size": 250, "region": ids["region"], "privateNetworkId": ids["network"]},
        "get_shared_drive": {"id": ids["drive"]},
        "update_shared_drive": {"id": ids["drive"], **note},
        "delete_shared_drive": {"id": ids["drive"], "confirm": ids["drive name"]},
        "list_snapshots": {"machineId": ids["machine"]},
        "create_snapshot": {"machineId": ids["machine"], **note},
        "get_snapshot": {"id": ids["snapshot"]},
        "update_snapshot": {"id": ids["snapshot"], **note},
        "delete_snapshot": {"id": ids["snapshot"], "confirm": ids["snapshot name"]},
        "restore_snapshot": {"id": ids["snapshot"], "confirm": ids["snapshot name"]},
        "list_storage_providers": {},
        "create_storage_provider": {**note, **keys},
        "get_storage_provider": {"id": ids["provider"]},
        "update_storage_provider": {"id": ids["provider"], **note, **keys},
        "delete_storage_provider": {"id": ids["provider"], "confirm": ids["provider name"]},
        "get_storage_utilization": {},
        "get_machine_event": {"id": ids["event"]},
        "list_machines": {},
        "list_private_networks": {},
    }
    assert tool in made, f"arguments_of (tests/support/guarded.py) does not know {tool}"
    return made[tool]


DESTRUCTIVE: dict[str, tuple[str, str]] = {
    "delete_shared_drive": ("drive", "shared-drives"),
    "delete_snapshot": ("snapshot", "snapshots"),
    "restore_snapshot": ("snapshot", "snapshots"),
    "delete_storage_provider": ("provider", "storage-providers"),
}
"""The destructive tools: what each destroys, and the path it is at."""
