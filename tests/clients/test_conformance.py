"""The official conformance suite, gated on its exit code. Needs npm and its registry."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from support.clients import Clients, over, served

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

HERE = Path(__file__).parent
FAULTY = """
from paperspace_storage_server.mcp import web
from paperspace_storage_server.__main__ import main
web.security = lambda bound: web.TransportSecuritySettings(enable_dns_rebinding_protection=False)
main(["serve", "--sandbox", "--transport", "streamable-http", "--port", "0"])
"""


def conformance(clients: Clients, address: str, revision: str, folder: Path) -> subprocess.CompletedProcess[str]:
    expected = HERE / f"conformance-{revision}.yml"
    return clients.run(
        *("conformance", "server", "--url", f"{address}/mcp", "--suite", "all", "--spec-version", revision),
        *("--expected-failures", str(expected), "-o", str(folder / "results")),
        cwd=folder,
    )


@pytest.mark.parametrize("revision", ["2026-07-28", "2025-11-25"])
def test_the_server_conforms_but_for_scenarios_that_demand_fixtures(
    clients: Clients, revision: str, tmp_path: Path
) -> None:
    with served(over("streamable-http")) as address:
        done = conformance(clients, address, revision, tmp_path)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]


def test_the_suite_fails_on_a_seeded_fault(clients: Clients, tmp_path: Path) -> None:
    with served([sys.executable, "-c", FAULTY]) as address:
        done = conformance(clients, address, "2025-11-25", tmp_path)
    assert done.returncode != 0
    assert "dns-rebinding-protection" in done.stdout.partition("Unexpected failures (not in baseline)")[2]
