"""The gate before the surfaces: who gets through, as whom, and what the others are told."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncGenerator, Callable
from typing import Any

import httpx
import pytest
from starlette.types import Message, Receive, Scope, Send

from hosted.issuing import ISSUER, RESOURCE, Web, claims, pair
from paperspace_storage_server.calls.principal import Principal, principal_in, scope_of, with_implied
from paperspace_storage_server.hosted.authenticate import Authenticate
from paperspace_storage_server.hosted.challenges import Refusal, Resource
from paperspace_storage_server.hosted.identity import Identity, NotForAnyTeam, NotReady
from paperspace_storage_server.hosted.issuer import Issuer
from paperspace_storage_server.hosted.jwt_tokens import JwtTokens
from paperspace_storage_server.hosted.static_tokens import ByHash, StaticToken, StaticTokens, hash_of
from paperspace_storage_tools.catalogue import CATALOGUE

pytestmark = pytest.mark.anyio
OURS = pair()
STATIC = "psmcp_" + "s" * 43
METADATA = "https://mcp.example.com/.well-known/oauth-protected-resource/mcp"


class Surface:
    """What stands behind the gate: it notes who comes, and with which headers."""

    def __init__(self) -> None:
        self.seen: list[Principal | None] = []
        self.headers: list[list[tuple[bytes, bytes]]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.seen.append(principal_in(scope))
        self.headers.append(list(scope["headers"]))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"in"})


class Fixed:
    """A tokens file that never changes."""

    def __init__(self, tokens: ByHash) -> None:
        self.now = tokens


def team_of(identity: Identity) -> str:
    if identity.subject == "stranger":
        raise NotForAnyTeam("You are in no team of this server. Ask its operator to let you in.")
    if identity.subject == "unlucky":
        raise NotReady("teams.toml: it is gone")
    return "research"


class Gate:
    def __init__(self, app: Authenticate, surface: Surface, refused: list[Refusal]) -> None:
        self.app = app
        self.surface = surface
        self.refused = refused
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://mcp.example.com")

    async def get(self, *authorization: str, path: str = "/mcp") -> httpx.Response:
        return await self.client.get(path, headers=[("Authorization", one) for one in authorization])


@pytest.fixture
async def gate() -> AsyncGenerator[Gate]:
    web = Web()
    web.publish(OURS)
    issuer = Issuer(ISSUER, web.fetch)
    await issuer.discover()
    token = StaticToken(name="ci", team="research", scopes=["storage:destroy"], created=1, sha256=hash_of(STATIC))
    fixed: Any = Fixed({token.sha256: token})
    surface, refused = Surface(), list[Refusal]()
    app = Authenticate(
        surface,
        Resource(RESOURCE, ISSUER),
        team_of,
        jwts=JwtTokens(issuer, audiences=[RESOURCE]),
        static=StaticTokens(fixed),
        refused=refused.append,
    )
    one = Gate(app, surface, refused)
    async with one.client:
        yield one


async def test_a_good_token_goes_on_as_its_principal_and_goes_no_further_itself(gate: Gate) -> None:
    token = OURS.token(claims())
    for authorization in (f"Bearer {token}", f"bearer {token}", f"Bearer {STATIC}"):
        assert (await gate.get(authorization)).text == "in"
    anna = Principal(f"{ISSUER} anna", "research", frozenset({"storage:read", "storage:write"}))
    ci = Principal("token ci", "research", frozenset({"storage:read", "storage:write", "storage:destroy"}))
    assert gate.surface.seen == [anna, anna, ci]
    assert not any(name == b"authorization" for headers in gate.surface.headers for name, _ in headers)
    assert gate.refused == []


async def test_without_a_token_the_challenge_says_where_to_get_one(gate: Gate) -> None:
    answer = await gate.get()
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == f'Bearer scope="storage:read", resource_metadata="{METADATA}"'
    assert answer.json() == {"error": "invalid_token", "error_description": "A bearer token is needed."}
    assert answer.headers["Cache-Control"] == "no-store"
    assert gate.surface.seen == []


@pytest.mark.parametrize(
    ("authorization", "why"),
    [
        (lambda: ("Bearer " + OURS.token(claims(exp=int(time.time()) - 1)),), "the token has expired"),
        (
            lambda: ("Bearer " + OURS.token(claims(aud="https://other.example.com")),),
            "the token was not made for this server",
        ),
        (lambda: ("Bearer " + pair(number=1).token(claims()),), "the token's signature is not the issuer's"),
        (lambda: ("Bearer psmcp_" + "x" * 43,), "the token is not known; it may have been revoked"),
        (lambda: ("Bearer " + OURS.token(claims()), "Bearer " + OURS.token(claims())), "One header Authorization"),
        (lambda: ("Basic YTpi",), "One header Authorization"),
        (lambda: ("Bearer",), "This is no token of this server"),
        (lambda: ("Bearer a.b.c.d",), "This is no token of this server"),
        (lambda: ("Bearer " + "x" * 40_000,), "One header Authorization"),
        (lambda: ("Token " + OURS.token(claims()),), "One header Authorization"),
    ],
)
async def test_a_bad_token_is_told_why_and_asked_for_a_better_one(
    authorization: Callable[[], tuple[str, ...]], why: str, gate: Gate
) -> None:
    answer = await gate.get(*authorization())
    assert answer.status_code == 401
    challenge = answer.headers["WWW-Authenticate"]
    assert challenge.startswith(f'Bearer error="invalid_token", error_description="{why}')
    assert challenge.endswith(f', scope="storage:read", resource_metadata="{METADATA}"')
    assert gate.surface.seen == []
    assert [refusal.status for refusal in gate.refused] == [401]


async def test_a_paperspace_key_is_never_taken_whether_or_not_a_team_has_it(gate: Gate) -> None:
    answers = [await gate.get(f"Bearer {key}") for key in ("f00d" * 8, "0123456789abcdef0123456789abcdef")]
    assert [answer.status_code for answer in answers] == [401, 401]
    assert answers[0].content == answers[1].content
    assert "A Paperspace API key is never taken here" in answers[0].text
    assert answers[0].headers["WWW-Authenticate"] == answers[1].headers["WWW-Authenticate"]


async def test_a_token_without_a_scope_of_ours_is_asked_to_step_up(gate: Gate) -> None:
    for scope in ("openid profile", None, "STORAGE:READ", "storage:read:all"):
        answer = await gate.get("Bearer " + OURS.token(claims(scope=scope, jti=str(scope))))
        assert answer.status_code == 403
        assert answer.headers["WWW-Authenticate"] == (
            'Bearer error="insufficient_scope", error_description="This needs the scope storage:read.", '
            f'scope="storage:read", resource_metadata="{METADATA}"'
        )


async def test_who_has_no_team_is_refused_without_a_challenge_and_without_a_name(gate: Gate) -> None:
    answer = await gate.get("Bearer " + OURS.token(claims(sub="stranger")))
    assert (answer.status_code, "WWW-Authenticate" in answer.headers) == (403, False)
    assert answer.json()["error_description"] == "You are in no team of this server. Ask its operator to let you in."


async def test_when_nobody_can_be_told_apart_it_is_said_to_be_ours(gate: Gate) -> None:
    answer = await gate.get("Bearer " + OURS.token(claims(sub="unlucky")))
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert "teams.toml" not in answer.text


async def test_a_program_of_the_rest_surface_gets_problem_details(gate: Gate) -> None:
    answer = await gate.get(path="/v1/shared-drives")
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json() == {
        "type": "urn:paperspace-storage-mcp:invalid-token",
        "title": "Not authenticated",
        "status": 401,
        "detail": "A bearer token is needed.",
    }
    assert answer.headers["WWW-Authenticate"].startswith("Bearer ")


async def test_the_metadata_needs_no_token_and_says_what_was_set_character_by_character(gate: Gate) -> None:
    for path in ("/.well-known/oauth-protected-resource/mcp", "/.well-known/oauth-protected-resource"):
        answer = await gate.get(path=path)
        assert answer.json() == {
            "resource": RESOURCE,
            "authorization_servers": [ISSUER],
            "scopes_supported": ["storage:read", "storage:write", "storage:destroy"],
            "bearer_methods_supported": ["header"],
            "resource_name": "Paperspace Storage",
        }
    assert gate.surface.seen == []
    assert (await gate.client.post("/.well-known/oauth-protected-resource")).status_code == 401


async def test_no_other_protocol_leads_past_the_gate(gate: Gate) -> None:
    said: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        said.append(message)

    token = OURS.token(claims()).encode()
    scope: Scope = {"type": "websocket", "path": "/mcp", "headers": [(b"authorization", b"Bearer " + token)]}
    await gate.app(scope, receive, send)
    assert said == [{"type": "websocket.close", "code": 1008}]
    assert gate.surface.seen == []


async def test_without_an_issuer_no_metadata_is_promised() -> None:
    surface = Surface()
    app = Authenticate(surface, Resource(RESOURCE, None), team_of, jwts=None, static=None)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://mcp.example.com") as client:
        answer = await client.get("/.well-known/oauth-protected-resource/mcp")
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == 'Bearer scope="storage:read"'
        jwt = await client.get("/mcp", headers={"Authorization": "Bearer " + OURS.token(claims())})
        assert "This is no token of this server" in jwt.text


def test_scopes_imply_each_other() -> None:
    assert with_implied(["storage:destroy"]) == {"storage:read", "storage:write", "storage:destroy"}
    assert with_implied(["storage:write", "other"]) == {"storage:read", "storage:write"}
    assert with_implied(["storage:read"]) == {"storage:read"}
    assert with_implied(["storage:*", "storage"]) == frozenset()
    reader = Principal("k", "t", with_implied(["storage:read"]))
    assert reader.lacks("storage:read") == []
    assert reader.lacks("storage:destroy") == ["storage:write", "storage:destroy"]
    assert Principal("k", "t", frozenset()).lacks("storage:write") == ["storage:read", "storage:write"]


def test_each_tool_needs_the_scope_of_what_it_can_do() -> None:
    needed = {tool.name: scope_of(tool) for tool in CATALOGUE}
    assert {name for name, scope in needed.items() if scope == "storage:destroy"} == {
        "delete_shared_drive",
        "delete_snapshot",
        "restore_snapshot",
        "delete_storage_provider",
        "update_storage_provider",
    }
    for tool in CATALOGUE:
        assert (needed[tool.name] == "storage:read") == (tool.kind == "read")


def test_what_a_challenge_quotes_can_break_out_of_no_quotes() -> None:
    header = (
        Resource(RESOURCE, ISSUER).bad_token('a", scope="storage:destroy\r\nSet-Cookie: x').headers["WWW-Authenticate"]
    )
    assert re.fullmatch(r'Bearer (\w+="[^"\\\r\n]*"(, )?)+', header)
    assert header.count('scope="') == 1
