"""People with browsers at the page where keys are handed in, and the issuer's side of signing in."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
from pydantic import SecretStr
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from hosted.issuing import ISSUER, SigningPair, pair
from paperspace_storage_server.api.upstream import Upstream
from paperspace_storage_server.hosting.connecting import Connect
from paperspace_storage_server.http.client import Http
from paperspace_storage_server.http.fetch import NotFetched
from paperspace_storage_server.http.in_process import ThroughHttpx
from paperspace_storage_server.http.transport import Through, Transport
from paperspace_storage_server.sandbox.app import create_app
from paperspace_storage_server.settings import Settings
from support.hosted_server import Era, HostedWorld, hosted_world, result, structured

AUTHORIZE = f"{ISSUER}/authorize"
TOKEN = f"{ISSUER}/token"
CLIENT_ID, SECRET = "paperspace-mcp", "our+own secret"
PAGE = "https://mcp.example.com/mcp/connect"
ORIGIN = "https://mcp.example.com"
KEY, OTHER = "key-of-carla-0123456789", "key-of-dora-0123456789"
URL_MODE: dict[str, Any] = {"elicitation": {"url": {}}}
"""What a client declares that can open a page."""
ENDPOINTS: dict[str, object] = {
    "authorization_endpoint": AUTHORIZE,
    "token_endpoint": TOKEN,
    "authorization_response_iss_parameter_supported": True,
    "scopes_supported": ["openid", "email"],
}


@dataclass
class SignInPage:
    """The issuer's authorization and token endpoints. `forged` changes an ID token: its claims, header or key."""

    signing: SigningPair
    asked: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    posted: list[tuple[dict[str, str], dict[str, str]]] = field(
        default_factory=list[tuple[dict[str, str], dict[str, str]]]
    )
    claims: dict[str, Any] = field(default_factory=dict[str, Any])
    header: dict[str, Any] = field(default_factory=dict[str, Any])
    by: SigningPair | None = None
    away: bool = False
    way: Literal["client_secret_basic", "client_secret_post", "none"] = "client_secret_basic"
    """How our client shows that it is ours."""
    _codes: dict[str, tuple[str, dict[str, str]]] = field(default_factory=dict[str, tuple[str, dict[str, str]]])

    def sign_in(self, url: str, subject: str) -> str:
        """Somebody signs in there; where their browser is sent back to."""
        assert url.startswith(f"{AUTHORIZE}?"), url
        asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        self.asked.append(asked)
        assert asked["client_id"] == CLIENT_ID
        assert asked["response_type"] == "code"
        code = secrets.token_urlsafe(16)
        self._codes[code] = (subject, asked)
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state'], 'iss': ISSUER})}"

    async def post(self, url: str, fields: Mapping[str, str], headers: Mapping[str, str]) -> dict[str, object]:
        """The token endpoint: a code counts once, with its verifier and our own secret."""
        if self.away:
            raise NotFetched("it answers 503")
        assert url == TOKEN
        self.posted.append((dict(fields), dict(headers)))
        pair = base64.b64encode(b"paperspace-mcp:our%2Bown%20secret").decode()
        shown = headers.get("Authorization"), fields.get("client_id"), fields.get("client_secret")
        expected = {
            "client_secret_basic": (f"Basic {pair}", None, None),
            "client_secret_post": (None, CLIENT_ID, SECRET),
            "none": (None, CLIENT_ID, None),
        }
        if shown != expected[self.way] or fields["code"] not in self._codes:
            raise NotFetched("it answers 400")
        subject, asked = self._codes.pop(fields["code"])
        challenge = base64.urlsafe_b64encode(hashlib.sha256(fields["code_verifier"].encode()).digest())
        assert challenge.decode().rstrip("=") == asked["code_challenge"]
        assert fields["redirect_uri"] == asked["redirect_uri"]
        now = int(time.time())
        good = {
            "iss": ISSUER,
            "aud": CLIENT_ID,
            "sub": subject,
            "iat": now,
            "exp": now + 300,
            "nonce": asked["nonce"],
            "email": f"{subject}@example.com",
            "email_verified": True,
        }
        claims = {name: value for name, value in {**good, **self.claims}.items() if value is not None}
        token = (self.by or self.signing).token(claims, **{"typ": "JWT", **self.header})
        return {"access_token": "x", "token_type": "Bearer", "id_token": token}


@dataclass
class Browser:
    """One person's browser: cookies, redirects, forms as the page has them."""

    client: httpx.AsyncClient
    issuer: SignInPage
    subject: str = "carla"
    cookies: dict[str, str] = field(default_factory=dict[str, str])
    sent_to: list[str] = field(default_factory=list[str])
    page: httpx.Response | None = None

    @property
    def page_text(self) -> str:
        assert self.page is not None
        return self.page.text

    async def get(self, url: str, **headers: str) -> httpx.Response:
        """Follow redirects within the server; the issuer lets the person in at once."""
        for _ in range(8):
            answer = await self.once("GET", url, headers=headers)
            if answer.status_code not in (303, 308):
                self.page = answer
                return answer
            url = answer.headers["location"]
            self.sent_to.append(url)
            if url.startswith(ISSUER):
                url = self.issuer.sign_in(url, self.subject)
        raise AssertionError("the redirects have no end")

    async def once(self, method: str, url: str, **more: Any) -> httpx.Response:
        """One request, and what it does to the cookies."""
        headers = dict(more.pop("headers", {}))
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        self.client.cookies.clear()  # else all browsers would share them
        answer = await self.client.request(method, url, headers=headers, follow_redirects=False, **more)
        for line in answer.headers.get_list("set-cookie"):
            name, _, rest = line.partition("=")
            value = rest.partition(";")[0].strip('"')
            if value:
                self.cookies[name] = value
            else:
                self.cookies.pop(name, None)
        return answer

    async def send(self, action: str, **fields: str) -> httpx.Response:
        """The page's own form, with its hidden field, and what comes of it."""
        assert self.page is not None
        found = re.search(r'name="csrf" value="([^"]+)"', self.page.text)
        assert found, self.page.text
        answer = await self.post({"csrf": found[1], "action": action, **fields})
        if answer.status_code == 303:
            return await self.get(answer.headers["location"])
        self.page = answer
        return answer

    async def post(self, fields: Mapping[str, str], **headers: str) -> httpx.Response:
        return await self.once("POST", PAGE, data=dict(fields), headers={"Origin": ORIGIN, **headers})


@dataclass
class Api:
    """The emulated API in this process: which keys it was asked with, which it refuses, what it calls their teams."""

    sandbox: ASGIApp = field(default_factory=lambda: create_app("live"))
    keys: list[str] = field(default_factory=list[str])
    methods: list[str] = field(default_factory=list[str])
    names: dict[str, str] = field(default_factory=dict[str, str])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        key = Headers(scope=scope)["authorization"].removeprefix("Bearer ")
        self.keys.append(key)
        self.methods.append(scope["method"])
        status = 401 if "refused" in key else 500 if "broken" in key else 0
        if status:
            words = {"code": "NO", "message": f"The key {key} is not known here."}
            await JSONResponse(words, status)(scope, receive, send)
        elif scope["path"].endswith("/auth/session") and key in self.names:
            team = {"id": "te1", "namespace": self.names[key], "isPrivate": True}
            await JSONResponse({"team": team})(scope, receive, send)
        else:
            await self.sandbox(scope, receive, send)

    def open_upstream(self, settings: Settings, *, through: Through) -> Upstream:
        """As `compose.open_upstream`, without a network and without pauses between tries."""

        async def at_once(seconds: float) -> None:
            return None

        def transport() -> Transport:
            return through(ThroughHttpx.to(self), settings.api_url)

        http = Http(settings.api_url, settings.api_key, transport, sleep=at_once)
        return Upstream(http, settings.dialect)


@dataclass
class ConnectWorld:
    """A hosted server with connect, the issuer's pages, the API, and whoever opens the page."""

    world: HostedWorld
    issuer: SignInPage
    api: Api

    def browser(self, subject: str = "carla") -> Browser:
        return Browser(self.world.client, self.issuer, subject)

    async def handed_in(self, subject: str, key: str) -> Browser:
        browser = self.browser(subject)
        await browser.get(PAGE)
        answer = await browser.send("connect", key=key)
        assert answer.status_code == 200, answer.text
        return browser

    async def ask(self, era: Era, subject: str = "carla", **more: Any) -> httpx.Response:
        """A call of a person's agent whose client can open a page."""
        self.world.capabilities = URL_MODE
        token = self.world.token(subject)
        if era == "legacy" and token not in self.world.sessions:
            await self.world.begin(token)
        return await self.world.rpc(era, token, "tools/call", {"name": "list_shared_drives", "arguments": {}, **more})

    async def link(self, era: Era = "modern", subject: str = "carla") -> str:
        """The page for one person, as their agent is given it."""
        message = result(await self.ask(era, subject))
        if era == "modern":
            asked = message["result"]["inputRequests"]["connect"]["params"]
        else:
            asked = message["error"]["data"]["elicitations"][0]
        url: str = asked["url"]
        return url

    async def drives(self, subject: str, era: Era = "modern") -> list[dict[str, Any]]:
        answer = await self.world.call(era, self.world.token(subject), "list_shared_drives")
        items: list[dict[str, Any]] = structured(answer)["items"]
        return items

    @property
    def connecting(self) -> Connect:
        assert self.world.hosted.connecting is not None
        return self.world.hosted.connecting


@asynccontextmanager
async def connect_world(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    api: Api | None = None,
    endpoints: Mapping[str, object] = ENDPOINTS,
    **settings: Any,
) -> AsyncGenerator[ConnectWorld]:
    """`settings` beside those that connect needs; `endpoints` is what the issuer's metadata says of signing in."""
    api = api or Api()
    issuer = SignInPage(pair())
    monkeypatch.setattr("paperspace_storage_server.hosting.making.open_upstream", api.open_upstream)
    monkeypatch.setattr("paperspace_storage_server.hosting.server.post_form", issuer.post)
    given: dict[str, Any] = {
        "connect": True,
        "oidc_client_id": CLIENT_ID,
        "oidc_client_secret": SecretStr(SECRET),
        "state_keys": ["01" * 32],
        "sandbox": False,
        "dialect": "live",
        **settings,
    }
    async with hosted_world(folder, monkeypatch, endpoints=endpoints, **given) as world:
        yield ConnectWorld(world, issuer, api)
