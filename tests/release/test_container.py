"""The image: built here over Debian's packages, run without network, without writing, without root."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from pathlib import Path

import pytest
import yaml

from packages import facts
from paperspace_storage_server import __version__
from paperspace_storage_server.hosted import static_tokens
from paperspace_storage_tools.catalogue import CATALOGUE
from support.installed import run, session

ROOT = Path(__file__).parents[2]
CONTAINERFILE = (ROOT / "deploy/Containerfile").read_text(encoding="utf-8")
IMAGE = "localhost/paperspace-storage-mcp-test"
RUN = [
    *["--runtime", "runc", "--cgroup-manager", "cgroupfs", "run", "-i", "--rm", "--network", "none", "--read-only"],
    *["--cap-drop", "all", "--security-opt", "no-new-privileges"],
    *["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"],
]


def test_the_image_names_the_server_as_the_registry_asks() -> None:
    labels = dict(re.findall(r'([\w.]+)="([^"]+)"', CONTAINERFILE))
    assert labels["io.modelcontextprotocol.server.name"] == facts.read().registry_name
    assert labels["org.opencontainers.image.source"] == facts.read().repository


def test_the_base_is_pinned_by_its_digest() -> None:
    assert re.search(r"^ARG BASE=\S+@sha256:[0-9a-f]{64}$", CONTAINERFILE, re.MULTILINE)


@pytest.fixture(scope="module")
def image() -> str:
    run(ROOT / "deploy/build", IMAGE, env={**os.environ, "BASE": "bootstrap"}, cwd=ROOT, within=500)
    return IMAGE


def _podman(*arguments: str) -> str:
    return run("podman", *arguments, env=os.environ, cwd=ROOT)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.anyio
async def test_the_image_speaks_mcp_without_network_root_or_a_place_to_write(image: str) -> None:
    sandboxed = await session("podman", [*RUN, "-e", "PAPERSPACE_MCP_SANDBOX=true", image], os.environ, ROOT)
    assert (sandboxed.server, sandboxed.version) == ("paperspace-storage", __version__)
    assert sandboxed.tools == [tool.name for tool in CATALOGUE]
    assert json.loads(sandboxed.answer)["items"][0]["name"] == "team-home"
    without_a_key = await session("podman", [*RUN, image], os.environ, ROOT)
    assert without_a_key.tools == sandboxed.tools
    assert without_a_key.answer.startswith("No Paperspace API key.")


@pytest.mark.slow
def test_the_image_tells_its_story(image: str) -> None:
    assert _podman(*RUN, image, "demo").endswith("All steps did what they should.\n")


@pytest.mark.slow
def test_the_image_serves_people_with_tokens_and_answers_for_its_health(image: str, tmp_path: Path) -> None:
    folder = tmp_path / "mcp"
    folder.mkdir()
    static_tokens.make(folder / "tokens.json", "ann", None, ["storage:read"], None, time.time())
    (folder / "tokens.json").chmod(0o444)
    replica = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text(encoding="utf-8"))["services"]["replica-1"]
    given = {
        "PAPERSPACE_MCP_SANDBOX": "true",
        "PAPERSPACE_MCP_PUBLIC_URL": "https://mcp.example.com/mcp",
        "PAPERSPACE_MCP_TOKENS_FILE": "/run/secrets/mcp/tokens.json",
        "PAPERSPACE_MCP_METRICS_PORT": "9464",
        # Both need what the extra brings; nobody listens there.
        "PAPERSPACE_MCP_REDIS_URL": "redis://127.0.0.1:1/0",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1",
    }
    settings = [word for name, value in given.items() for word in ("-e", f"{name}={value}")]
    name = f"paperspace-mcp-test-{os.getpid()}"
    begin = [*RUN[: RUN.index("-i")], "--detach", *RUN[RUN.index("-i") + 1 :], "--name", name]
    _podman(*begin, "-v", f"{folder}:/run/secrets/mcp:ro", *settings, image, *replica["command"])
    try:
        _, *check = replica["healthcheck"]["test"]
        until = time.monotonic() + 60
        asked = ["podman", *RUN[: RUN.index("run")], "exec", name, *check]
        while (done := subprocess.run(asked, capture_output=True, check=False, text=True)).returncode != 0:
            assert time.monotonic() < until, done.stderr
        said = subprocess.run(["podman", "logs", name], capture_output=True, check=True, text=True)
        assert "extra" not in said.stderr + said.stdout
        began = time.monotonic()
        _podman(*RUN[: RUN.index("run")], "stop", "--time", "30", name)
        assert time.monotonic() - began < 25
    finally:
        subprocess.run(["podman", "rm", "--force", "--ignore", name], capture_output=True, check=False)


@pytest.mark.slow
def test_the_image_holds_no_shell_no_installer_and_is_small(image: str) -> None:
    (described,) = json.loads(_podman("image", "inspect", image))
    python = [*RUN, "--entrypoint", "/usr/bin/python3", image, "-c"]
    look = "import os; print(os.getuid(), os.getgid(), *sorted(os.listdir('/usr/bin')), *sorted(os.listdir('/')))"
    assert _podman(*python, look).split()[:4] == ["65532", "65532", "python3", "python3.13"]
    assert "bin" not in _podman(*python, look).split()
    packages = "import importlib.util as u; print([n for n in ('pip', 'ensurepip', 'venv') if u.find_spec(n)])"
    assert _podman(*python, packages) == "[]\n"
    assert described["Config"]["User"] == "65532:65532"
    assert described["Size"] < 125_000_000
