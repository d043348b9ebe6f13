"""The official conformance suite, gated on its exit code. Needs npm and its registry."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from support.clients import Clients, over, served
from support.stdio_server import environment

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

HERE = Path(__file__).parent
FAULTY = """
from paperspace_storage_server.mcp import web
from paperspace_storage_server.__main__ import main
web.security = lambda bound: web.TransportSecuritySettings(enable_dns_rebinding_protection=False)
main(["serve", "--sandbox", "--transport", "streamable-http", "--port", "0"])
"""


REVISIONS = ["2026-07-28", "2025-11-25"]
# Its own path, for the process of the server as it is knows no tests.
FIXTURES = [
    *("env", f"PYTHONPATH={environment()['PYTHONPATH']}{os.pathsep}{HERE.parent}"),
    *(sys.executable, "-m", "support.conformance_server", "--port", "0"),
]


def conformance(
    clients: Clients, address: str, revision: str, folder: Path, which: str = "conformance"
) -> subprocess.CompletedProcess[str]:
    return clients.run(
        *("conformance", "server", "--url", f"{address}/mcp", "--suite", "all", "--spec-version", revision),
        *("--expected-failures", str(HERE / f"{which}-{revision}.yml"), "-o", str(folder / "results")),
        cwd=folder,
    )


@pytest.mark.parametrize("revision", REVISIONS)
def test_the_server_conforms_but_for_scenarios_that_demand_fixtures(
    clients: Clients, revision: str, tmp_path: Path
) -> None:
    with served(over("streamable-http")) as address:
        done = conformance(clients, address, revision, tmp_path)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]


@pytest.mark.parametrize(("revision", "scenarios"), [("2026-07-28", 40), ("2025-11-25", 28)])
def test_with_the_fixtures_every_scenario_passes_but_for_what_is_not_served(
    clients: Clients, revision: str, scenarios: int, tmp_path: Path
) -> None:
    with served(FIXTURES) as address:
        done = conformance(clients, address, revision, tmp_path, "conformance-fixtures")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    summary = done.stdout.partition("=== SUMMARY ===")[2]
    passed = set(re.findall(r"^✓ (\S+): [1-9]\d* passed, 0 failed", summary, re.MULTILINE))
    assert len(passed) == scenarios, summary


def test_the_tasks_are_those_of_the_extension(clients: Clients, tmp_path: Path) -> None:
    """Its scenarios are of no revision, so that each is run by its name."""
    listed = clients.run("conformance", "list", "--server").stdout
    scenarios = re.findall(r"- (tasks-[\w-]+) \[extension\]", listed)
    assert len(scenarios) == 10
    failed: dict[str, str] = {}
    with served(FIXTURES) as address:
        for scenario in scenarios:
            done = clients.run(
                *("conformance", "server", "--url", f"{address}/mcp", "--scenario", scenario),
                *("--expected-failures", str(HERE / "conformance-fixtures-tasks.yml"), "-o", str(tmp_path)),
                cwd=tmp_path,
            )
            if done.returncode:
                failed[scenario] = done.stdout[-2000:] + done.stderr[-500:]
    assert failed == {}


def _exceptions(name: str) -> dict[str, str]:
    """Scenarios that may fail, each with its reason."""
    lines = [line for line in (HERE / f"{name}.yml").read_text().splitlines() if line.startswith("  - ")]
    return dict(line.removeprefix("  - ").split(" # ", 1) for line in lines)


def test_each_exception_is_a_scenario_of_the_suite_and_says_why(clients: Clients) -> None:
    """A name that is mistyped would be passed over in silence."""
    listed = clients.run("conformance", "list", "--server").stdout
    scenarios = set(re.findall(r"[\w/-]+", listed))
    files = [f"{which}-{revision}" for which in ("conformance", "conformance-fixtures") for revision in REVISIONS]
    for file in (*files, "conformance-fixtures-tasks"):
        exceptions = _exceptions(file)
        unknown = {name.partition(":")[0] for name in exceptions} - scenarios
        assert (file, unknown) == (file, set())
        assert all(len(reason) > 20 for reason in exceptions.values()), file


def test_the_suite_fails_on_a_seeded_fault(clients: Clients, tmp_path: Path) -> None:
    with served([sys.executable, "-c", FAULTY]) as address:
        done = conformance(clients, address, "2025-11-25", tmp_path)
    assert done.returncode != 0
    assert "dns-rebinding-protection" in done.stdout.partition("Unexpected failures (not in baseline)")[2]
