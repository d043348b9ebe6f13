"""Signing in at a real issuer with the official client: registered or known by its document, in both eras; stepping
up, refreshing, and what a person without a team is told. Needs npm for oidc-provider."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx2
import jwt
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from paperspace_storage_server.hosted.issuer import AT_MOST_EVERY
from support.clients import Clients, install
from support.issuer import CLIENT_DOCUMENT, IssuerProcess, Person, issuing
from support.processes import ERAS, Era
from support.servers import free_port, sandbox, server, wait_for
from support.stdio_server import ROOT

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
TEAMS = """
[teams.research]
api-key-env = "RESEARCH_KEY"
members.groups = ["research"]

[teams.ops]
api-key-env = "OPS_KEY"
members.groups = ["ops"]
"""
PING = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
ACCEPT = {"Accept": "application/json, text/event-stream"}
KEYS = {"RESEARCH_KEY": "key-of-research-0123456789", "OPS_KEY": "key-of-ops-0123456789"}


@pytest.fixture(scope="module")
def packages() -> Generator[Clients]:
    with TemporaryDirectory(prefix="issuer-") as folder:
        yield install(Path(folder), ROOT / "tests" / "hosted" / "issuer")


@pytest.fixture(scope="module")
def served(packages: Clients) -> Generator[tuple[str, IssuerProcess]]:
    """The endpoint of a hosted server, and its issuer."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/mcp"
    with issuing(packages, url) as issuer, sandbox() as api, TemporaryDirectory(prefix="home-") as home:
        teams = Path(home) / "teams.toml"
        teams.write_text(TEAMS, encoding="utf-8")
        settings = {
            **KEYS,
            "HOME": home,
            "PAPERSPACE_API_URL": api,
            "PAPERSPACE_MCP_PUBLIC_URL": url,
            "PAPERSPACE_MCP_AUTH_ISSUER": issuer.url,
            "PAPERSPACE_MCP_TEAMS_FILE": str(teams),
        }
        with server(["serve", "--transport", "streamable-http", "--port", str(port)], settings):
            wait_for(f"http://127.0.0.1:{port}/readyz")
            yield url, issuer


@asynccontextmanager
async def connected(url: str, person: Person, era: Era, *, by_document: bool = False) -> AsyncGenerator[Client]:
    auth = person.signing_in(url, by_document=by_document)
    async with (
        httpx2.AsyncClient(auth=auth, timeout=30) as http,
        Client(streamable_http_client(url, http_client=http), mode=era) as client,
    ):
        yield client


async def call(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    answer = await client.call_tool(tool, arguments)
    assert not answer.is_error, answer
    return dict(answer.structured_content or {})


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("by_document", [False, True], ids=["registered", "by its document"])
async def test_a_person_signs_in_reads_and_steps_up_to_delete(
    era: Era, by_document: bool, served: tuple[str, IssuerProcess]
) -> None:
    url, issuer = served
    anna = Person("anna")
    async with connected(url, anna, era, by_document=by_document) as client:
        drives = (await call(client, "list_shared_drives"))["items"]
        assert len(anna.asked) == 1
        asked = anna.asked[0]
        assert asked["resource"] == [url]
        assert "storage:destroy" not in asked["scope"][0].split()
        assert (asked["client_id"] == [CLIENT_DOCUMENT]) == by_document
        assert anna.kept.tokens is not None
        claims = jwt.decode(anna.kept.tokens.access_token, options={"verify_signature": False})
        assert (claims["iss"], claims["aud"], claims["sub"]) == (issuer.url, url, "anna")

        deleted = await call(client, "delete_shared_drive", id=drives[0]["id"], confirm=drives[0]["name"])
        assert deleted["deleted"] is True
        assert len(anna.asked) == 2
        assert {"storage:read", "storage:write", "storage:destroy"} <= set(anna.asked[1]["scope"][0].split())
        assert drives[0]["id"] not in json.dumps(await call(client, "list_shared_drives"))
        assert len(anna.asked) == 2


@pytest.mark.parametrize("era", ERAS)
async def test_two_teams_do_not_see_each_other(era: Era, served: tuple[str, IssuerProcess]) -> None:
    url, _ = served
    async with connected(url, Person("anna"), era) as anna, connected(url, Person("ben"), era) as ben:
        annas = (await call(anna, "list_shared_drives"))["items"]
        bens = (await call(ben, "list_shared_drives"))["items"]
        assert not {drive["id"] for drive in annas} & {drive["id"] for drive in bens}
        refused = await ben.call_tool("get_shared_drive", {"id": annas[0]["id"]})
        assert refused.is_error


async def test_a_token_that_expires_is_renewed_without_asking_the_person(packages: Clients) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}/mcp"
    with issuing(packages, url, token_seconds=2) as issuer, TemporaryDirectory(prefix="home-") as home:
        settings = {
            "HOME": home,
            "PAPERSPACE_MCP_PUBLIC_URL": url,
            "PAPERSPACE_MCP_AUTH_ISSUER": issuer.url,
            "PAPERSPACE_MCP_OPEN_TO_ISSUER": "true",
        }
        with server(["serve", "--sandbox", "--transport", "streamable-http", "--port", str(port)], settings):
            wait_for(f"http://127.0.0.1:{port}/readyz")
            anna = Person("anna")
            async with connected(url, anna, "auto") as client:
                await call(client, "list_shared_drives")
                first = anna.kept.tokens
                assert first is not None
                assert first.refresh_token is not None
                until = jwt.decode(first.access_token, options={"verify_signature": False})["exp"]
                await _after(until + 1)  # the client counts from when it got it
                await call(client, "list_shared_drives")
                assert anna.kept.tokens is not None
                assert anna.kept.tokens.access_token != first.access_token
                assert len(anna.asked) == 1


async def _after(seconds: float) -> None:
    """Until the clock of this machine says so: a token's life cannot be shortened afterwards."""
    while time.time() <= seconds:  # noqa: ASYNC110 - a clock has no event
        await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("nobody", "You are in no team of this server. Ask its operator to let you in."),
        ("both", "You are in more than one team of this server."),
    ],
)
async def test_who_has_no_team_of_their_own_is_told_so_after_signing_in(
    name: str, told: str, served: tuple[str, IssuerProcess]
) -> None:
    url, _ = served
    person = Person(name)
    auth = person.signing_in(url)
    async with httpx2.AsyncClient(auth=auth, timeout=30) as http:
        answer = await http.post(url, json=PING, headers=ACCEPT)
        assert answer.status_code == 403
        assert told in answer.json()["error_description"]
        assert "research" not in answer.text
        assert len(person.asked) == 1


async def test_keys_that_the_issuer_has_changed_are_taken_and_the_old_ones_tokens_are_not(packages: Clients) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}/mcp"
    with issuing(packages, url) as issuer, TemporaryDirectory(prefix="home-") as home:
        settings = {
            "HOME": home,
            "PAPERSPACE_MCP_PUBLIC_URL": url,
            "PAPERSPACE_MCP_AUTH_ISSUER": issuer.url,
            "PAPERSPACE_MCP_OPEN_TO_ISSUER": "true",
        }
        with server(["serve", "--sandbox", "--transport", "streamable-http", "--port", str(port)], settings):
            wait_for(f"http://127.0.0.1:{port}/readyz")
            anna = Person("anna")
            async with connected(url, anna, "auto") as client:
                await call(client, "list_shared_drives")
                issuer.end()
                await call(client, "list_shared_drives")  # with the issuer away the last keys go on
                issuer.rotate()
                issuer.start()
            assert anna.kept.tokens is not None
            old = anna.kept.tokens.access_token
            async with httpx2.AsyncClient(auth=(ben := Person("ben")).signing_in(url), timeout=30) as http:
                await http.post(url, json=PING, headers=ACCEPT)  # the new key may not be known yet
            assert ben.kept.tokens is not None
            async with httpx2.AsyncClient(headers=ACCEPT) as http:

                async def status(token: str) -> int:
                    return (await http.post(url, json=PING, headers={"Authorization": f"Bearer {token}"})).status_code

                until = time.monotonic() + AT_MOST_EVERY + 2
                while await status(ben.kept.tokens.access_token) == 401:
                    assert time.monotonic() < until
                    await asyncio.sleep(0.2)
                assert await status(old) == 401
