"""The image: built here over Debian's packages, run without network, without writing, without root."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from packages import facts
from paperspace_storage_server import __version__
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
def test_the_image_holds_no_shell_no_installer_and_is_small(image: str) -> None:
    (described,) = json.loads(_podman("image", "inspect", image))
    python = [*RUN, "--entrypoint", "/usr/bin/python3", image, "-c"]
    look = "import os; print(os.getuid(), os.getgid(), *sorted(os.listdir('/usr/bin')), *sorted(os.listdir('/')))"
    assert _podman(*python, look).split()[:4] == ["65532", "65532", "python3", "python3.13"]
    assert "bin" not in _podman(*python, look).split()
    packages = "import importlib.util as u; print([n for n in ('pip', 'ensurepip', 'venv') if u.find_spec(n)])"
    assert _podman(*python, packages) == "[]\n"
    assert described["Config"]["User"] == "65532:65532"
    assert described["Size"] < 120_000_000
