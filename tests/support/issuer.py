"""`oidc-provider` as an issuer of its own, and a person who signs in at it through its pages."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx2
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm
from mcp.client.auth import OAuthClientProvider, TokenStorage
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthClientMetadata, OAuthToken
from pydantic import AnyUrl

from support.clients import Clients
from support.servers import free_port

CALLBACK = "http://127.0.0.1:1/callback"
CLIENT_DOCUMENT = "https://client.example.com/metadata.json"


class IssuerProcess:
    """The process, and the keys that it signs with."""

    def __init__(
        self, clients: Clients, resources: Sequence[str], token_seconds: int = 600, callback: str | None = None
    ) -> None:
        self._folder = clients.folder
        self._port = free_port()
        self._resources = resources
        self._environment = {"TOKEN_SECONDS": str(token_seconds), "PATH": "/usr/bin:/bin"}
        if callback is not None:
            self._environment["WEB_CALLBACK"] = callback  # of the client `paperspace-mcp`
        self._process: subprocess.Popen[str] | None = None
        self._kids = 0
        self.url = f"http://127.0.0.1:{self._port}"
        self.rotate()

    def rotate(self) -> None:
        """New keys, from the next start on."""
        self._kids += 1
        jwk = json.loads(ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1())))
        jwk.pop("key_ops", None)
        jwk.update(kid=f"k{self._kids}", use="sig", alg="ES256")
        self._keys.write_text(json.dumps({"keys": [jwk]}), encoding="utf-8")

    @property
    def _keys(self) -> Path:
        return self._folder / f"keys-{self._port}.json"

    def start(self) -> None:
        node = next((self._folder / "node_modules").glob("node-*/bin/node"))
        self._process = subprocess.Popen(
            [str(node), "issuer.mjs", str(self._port), str(self._keys), *self._resources],
            cwd=self._folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline().strip() == self.url

    def end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


@contextmanager
def issuing(
    clients: Clients, *resources: str, token_seconds: int = 600, callback: str | None = None
) -> Generator[IssuerProcess]:
    process = IssuerProcess(clients, resources, token_seconds, callback)
    process.start()
    try:
        yield process
    finally:
        process.end()


@dataclass
class Kept(TokenStorage):
    """What a client keeps between two starts."""

    tokens: OAuthToken | None = None
    client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


@dataclass
class Person:
    """Somebody with a browser: signs in under their name and says yes. `asked` is each authorization request."""

    name: str
    kept: Kept = field(default_factory=Kept)
    asked: list[dict[str, list[str]]] = field(default_factory=list[dict[str, list[str]]])
    _answer: AuthorizationCodeResult | None = None

    def signing_in(self, server: str, *, by_document: bool = False) -> OAuthClientProvider:
        """The official client's way to a token: by registration, or as the client of a metadata document."""
        metadata = OAuthClientMetadata(
            client_name="A client that registers",
            redirect_uris=[AnyUrl(CALLBACK)],
            grant_types=["authorization_code", "refresh_token"],
            response_types=["code"],
            token_endpoint_auth_method="none",
            application_type="native",
        )
        return OAuthClientProvider(
            server,
            metadata,
            self.kept,
            redirect_handler=self._browse,
            callback_handler=self._come_back,
            client_metadata_url=CLIENT_DOCUMENT if by_document else None,
        )

    async def _browse(self, url: str) -> None:
        self.asked.append(parse_qs(urlsplit(url).query))
        async with httpx2.AsyncClient(follow_redirects=False) as browser:
            answer = await browser.get(url)
            for _ in range(20):
                if answer.status_code in (302, 303):
                    where = urljoin(str(answer.request.url), answer.headers["location"])
                    if where.startswith(CALLBACK):
                        given = {name: values[0] for name, values in parse_qs(urlsplit(where).query).items()}
                        assert "code" in given, given
                        self._answer = AuthorizationCodeResult(
                            code=given["code"], state=given.get("state"), iss=given.get("iss")
                        )
                        return
                    answer = await browser.get(where)
                else:
                    page = answer.text
                    form = re.search(r'<form[^>]*action="([^"]+)"', page)
                    assert form, page[:2000]
                    data = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page))
                    if 'name="login"' in page:
                        data |= {"login": self.name, "password": "any"}
                    answer = await browser.post(urljoin(str(answer.request.url), form[1]), data=data)
        raise AssertionError("the pages have no end")

    async def _come_back(self) -> AuthorizationCodeResult:
        assert self._answer is not None
        answer, self._answer = self._answer, None
        return answer
