"""The commands of docs/rest.md, in their order, in one shell, over a server as the page starts it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from support.servers import server
from support.stdio_server import ROOT, environment

pytestmark = pytest.mark.slow

START = "paperspace-storage-mcp serve --sandbox --transport streamable-http --surfaces mcp,rest"
NOT_HERE = "openapi-python-client "  # test_generated_client.py runs it, in an environment of its own
END = "=== the end of what it printed ==="


def _examples() -> list[tuple[str, str]]:
    """Each command of the page, and what it prints there."""
    text = (ROOT / "docs" / "rest.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```console\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    found = [example.partition("\n") for block in blocks for example in re.split(r"^\$ ", block, flags=re.MULTILINE)]
    return [(command, printed) for command, _, printed in found if command]


def _plain(text: str) -> str:
    """Without line breaks and runs of spaces, ids and instants as a word each."""
    text = re.sub(r"\b(sd|ss|sp|ps|ne|me)[a-z0-9]{9}\b", r"\1ID", " ".join(text.split()))
    return re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "INSTANT", text)


def _pattern(printed: str) -> str:
    return ".*".join(re.escape(part) for part in _plain(printed).split("..."))


def test_every_command_of_the_page_prints_what_the_page_says(tmp_path: Path) -> None:
    (command, started), *examples = _examples()
    assert command == START
    with server([*START.split()[1:], "--port", "0"], {"HOME": str(tmp_path)}) as one:
        said = "".join(one.said).replace(str(tmp_path), "/home/you").replace(one.address, "http://127.0.0.1:8000")
        assert said == started
        run = [(command, printed) for command, printed in examples if not command.startswith(NOT_HERE)]
        script = "\n".join(
            f"{command.replace('http://127.0.0.1:8000', one.address)}\necho; echo '{END}'" for command, _ in run
        )
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=tmp_path,
            env={**environment(), "HOME": str(tmp_path), "NO_PROXY": "127.0.0.1"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    printed = done.stdout.split(END)
    assert len(run) == len(printed) - 1 > 15
    for (command, expected), got in zip(run, printed, strict=False):
        assert re.fullmatch(_pattern(expected), _plain(got)), (command, expected, got)
    assert (tmp_path / "openapi.json").stat().st_size > 10_000
