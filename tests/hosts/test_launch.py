"""The command that is written, and which entries start this server, or this very installation."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from paperspace_storage_server.commands.hosts.launch import (
    Installation,
    runs_this_server,
    serves,
    shown,
    source_of,
    this_installation,
)
from paperspace_storage_server.commands.hosts.not_done import NotDone

HERE = Installation(
    python=Path("/opt/env/bin/python"),
    prefix=Path("/opt/env"),
    script=Path("/opt/env/bin/paperspace-storage-mcp"),
    source=None,
    cached=None,
    temporary=None,
    uvx=None,
)
CACHED = replace(HERE, cached=Path("/home/ann/.cache/uv"), uvx="/home/ann/.local/bin/uvx")


def test_an_environment_that_stays_is_named_by_the_path_of_its_script() -> None:
    assert replace(HERE, uvx="/usr/bin/uvx").command() == ("/opt/env/bin/paperspace-storage-mcp", "serve")


def test_without_a_script_its_interpreter_runs_the_module() -> None:
    without = replace(HERE, script=None)
    assert without.command() == ("/opt/env/bin/python", "-m", "paperspace_storage_server", "serve")


def test_from_a_cache_uvx_fetches_it_again_when_the_cache_is_emptied(tmp_path: Path) -> None:
    assert CACHED.command() == ("/home/ann/.local/bin/uvx", "paperspace-storage-mcp", "serve")
    checkout = replace(CACHED, source=str(tmp_path))
    assert checkout.command() == (CACHED.uvx, "--from", str(tmp_path), "paperspace-storage-mcp", "serve")
    vcs = replace(CACHED, source="git+https://example.com/it@abc")
    assert vcs.command() == (CACHED.uvx, "--from", "git+https://example.com/it@abc", "paperspace-storage-mcp", "serve")


def test_from_a_cache_without_uvx_there_is_nothing_that_lasts(tmp_path: Path) -> None:
    with pytest.raises(NotDone, match=re.escape("stands in a cache (/home/ann/.cache/uv)")):
        replace(CACHED, uvx=None).command()
    with pytest.raises(NotDone, match="which is gone"):
        replace(CACHED, source=str(tmp_path / "gone.whl")).command()


@pytest.mark.parametrize(
    ("direct_url", "source"),
    [
        (None, None),
        ('{"url": "file:///src/a%20b", "dir_info": {"editable": true}}', "/src/a b"),
        ('{"url": "file:///C:/src/it.whl", "archive_info": {}}', "C:/src/it.whl"),
        ('{"url": "https://example.com/it.whl", "archive_info": {}}', "https://example.com/it.whl"),
        (
            '{"url": "https://example.com/it.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}}',
            "git+https://example.com/it.git@abc",
        ),
        ('{"url": "https://example.com/it.git", "vcs_info": {"vcs": "git"}}', None),
        ("[]", None),
        ("{", None),
    ],
)
def test_what_it_was_installed_from_is_what_uvx_is_told(direct_url: str | None, source: str | None) -> None:
    assert source_of(direct_url) == source


@pytest.mark.parametrize(
    ("where", "marked", "variable"),
    [
        ("uv/archive-v0/x1/env", "uv", None),  # uv marks its cache
        (".cache/pipx/5d2f", None, None),
        ("Library/Caches/pipx/5d2f", None, None),
        ("other/archive-v0/x1", None, "UV_CACHE_DIR"),
    ],
)
def test_a_cache_is_known_by_its_mark_its_name_or_its_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, marked: str | None, variable: str | None
) -> None:
    prefix = tmp_path / where
    prefix.mkdir(parents=True)
    if marked:
        (tmp_path / marked / "CACHEDIR.TAG").touch()
    monkeypatch.setattr(sys, "prefix", str(prefix))
    environ = {variable: str(tmp_path / "other")} if variable else {}
    found = this_installation(environ)
    assert found.cached is not None
    assert prefix.is_relative_to(found.cached)
    assert found.temporary is None


def test_an_environment_that_marks_itself_is_no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`uv venv` does so, for backups to leave it out."""
    (tmp_path / "CACHEDIR.TAG").touch()
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path.parent))
    found = this_installation({})
    assert (found.cached, found.temporary) == (None, tmp_path.parent)


def test_uvx_is_written_with_its_path_unless_that_is_in_a_cache_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    for folder, written in (("bin", str(tmp_path / "bin" / "uvx")), (".cache/x/bin", "uvx"), ("tmp/bin", "uvx")):
        program = tmp_path / folder / "uvx"
        program.parent.mkdir(parents=True)
        program.touch(0o755)
        assert this_installation({"PATH": str(program.parent)}).uvx == written
        assert this_installation({"PATH": "/nowhere", "UV": str(program.with_name("uv"))}).uvx == written
    assert this_installation({"PATH": "/nowhere"}).uvx is None


OURS = [
    ("/opt/x/bin/paperspace-storage-mcp",),
    ("C:\\x\\Scripts\\paperspace-storage-mcp.EXE", "serve"),
    ("uvx", "paperspace-storage-mcp"),
    ("/usr/bin/uvx", "--from", "/src/checkout", "paperspace-storage-mcp", "serve"),
    ("uvx", "paperspace-storage-mcp@0.2.0", "--sandbox"),
    ("uv", "tool", "run", "paperspace-storage-mcp[speed]==0.2"),
    ("uv", "run", "--directory", "/src", "paperspace-storage-mcp"),
    ("pipx", "run", "paperspace-storage-mcp"),
    ("/opt/x/bin/python3.12", "-m", "paperspace_storage_server", "serve"),
    ("py", "-3", "-m", "paperspace_storage_server"),
    ("python", "/opt/x/bin/paperspace-storage-mcp"),
    ("docker", "run", "-i", "--rm", "ghcr.io/someone/paperspace-storage-mcp:0.2"),
    ("sh", "-c", "make -s .venv/.run >&2 && exec .venv/bin/paperspace-storage-mcp"),
]
OTHERS = [
    ("npx", "-y", "@modelcontextprotocol/server-filesystem", "/src/paperspace-storage-mcp"),
    ("uvx", "mcp-server-git", "--repository", "/src/paperspace-storage-mcp"),
    ("python", "-m", "http.server", "--directory", "/src/paperspace-storage-mcp"),
    ("docker", "run", "-v", "/src/paperspace-storage-mcp:/src", "other"),
    ("paperspace-storage-mcp-proxy",),
    ("sh", "-c", "cd /src/paperspace-storage-mcp-web && npm start"),
    ("uvx", "paperspace-storage-mcp-web"),
]


@pytest.mark.parametrize("command", OURS, ids=" ".join)
def test_every_way_to_start_this_server_is_known(command: tuple[str, ...]) -> None:
    assert runs_this_server(command)


@pytest.mark.parametrize("command", OTHERS, ids=" ".join)
def test_a_server_that_only_speaks_of_this_one_is_another(command: tuple[str, ...]) -> None:
    assert not runs_this_server(command)


@pytest.fixture
def installed(tmp_path: Path) -> Installation:
    """An environment on the disk, its interpreter a link as everywhere."""
    bin = tmp_path / "env" / "bin"
    bin.mkdir(parents=True)
    (tmp_path / "python3.11").touch(0o755)
    (bin / "python").symlink_to(tmp_path / "python3.11")
    (bin / "paperspace-storage-mcp").touch(0o755)
    (tmp_path / "local").symlink_to(bin)
    return replace(HERE, python=bin / "python", prefix=bin.parent, script=bin / "paperspace-storage-mcp")


def test_an_entry_starts_this_installation_by_its_script_a_link_to_it_or_its_interpreter(
    tmp_path: Path, installed: Installation
) -> None:
    script = str(installed.script)
    assert installed.starts((script, "--sandbox")) == (script, "--sandbox")
    assert installed.starts((str(tmp_path / "local" / "paperspace-storage-mcp"),)) == (script,)
    module = (str(installed.python), "-m", "paperspace_storage_server")
    assert installed.starts((*module, "serve")) == (*module, "serve")


def test_a_cached_one_is_started_without_asking_uvx(installed: Installation) -> None:
    cached = replace(installed, cached=Path("/c"), uvx="/b/uvx")
    started = cached.starts(("/b/uvx", "paperspace-storage-mcp", "--sandbox"))
    assert started == (str(installed.python), "-m", "paperspace_storage_server", "--sandbox")
    assert cached.starts(("/tmp/uvx", "paperspace-storage-mcp")) is None
    assert cached.starts(("/b/uvx", "--from", "/evil", "paperspace-storage-mcp")) is None
    assert installed.starts(("/b/uvx", "paperspace-storage-mcp")) is None


def test_another_program_of_that_name_another_environment_and_other_modules_are_not_it(
    tmp_path: Path, installed: Installation
) -> None:
    twin = tmp_path / "other" / "paperspace-storage-mcp"
    twin.parent.mkdir()
    twin.touch(0o755)
    (twin.parent / "python").symlink_to(tmp_path / "python3.11")
    script, python = str(installed.script), str(installed.python)
    for command in [
        (str(twin),),
        (str(twin.parent / "python"), "-m", "paperspace_storage_server"),
        (python, "-m", "other"),
        (python, "-c", "import paperspace_storage_server"),
        (python, script),
        ("sh", "-c", script),
        (os.path.relpath(script),),
        (script + "\0",),
    ]:
        assert installed.starts(command) is None


def test_only_what_serves_is_ever_started() -> None:
    it = "/opt/paperspace-storage-mcp"
    module = ("/opt/python", "-m", "paperspace_storage_server")
    assert all(serves(command) for command in [(it,), (it, "serve"), (it, "--sandbox"), module, (*module, "serve")])
    assert not any(
        serves(command) for command in [(it, "uninstall", "codex"), (it, "demo"), (it, "--help"), (*module, "token")]
    )


def test_a_shown_command_hides_what_may_hold_a_secret() -> None:
    assert shown(["env", "PAPERSPACE_API_KEY=sk-1", "x" * 201, "serve"]) == "env [hidden] [hidden] serve"
