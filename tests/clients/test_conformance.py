"""The official conformance suite, gated on its exit code. Needs npx and the npm registry."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.stdio_server import COMMAND, environment

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

HERE = Path(__file__).parent
SUITE = ["npx", "--yes", "-p", "node@22", "-p", "@modelcontextprotocol/conformance@0.2.0-alpha.12", "conformance"]
FAULTY = """
from paperspace_storage_server.transports import web
from paperspace_storage_server.__main__ import main
web.SECURITY = web.TransportSecuritySettings(enable_dns_rebinding_protection=False)
main(["serve", "--sandbox", "--transport", "streamable-http", "--port", "0"])
"""


@contextmanager
def served(command: list[str]) -> Generator[str]:
    """The URL of an HTTP server on a port of its own choice."""
    with subprocess.Popen(command, stderr=subprocess.PIPE, env=environment(), text=True) as process:
        try:
            assert process.stderr is not None
            found = re.search(r"http://\S+", process.stderr.readline())
            assert found
            yield found[0] + "/mcp"
        finally:
            process.terminate()


def conformance(url: str, revision: str, folder: Path) -> subprocess.CompletedProcess[str]:
    expected = HERE / f"conformance-{revision}.yml"
    return subprocess.run(
        [
            *(*SUITE, "server", "--url", url, "--suite", "all", "--spec-version", revision),
            *("--expected-failures", str(expected), "-o", str(folder / "results")),
        ],
        cwd=folder,
        env={**environment(), "npm_config_cache": str(folder / "npm")},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


@pytest.mark.parametrize("revision", ["2026-07-28", "2025-11-25"])
def test_the_server_conforms_but_for_scenarios_that_demand_fixtures(revision: str, tmp_path: Path) -> None:
    with served([*COMMAND, "--transport", "streamable-http", "--port", "0"]) as url:
        done = conformance(url, revision, tmp_path)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]


def test_the_suite_fails_on_a_seeded_fault(tmp_path: Path) -> None:
    with served([sys.executable, "-c", FAULTY]) as url:
        done = conformance(url, "2025-11-25", tmp_path)
    assert done.returncode != 0
    assert "dns-rebinding-protection" in done.stdout.partition("Unexpected failures (not in baseline)")[2]
