"""What stops the start of a hosted server, in one line that names the setting; and what does not."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from hosted.issuing import ISSUER, METADATA_AT, RESOURCE, Web, pair
from paperspace_storage_server import hosting
from paperspace_storage_server.commands.serve import serve_hosted
from paperspace_storage_server.guard.secrets import Vault
from paperspace_storage_server.http.fetch import NotFetched
from paperspace_storage_server.process.logs import JsonFormatter
from paperspace_storage_server.settings import Settings, SettingsError

KEY = "key-of-research-0123456789"


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RESEARCH_KEY", KEY)


def settings(**given: Any) -> Settings:
    chosen: dict[str, Any] = {"transport": "streamable-http", "sandbox": True, "port": 0, **given}
    return Settings(**chosen)


def with_issuer(**given: Any) -> Settings:
    return settings(public_url=RESOURCE, auth_issuer=ISSUER, open_to_issuer=True, **given)


def written(folder: Path, name: str, text: str) -> Path:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


def refused(chosen: Settings) -> str:
    with pytest.raises(SettingsError) as error:
        serve_hosted(chosen)
    line = str(error.value)
    assert "\n" not in line
    assert KEY not in line
    return line


TEAM = "[teams.a]\napi-key-env = 'RESEARCH_KEY'\n"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (None, "PAPERSPACE_MCP_TEAMS_FILE (--teams-file): No such file"),
        ("[teams.a]\nkey = 'x'", "PAPERSPACE_MCP_TEAMS_FILE (--teams-file): [teams.a]: key: not known there"),
        ("[teams.a]\napi-key-env = 'MISSING'", "the variable MISSING holds no API key"),
        (TEAM + "policy = { toolsets = ['utilization'] }", "none of its toolsets is among those that are served"),
        (TEAM + "policy = { max-destructive = 'lots' }", "[teams.a] policy: wrong in it: max-destructive"),
    ],
)
def test_a_teams_file_that_is_not_as_it_should_be_stops_the_start(text: str | None, why: str, tmp_path: Path) -> None:
    file = tmp_path / "teams.toml" if text is None else written(tmp_path, "teams.toml", text)
    assert why in refused(with_issuer(teams_file=file, toolsets=["snapshots"]))


def test_with_several_teams_no_credential_profile_may_be_everybodys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAPERSPACE_MCP_CREDENTIAL_PROD_ACCESS_KEY", "AKIA0123456789")
    monkeypatch.setenv("PAPERSPACE_MCP_CREDENTIAL_PROD_SECRET_KEY", "secret-of-prod")
    monkeypatch.setenv("OPS_KEY", "key-of-ops-0123456789")
    two = written(tmp_path, "teams.toml", TEAM + "[teams.b]\napi-key-env = 'OPS_KEY'\n")
    assert "a credential profile would be everybody's" in refused(with_issuer(teams_file=two))


def test_a_tokens_file_that_is_not_there_stops_the_start(tmp_path: Path) -> None:
    why = refused(settings(tokens_file=tmp_path / "tokens.json"))
    assert why.startswith("PAPERSPACE_MCP_TOKENS_FILE (--tokens-file): No such file")


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"redis_url": SecretStr("http://u:hidden@127.0.0.1")}, "PAPERSPACE_MCP_REDIS_URL: expected a URL such as"),
        ({"metrics_port": 1, "metrics_host": "192.0.2.1"}, "PAPERSPACE_MCP_METRICS_PORT (--metrics-port): cannot"),
        ({"tls_cert": Path("/nowhere.pem"), "tls_key": Path("/nowhere.key")}, "PAPERSPACE_MCP_TLS_CERT (--tls-cert)"),
    ],
)
def test_what_cannot_be_opened_stops_the_start(given: dict[str, Any], why: str) -> None:
    line = refused(with_issuer(**given))
    assert why in line
    assert "hidden" not in line


def test_a_key_that_is_not_the_certificates_stops_the_start(tmp_path: Path) -> None:
    for name in ("a", "b"):
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
                *("-subj", "/CN=localhost", "-keyout", tmp_path / f"{name}.key", "-out", tmp_path / f"{name}.pem"),
            ],
            check=True,
            capture_output=True,
        )
    line = refused(with_issuer(tls_cert=tmp_path / "a.pem", tls_key=tmp_path / "b.key"))
    assert "no certificate with its key can be read from the two files" in line


class Listening:
    """What would serve, and says so."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()

    async def __call__(self) -> None:
        self.begun.set()
        await asyncio.Event().wait()


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Web:
    web = Web()
    web.publish(pair())
    monkeypatch.setattr("paperspace_storage_server.hosting.server.fetch_json", web.fetch)
    monkeypatch.setattr("paperspace_storage_server.hosting.server._TRIED_AGAIN", (0.0,))
    return web


@pytest.mark.anyio
async def test_another_issuer_stops_the_start_before_anything_is_served(web: Web) -> None:
    web.publish(pair(), issuer="https://evil.example.com")
    listening = Listening()
    with pytest.raises(SettingsError, match=r"PAPERSPACE_MCP_AUTH_ISSUER.*names another issuer"):
        await hosting.serve(hosting.host(with_issuer()), listening)
    assert not listening.begun.is_set()


@pytest.mark.anyio
async def test_an_issuer_that_is_away_is_looked_for_while_the_server_is_not_ready(web: Web) -> None:
    web.documents[METADATA_AT] = NotFetched("no answer in 5 s")
    hosted, listening = hosting.host(with_issuer()), Listening()
    serving = asyncio.ensure_future(hosting.serve(hosted, listening))
    await listening.begun.wait()
    assert (await hosted.health.ready())[0] == 503
    web.publish(pair())
    while (await hosted.health.ready())[0] != 200:  # noqa: ASYNC110 - the loop that looks tells nobody
        await asyncio.sleep(0)
    assert not serving.done()
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving


@pytest.mark.anyio
async def test_an_issuer_that_turns_out_to_be_another_one_ends_the_server(web: Web) -> None:
    web.documents[METADATA_AT] = NotFetched("no answer in 5 s")
    listening = Listening()
    serving = asyncio.ensure_future(hosting.serve(hosting.host(with_issuer()), listening))
    await listening.begun.wait()
    web.publish(pair(), issuer="https://evil.example.com")
    with pytest.raises(SettingsError, match="names another issuer"):
        await serving


def test_a_line_of_the_json_log_is_json_and_shows_no_secret() -> None:
    vault = Vault()
    vault.keep(SecretStr('se"cret\\n-of-a-team'))
    record = logging.LogRecord("a", logging.ERROR, "", 0, "it said %s", ('se"cret\\n-of-a-team',), None)
    record.fields = {"team": "research", "seconds": 0.5, "principal": 'x se"cret\\n-of-a-team y', "none": None}
    line = json.loads(JsonFormatter(vault).format(record))
    assert {name: line[name] for name in line if name != "time"} == {
        "level": "error",
        "logger": "a",
        "message": "it said [secret]",
        "team": "research",
        "seconds": 0.5,
        "principal": "x [secret] y",
    }
