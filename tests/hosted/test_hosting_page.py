"""docs/hosting.md, run: the five commands, and the composition with its files, without the containers around it."""

from __future__ import annotations

import json
import os
import re
import ssl
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import ElicitRequestParams, ElicitResult

from support.loopback_tls import self_signed
from support.servers import free_port, nginx, sandbox, server, wait_for
from support.stdio_server import environment

pytestmark = [pytest.mark.slow, pytest.mark.anyio, pytest.mark.timeout(300)]
ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "hosting.md").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text(encoding="utf-8"))["services"]
TEAM_KEY = "key-of-the-team-of-the-page"


def blocks(section: str) -> list[list[str]]:
    """The console blocks of a section, each as its lines."""
    text = PAGE.split(f"\n## {section}\n", 1)[1].split("\n## ", 1)[0]
    return [block.strip().splitlines() for block in re.findall(r"```console\n(.*?)```", text, re.DOTALL)]


def commands(lines: list[str]) -> list[str]:
    return [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]


def shell(lines: list[str], folder: Path, **settings: str) -> str:
    """What the lines print, in a shell that stops at the first that fails, and has our command."""
    command = folder / "bin" / "paperspace-storage-mcp"
    if not command.exists():
        command.parent.mkdir(exist_ok=True)
        command.write_text(f'#!/bin/sh\nexec {sys.executable} -m paperspace_storage_server "$@"\n', encoding="utf-8")
        command.chmod(0o755)
    env = {**environment(), "PATH": f"{command.parent}:{os.environ['PATH']}", "HOME": str(folder), **settings}
    script = "\n".join(["set -eu", *lines])
    done = subprocess.run(["bash", "-c", script], cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (script, done.stderr)
    return done.stdout


async def drives(url: str, token: str, certificate: Path) -> dict[str, Any]:
    """What the official client gets at this address."""
    context = ssl.create_default_context(cafile=str(certificate))
    async with (
        httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=30, verify=context) as http,
        Client(streamable_http_client(url, http_client=http)) as client,
    ):
        answer = await client.call_tool("list_shared_drives", {})
    assert not answer.is_error, answer
    content: dict[str, Any] | None = answer.structured_content
    assert content is not None
    return content


async def test_five_commands_make_a_server(tmp_path: Path) -> None:
    first, second = blocks("One process, five commands")
    install, *prepare, serve = commands(first)
    assert install == "pip install 'paperspace-storage-mcp[hosted]'"
    assert len(prepare) == 3
    port = str(free_port())
    prepare = [line.replace("8443", port) for line in prepare]
    shell(prepare, tmp_path)
    exported = dict(re.findall(r"(PAPERSPACE_MCP_\w+)=(\S+)", prepare[0].replace("$PWD", str(tmp_path))))
    settings, command = serve.split(" paperspace-storage-mcp ")
    assert settings == "PAPERSPACE_API_KEY=..."
    arguments = command.replace("8443", port).replace("0.0.0.0", "127.0.0.1").split()
    arguments = [str(tmp_path / word) if word.startswith("tls.") else word for word in arguments]
    with (
        sandbox() as api,
        server(
            arguments, {**exported, "HOME": str(tmp_path), "PAPERSPACE_API_KEY": TEAM_KEY, "PAPERSPACE_API_URL": api}
        ),
    ):
        asked, said, claude = second
        assert said == shell([asked.removeprefix("$ ").replace("8443", port)], tmp_path).strip()
        url = exported["PAPERSPACE_MCP_PUBLIC_URL"]
        assert f" {url} ".replace(port, "8443") in claude
        token = (tmp_path / "ann.token").read_text(encoding="utf-8").strip()
        assert (await drives(url, token, tmp_path / "tls.crt"))["items"]


@contextmanager
def composed(folder: Path, api: str) -> Generator[tuple[str, str, Path]]:
    """nginx, two replicas and Redis with the files, the commands and the variables of the composition, and the secrets
    that the page makes; the address, a token, and the certificate's file."""
    (lines,) = [commands(block) for block in blocks("Compose: nginx, two replicas, Redis")]
    build, *prepare, up = lines
    assert build == "deploy/build"
    assert "docker compose --file deploy/compose.yaml up" in up
    _, certificate = self_signed(folder)
    prepare = [re.sub(r"/etc/ssl/mcp.example.com/\w+.pem", "/dev/null", line) for line in prepare]
    shell(prepare, folder, PAPERSPACE_API_KEY=TEAM_KEY)
    secrets = folder / "deploy" / "secrets"
    port, redis_port, ports = free_port(), free_port(), [free_port(), free_port()]
    url_file = secrets / "mcp" / "redis-url"
    url_file.chmod(0o644)
    url_file.write_text(url_file.read_text(encoding="utf-8").replace("redis:6379", f"127.0.0.1:{redis_port}"))
    data = folder / "data"
    data.mkdir()
    options: list[str] = COMPOSE["redis"]["command"][1:]
    places = {"/run/secrets/redis.acl": str(secrets / "redis.acl"), "/data": str(data)}
    redis = ["redis-server", "--port", str(redis_port), "--bind", "127.0.0.1", *(places.get(o, o) for o in options)]
    with ExitStack() as stack:
        process = stack.enter_context(subprocess.Popen(redis, stdout=subprocess.DEVNULL))
        stack.callback(process.kill)
        url = f"https://127.0.0.1:{port}/mcp"
        for number, replica_port in zip(("replica-1", "replica-2"), ports, strict=True):
            own = {
                "PAPERSPACE_MCP_PUBLIC_URL": url,
                "PAPERSPACE_MCP_AUTH_ISSUER": "",
                "PAPERSPACE_MCP_TRUSTED_PROXIES": "127.0.0.1",
                "PAPERSPACE_MCP_METRICS_PORT": str(free_port()),
                "PAPERSPACE_MCP_METRICS_HOST": "127.0.0.1",
                "PAPERSPACE_API_URL": api,
                "HOME": str(folder),
            }
            given: dict[str, str] = COMPOSE[number]["environment"]
            settings = {name: value.replace("/run/secrets", str(secrets)) for name, value in given.items()} | own
            arguments = [*COMPOSE[number]["command"], "--port", str(replica_port)]
            stack.enter_context(server([word.replace("0.0.0.0", "127.0.0.1") for word in arguments], settings))
            # What the container is asked for its health, at this replica's port.
            _, _, *asked = COMPOSE[number]["healthcheck"]["test"]
            asked = [word.replace(":8000/", f":{replica_port}/") for word in asked]
            subprocess.run([sys.executable, *asked], check=True, timeout=30, env=environment())
        stack.enter_context(nginx(port, ports, (certificate, certificate.with_name("key.pem"))))
        for replica_port in ports:
            assert json.loads(wait_for(f"http://127.0.0.1:{replica_port}/readyz")) == {"status": "ready"}
        yield url, (secrets / "ann.token").read_text(encoding="utf-8").strip(), certificate


async def test_the_composition_serves_over_tls_with_the_secrets_that_the_page_makes(tmp_path: Path) -> None:
    with sandbox() as api, composed(tmp_path, api) as (url, token, certificate):
        for _ in range(4):
            assert (await drives(url, token, certificate))["items"]
        context = ssl.create_default_context(cafile=str(certificate))
        base = url.removesuffix("/mcp")
        async with httpx2.AsyncClient(verify=context) as outsider:
            refused = await outsider.post(url, json={})
            assert refused.status_code == 401
            assert refused.headers["www-authenticate"] == 'Bearer scope="storage:read"'
            assert refused.headers["strict-transport-security"]
            large = await outsider.post(url, content=b"x" * 1_100_000)
            assert large.status_code == 413
            long = await outsider.get(url, headers={"x-long": "x" * 70_000})
            assert long.status_code in (400, 431)
            spoken = await outsider.get(f"http://{base.removeprefix('https://')}/mcp")
            assert spoken.status_code == 400  # http where TLS is served


async def test_what_is_written_counts_once_over_the_composed_replicas(tmp_path: Path) -> None:
    questions: list[str] = []

    async def elicit(context: object, params: ElicitRequestParams) -> ElicitResult:
        questions.append(params.message)
        return ElicitResult(action="accept", content={"confirm": True})

    with sandbox() as api, composed(tmp_path, api) as (url, _, certificate):
        made = ["cd deploy/secrets/mcp", "chmod 600 tokens.json"]
        made += ["paperspace-storage-mcp token new --tokens-file tokens.json --name bot --team storage"
                 " --scopes storage:destroy"]  # fmt: skip
        token = shell(made, tmp_path).strip()
        context = ssl.create_default_context(cafile=str(certificate))
        async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=30, verify=context) as http:
            until = time.monotonic() + 10
            while 401 in [(await http.post(url, json={})).status_code for _ in range(4)]:  # at both of them
                assert time.monotonic() < until
            async with Client(streamable_http_client(url, http_client=http), elicitation_callback=elicit) as client:
                listed = await client.call_tool("list_shared_drives", {})
                assert listed.structured_content is not None
                for drive in listed.structured_content["items"][:3]:
                    answer = await client.call_tool("delete_shared_drive", {"id": drive["id"]})
                    assert not answer.is_error, answer
        assert len(questions) == 3
        assert all(question.startswith('Team "storage": ') for question in questions)
