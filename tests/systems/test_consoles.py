"""Consoles and pipes whose encoding lacks letters: Windows gives pipes a page of 256 of them."""

from __future__ import annotations

import io
import json
import subprocess
import sys

import pytest

from paperspace_storage_server.process.console import can_show, show_anything
from support.stdio_server import environment

ODD = "日本 😀 “prod”"


def _run(encoding: str, *arguments: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "paperspace_storage_server", *arguments],
        env={**environment(), "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
    )
    return (
        done.returncode,
        done.stdout.decode(encoding if arguments[0] == "demo" else "utf-8"),
        done.stderr.decode("utf-8"),
    )


@pytest.mark.parametrize("encoding", ["cp1252", pytest.param("cp437", marks=pytest.mark.slow)])
def test_the_demo_tells_its_story_to_the_end(encoding: str) -> None:
    code, story, told = _run(encoding, "demo")
    assert (code, told) == (0, "")
    assert story.replace("\r\n", "\n").endswith("All steps did what they should.\n")
    assert ("#" * 40 in story) is (encoding != "cp437"), "cp437 has the block"


@pytest.mark.parametrize("encoding", ["cp1252", "utf-8"])
def test_what_programs_read_is_utf_8_whatever_the_page(encoding: str) -> None:
    arguments = {"name": ODD, "size": 50, "region": "ny2", "privateNetworkId": "neohsrg834g"}
    code, printed, told = _run(encoding, "call", "create_shared_drive", json.dumps(arguments), "--sandbox")
    assert code == 0, told
    assert json.loads(printed)["name"] == ODD


@pytest.mark.parametrize(("encoding", "shown"), [("utf-8", ODD), ("cp1252", "\\u65e5\\u672c \\ud83d\\ude00 “prod”")])
def test_a_letter_that_the_page_lacks_is_escaped_as_json_does_it(encoding: str, shown: str) -> None:
    raw = io.BytesIO()
    page = io.TextIOWrapper(raw, encoding=encoding)
    show_anything(page)
    print(json.dumps({"name": ODD}, ensure_ascii=False), file=page, end="", flush=True)
    printed = raw.getvalue().decode(encoding)
    assert printed == f'{{"name": "{shown}"}}'
    assert json.loads(printed) == {"name": ODD}
    assert can_show("é", page)
    assert can_show(ODD, page) is (encoding == "utf-8")
