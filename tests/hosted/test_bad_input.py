"""What an operator or a caller gets wrong, as both meet it: a start that ends with 2 and one line, or a refusal that
says what to do and lets nobody in."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast

import pytest

from paperspace_storage_server.hosted import static_tokens
from support.hosted_server import hosted_world
from support.servers import free_port, sandbox, server, status, wait_for
from support.small_issuer import SmallIssuer, small_issuer
from support.stdio_server import environment
from support.two_teams import ERAS, Client, Visitor, structured

SECRET = "key-of-research-0123456789"
TEAM = '[teams.research]\napi-key-env = "RESEARCH_KEY"\nmembers.subjects = ["anna"]\n'


@pytest.fixture(scope="module")
def issuer() -> Generator[SmallIssuer]:
    with small_issuer() as one:
        yield one


def start(folder: Path, teams: str | None, **settings: str) -> subprocess.CompletedProcess[str]:
    """The command, until it ends by itself."""
    named = {f"PAPERSPACE_MCP_{name.upper()}": value for name, value in settings.items()}
    if teams is not None:
        (folder / "teams.toml").write_text(teams, encoding="utf-8")
        named["PAPERSPACE_MCP_TEAMS_FILE"] = str(folder / "teams.toml")
    return subprocess.run(
        [sys.executable, "-m", "paperspace_storage_server", "serve", "--transport", "streamable-http", "--port", "0"],
        env={**environment(), "HOME": str(folder), "RESEARCH_KEY": SECRET, **named},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


PUBLIC = "https://mcp.example.com/mcp"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("given", "teams", "line"),
    [
        ({"auth_issuer": "{url}/other", "public_url": PUBLIC}, TEAM, "names another issuer"),
        ({"auth_issuer": "{url}/moved", "public_url": PUBLIC}, TEAM, "redirects; name the issuer that it leads to"),
        ({"auth_issuer": "{url}/nothing", "public_url": PUBLIC}, TEAM, "it publishes no metadata"),
        ({"auth_issuer": "{url}", "public_url": PUBLIC}, TEAM + "colour = 1\n", "colour: not known there"),
        ({"auth_issuer": "{url}", "public_url": PUBLIC}, "[teams.research]\n", "expected api-key-env or api-key-file"),
        ({"auth_issuer": "{url}", "public_url": PUBLIC}, TEAM.replace("RESEARCH", "NO"), "NO_KEY holds no API key"),
        ({"host": "0.0.0.0"}, None, "a network is served only with an authentication"),
        ({"auth_issuer": "{url}", "public_url": "http://mcp.example.com/mcp"}, TEAM, "expected https"),
        ({"auth_issuer": "http://login.example.com", "public_url": PUBLIC}, TEAM, "expected https"),
        ({"auth_issuer": "{url}", "public_url": PUBLIC}, None, "not set, so everyone that the issuer lets in would"),
    ],
)
def test_a_start_that_would_be_a_mistake_ends_with_2_and_one_line(
    given: dict[str, str], teams: str | None, line: str, issuer: SmallIssuer, tmp_path: Path
) -> None:
    ended = start(tmp_path, teams, **{name: value.format(url=issuer.url) for name, value in given.items()})
    assert (ended.returncode, ended.stdout) == (2, "")
    (said,) = ended.stderr.splitlines()
    assert line in said
    assert "PAPERSPACE_MCP_" in said
    assert SECRET not in said


@pytest.mark.slow
def test_an_issuer_that_is_away_at_the_start_is_tried_again_and_nobody_is_let_in_before(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}/mcp"
    (tmp_path / "teams.toml").write_text(TEAM, encoding="utf-8")
    with ExitStack() as stack:
        with small_issuer() as gone:
            later = gone.server.server_address[1]
        api = stack.enter_context(sandbox("--dialect", "live"))
        settings = {
            "HOME": str(tmp_path),
            "RESEARCH_KEY": SECRET,
            "PAPERSPACE_API_URL": api,
            "PAPERSPACE_MCP_PUBLIC_URL": url,
            "PAPERSPACE_MCP_AUTH_ISSUER": f"http://127.0.0.1:{later}",
            "PAPERSPACE_MCP_TEAMS_FILE": str(tmp_path / "teams.toml"),
        }
        stack.enter_context(server(["serve", "--transport", "streamable-http", "--port", str(port)], settings))
        found, body = status(f"http://127.0.0.1:{port}/readyz")
        assert (found, b"the issuer's keys have not come yet" in body) == (503, True)
        assert status(f"http://127.0.0.1:{port}/healthz")[0] == 200
        stack.enter_context(small_issuer(int(later)))
        wait_for(f"http://127.0.0.1:{port}/readyz", within=40)


@pytest.mark.anyio
async def test_a_person_in_two_teams_who_names_none_is_told_which_claim_to_name_it_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    teams = TEAM + TEAM.replace("research", "ops").replace("RESEARCH", "OPS")
    async with hosted_world(tmp_path, monkeypatch, teams=teams, auth_team_claim="https://example.com/team") as world:
        visitor = Visitor(cast("Client", world.client), world.token("anna"))
        asked = [await visitor.rest("GET", "/shared-drives"), *[await visitor.rpc(era, "tools/list") for era in ERAS]]
        for refused in asked:
            assert refused.status == 403
            assert "must name one of them in the claim 'https://example.com/team'" in refused.came
            assert "research" not in refused.came
            assert "www-authenticate" not in refused.came  # another token of the same kind would not help
        named = {"https://example.com/team": "ops"}
        structured(await Visitor(visitor.client, world.token("anna", **named)).call("modern", "list_snapshots", {}))


@pytest.mark.anyio
async def test_an_unverified_address_another_issuers_subject_and_a_tokens_name_are_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    teams = TEAM + 'members.emails = ["*@example.com"]\n'
    file = tmp_path / "tokens.json"
    nobodys = static_tokens.make(file, "anna", None, ["storage:destroy"], None, time.time())
    elsewhere = static_tokens.make(file, "ben", "no-such-team", ["storage:destroy"], None, time.time())
    async with hosted_world(tmp_path, monkeypatch, teams=teams, tokens_file=file) as world:

        async def asked(token: str) -> tuple[int, str]:
            one = await Visitor(cast("Client", world.client), token).call("modern", "list_snapshots", {})
            return one.status, one.came

        address: dict[str, Any] = {"email": "carla@example.com"}
        for unverified in (None, False, "true", 1):
            found, said = await asked(world.token("carla", **address, email_verified=unverified))
            assert (found, "You are in no team of this server" in said) == (403, True)
        assert (await asked(world.token("carla", **address, email_verified=True)))[0] == 200
        found, said = await asked(world.token("anna", iss="https://other.example.com"))
        assert (found, "was not made for this server" in said) == (401, True)
        for token in (nobodys, elsewhere):
            found, said = await asked(token)
            assert (found, "The team of this token does not exist here" in said) == (403, True)
            assert "no-such-team" not in said
