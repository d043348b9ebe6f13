"""The calls that the skills show for a shell, run as they stand against a sandbox: each does what its skill says."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

import pytest

from paperspace_storage_tools.skills import skills
from support.processes import KEY, listening
from support.stdio_server import environment

pytestmark = pytest.mark.slow

NAME = "before-cuda-12.8 2026-11-24"


class Shell:
    """`paperspace-storage-mcp call` on one team, in a home of its own."""

    def __init__(self, address: str, home: Path) -> None:
        profile = "PAPERSPACE_MCP_CREDENTIAL_ROTATED_2026_11"
        self._environment = {
            **environment(),
            "HOME": str(home),
            "USERPROFILE": str(home),
            "PAPERSPACE_API_URL": f"{address}/v1",
            "PAPERSPACE_API_KEY": KEY,
            f"{profile}_ACCESS_KEY": "AKIAROTATED0000000001",
            f"{profile}_SECRET_KEY": "rotated/secret/not/real/000000000001",
        }

    def call(self, *words: str) -> dict[str, Any]:
        command = [sys.executable, "-m", "paperspace_storage_server", "call", *words]
        done = subprocess.run(command, env=self._environment, capture_output=True, text=True, timeout=90, check=False)
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def shown(self, skill: str, values: Mapping[str, str]) -> dict[str, Any]:
        """The one call that the skill's text shows, with these values in the place of its words in capitals."""
        (body,) = (one.body for one in skills() if one.name == skill)
        (line,) = re.findall(r"`paperspace-storage-mcp call ([a-z_]+ [^`]+=[^`]+)`", body)
        words: list[str] = []
        for word in shlex.split(line):
            name, equals, value = word.partition("=")
            words.append(f"{name}={values[value]}" if equals and value in values else word)
        return self.call(*words)


@pytest.fixture
def shell(tmp_path: Path) -> Generator[Shell]:
    with listening("sandbox", "--port", "0") as address:
        yield Shell(address, tmp_path)


def test_before_upgrade_and_then_restore_and_then_clean_up(shell: Shell) -> None:
    machine = shell.call("list_snapshots", "limit=1")["items"][0]["machineId"]
    before = [one["id"] for one in shell.call("list_snapshots", f"machineId={machine}")["items"]]

    taken = shell.shown("before-upgrade", {"MACHINE": machine})
    assert (taken["machineId"], taken["name"], taken["event"]["state"]) == (machine, NAME, "done")

    restored = shell.shown("restore-machine", {"SNAPSHOT": taken["id"], "EXACT NAME": NAME})
    assert (restored["id"], restored["machineId"], restored["status"]) == (taken["id"], machine, "done")
    after = shell.call("list_snapshots", f"machineId={machine}")["items"]
    assert (after[0]["name"], after[1]["id"]) == (f"Before restore of {NAME}", taken["id"])

    gone = shell.shown("clean-up-snapshots", {"SNAPSHOT": taken["id"], "EXACT NAME": NAME})
    assert (gone["id"], gone["deleted"], gone["event"]["state"]) == (taken["id"], True, "done")
    left = [one["id"] for one in shell.call("list_snapshots", f"machineId={machine}")["items"]]
    assert left == [after[0]["id"], *before]


def test_a_provider_s_keys_are_rotated_and_all_else_stays(shell: Shell) -> None:
    before = shell.call("list_storage_providers")["items"][0]
    values = {
        "PROVIDER": before["id"],
        "NAME": before["name"],
        "BUCKET": before["bucket"],
        "REGION": before["region"],
    }
    after = shell.shown("rotate-provider-keys", values)
    assert after == before | {"notice": 'Its keys are now those of credential profile "rotated_2026_11".'}
    assert "AKIAROTATED" not in json.dumps(after)
