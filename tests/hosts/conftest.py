from __future__ import annotations

import gc
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeAlias

import pytest

from paperspace_storage_server.__main__ import main
from paperspace_storage_server.commands.hosts.launch import this_installation


class Done(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str


Run: TypeAlias = Callable[..., Done]


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home on a machine without any host, and no setting in the environment."""
    for name in list(os.environ):
        if name.upper().startswith(("PAPERSPACE_", "CLAUDE_", "CODEX_", "GEMINI_", "QWEN_", "XDG_", "CONTINUE_")):
            monkeypatch.delenv(name)
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    monkeypatch.setenv("PATH", str(home / "no-programs"))
    # A checkout may stand in the real one, as CI's does: no test is about that unless it says so.
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path_factory.mktemp("temporary")))
    monkeypatch.chdir(tmp_path)
    return home


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """One command in this process."""

    def run(*arguments: str | Path) -> Done:
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        gc.enable()  # the command line switches it off for its imports
        out, err = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Done(ended.value.code, out, err)

    return run


@pytest.fixture
def command() -> list[str]:
    """What a host is told to start."""
    return list(this_installation(os.environ).command())
