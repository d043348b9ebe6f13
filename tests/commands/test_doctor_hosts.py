"""`doctor` and the hosts: an entry that starts this installation must answer; nothing else is ever started."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from support.command_line import run

OURS = [sys.executable, "-m", "paperspace_storage_server"]


def entry(command: list[str], **env: str) -> dict[str, object]:
    return {"command": command[0], "args": command[1:], "env": env}


def cursor(home: Path, **entries: object) -> Path:
    file = home / ".cursor" / "mcp.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps({"mcpServers": entries}), encoding="utf-8")
    return file


def doctor(home: Path) -> tuple[int, list[dict[str, Any]]]:
    code, out, err = run(home, "doctor", "--sandbox", "--json")
    assert err == ""
    found: list[dict[str, Any]] = json.loads(out)["hosts"]
    return code, found


def test_no_host_is_nothing_that_stands_in_the_way(tmp_path: Path) -> None:
    code, out, _ = run(tmp_path, "doctor", "--sandbox")
    assert (code, doctor(tmp_path)) == (0, (0, []))
    assert "--    hosts                none has an entry; `install HOST` writes one" in out.splitlines()


def test_an_entry_of_this_installation_is_started_and_must_answer(tmp_path: Path) -> None:
    file = cursor(tmp_path, good=entry(OURS, PAPERSPACE_MCP_SANDBOX="true"))
    code, (found,) = doctor(tmp_path)
    assert (code, found["host"], found["file"], found["entry"]) == (0, "cursor", str(file), "good")
    assert (found["thisInstallation"], found["answers"], found["trouble"]) == (True, True, None)
    cursor(tmp_path, bad=entry(OURS, PAPERSPACE_MCP_DIALECT="wrong"))
    code, (found,) = doctor(tmp_path)
    assert (code, found["answers"]) == (1, False)
    assert "PAPERSPACE_MCP_DIALECT (--dialect): expected one of" in found["trouble"]
    code, out, _ = run(tmp_path, "doctor", "--sandbox")
    assert (code, out.splitlines()[-1]) == (1, "It would not work yet.")
    assert out.count("-> ") == out.count("FAIL") == 1


@pytest.mark.skipif(sys.platform == "win32", reason="a program of a few words is a shell's script")
def test_no_other_program_is_started_and_none_that_only_looks_like_ours(tmp_path: Path) -> None:
    trace = tmp_path / "started"
    other = tmp_path / "paperspace-storage-mcp"
    other.write_text(f"#!/bin/sh\ntouch {trace}\n", encoding="utf-8")
    other.chmod(0o755)
    cursor(
        tmp_path,
        other=entry([str(other)]),
        shell=entry(["sh", "-c", f"touch {trace}; exec {' '.join(OURS)}"]),
        path=entry(["paperspace-storage-mcp"], PATH=str(tmp_path)),
        command=entry([*OURS, "skill", str(trace)]),
        preloaded=entry(OURS, PYTHONSTARTUP=str(other), PYTHONPATH=str(tmp_path), PAPERSPACE_MCP_SANDBOX="true"),
        unrelated=entry(["touch", str(trace)]),
    )
    code, found = doctor(tmp_path)
    assert (code, trace.exists()) == (0, False)
    assert {one["entry"]: one["answers"] for one in found if one["answers"] is not None} == {"preloaded": True}
    assert "unrelated" not in {one["entry"] for one in found}
    assert all(one["trouble"] for one in found if one["answers"] is None)


def test_a_file_that_cannot_be_read_is_told_and_stops_nothing(tmp_path: Path) -> None:
    file = cursor(tmp_path)
    file.write_text('{"mcpServers": ', encoding="utf-8")
    code, (found,) = doctor(tmp_path)
    assert (code, found["host"], found["file"]) == (0, "cursor", str(file))
    assert "damaged" in found["trouble"]
