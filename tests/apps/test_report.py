"""`report [FILE]`: all that the team stores, whole, without secrets, in a file for its owner alone."""

from __future__ import annotations

import json
import re
import stat
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from pydantic import SecretStr

from paperspace_storage_server.api.upstream import DIALECTS
from paperspace_storage_server.calls.service import Service
from paperspace_storage_server.commands.report import NoReport, gather, text_lines
from paperspace_storage_server.http.in_process import ThroughHttpx
from paperspace_storage_server.sandbox.app import create_app
from paperspace_storage_server.settings import Settings
from paperspace_storage_server.wire.messages import Dialect
from paperspace_storage_tools.page import html
from support.guarded import API_KEY, URL, Api, make
from support.service import service_over
from support.stdio_server import environment

Replace = Callable[[httpx.Request], httpx.Response | None]


@contextmanager
def _made(dialect: Dialect, **settings: Any) -> Generator[tuple[Api, Service]]:
    api, service = make(dialect, settings)
    try:
        yield api, service
    finally:
        api.close()


def _report(*arguments: str, home: Path) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "paperspace_storage_server", "report", *arguments],
        env={**environment(), "HOME": str(home), "USERPROFILE": str(home), "PYTHONIOENCODING": "utf-8"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def _data(page: str) -> dict[str, Any]:
    (data,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    found: dict[str, Any] = json.loads(data)
    return found


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_report_has_what_the_team_stores_and_no_secret(dialect: Dialect) -> None:
    with _made(dialect) as (api, service):
        seen = anyio.run(gather, service)
        assert (len(seen["drives"]["items"]), len(seen["snapshots"]["items"])) == (5, 12)
        kinds = ("datasets", "models", "notebooks", "sharedStorage")
        assert sum(seen["utilization"][kind] for kind in kinds) == 4_488_460_000_000
        assert not api.writes
        assert API_KEY not in json.dumps(seen)
        assert not [secret for secret in api.secrets if secret in json.dumps(seen)]


def test_a_report_of_a_large_team_has_every_page() -> None:
    app = create_app("live", large=True)
    settings = Settings(api_key=SecretStr(API_KEY), api_url=URL, dialect="live")
    try:
        seen = anyio.run(gather, service_over(lambda: ThroughHttpx.to(app), settings))
    finally:
        app.state.close()
    ids = [one["id"] for one in seen["snapshots"]["items"]]
    assert (len(ids), len(set(ids)), len(seen["drives"]["items"])) == (2000, 2000, 150)
    assert "nextPage" not in seen["snapshots"]
    lines = list(text_lines({**seen, "made": "now"}))
    assert len(lines) < 600
    assert sum(int(line.split("and ")[1].split()[0]) for line in lines if "... and" in line) > 1000


def test_a_tool_that_is_not_selected_leaves_its_part_out() -> None:
    with _made("live", toolsets=("utilization",)) as (_, service):
        assert list(anyio.run(gather, service)) == ["utilization"]


def test_a_report_on_nothing_is_refused() -> None:
    with _made("live", toolsets=("storage-providers",)) as (_, service), pytest.raises(NoReport, match="none of"):
        anyio.run(gather, service)


def test_a_part_that_cannot_be_read_ends_the_report_with_the_tool_s_own_words() -> None:
    refused = httpx.Response(403, json={"code": "FORBIDDEN", "message": "not this team"})
    with _made("live") as (api, service):
        api.instead = lambda request: refused if "/snapshots" in request.url.path else None
        with pytest.raises(NoReport, match="403"):
            anyio.run(gather, service)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_text_is_free_of_escapes_whatever_a_name_holds(dialect: Dialect) -> None:
    name = "before\x1b[31m red\x07\u202e\u2066 </script>"
    listed = [{"id": "ss1", "machineId": "ps1", "name": name, "isAutoSnapshot": False}]
    answer: object = listed if dialect == "published" else {"items": listed, "hasMore": False}
    with _made(dialect) as (api, service):
        api.instead = lambda request: httpx.Response(200, json=answer) if "/snapshots" in request.url.path else None
        lines = list(text_lines({**anyio.run(gather, service), "made": "now"}))
    assert all(line.removeprefix("\n").isprintable() for line in lines)
    assert any("before red </script> (ss1)" in line for line in lines)


def test_a_page_is_written_whole_and_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "storage.html"
    file.write_text("an older one", encoding="utf-8")
    file.chmod(0o644)
    assert _report(str(file), "--sandbox", home=tmp_path) == (0, "", "")
    page = file.read_text(encoding="utf-8")
    data = _data(page)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert {"utilization", "drives", "snapshots", "made"} <= set(data)
    assert data["made"].endswith("UTC, in the sandbox")
    assert page.split('id="data">')[0] == html().split('id="data">')[0]
    assert [path for path in tmp_path.iterdir() if path.is_file()] == [file]


def test_a_link_is_refused_and_what_it_leads_to_stays(tmp_path: Path) -> None:
    target = tmp_path / "kept"
    target.write_text("kept", encoding="utf-8")
    link = tmp_path / "storage.html"
    link.symlink_to(target)
    said = f"paperspace-storage-mcp: {link}: is a link; give the place that it leads to\n"
    assert _report(str(link), "--sandbox", home=tmp_path) == (1, "", said)
    assert target.read_text(encoding="utf-8") == "kept"


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    file = tmp_path / "no" / "storage.html"
    said = f"paperspace-storage-mcp: {file}: No such file or directory\n"
    assert _report(str(file), "--sandbox", home=tmp_path) == (1, "", said)


def test_without_a_file_a_text_is_printed(tmp_path: Path) -> None:
    code, out, err = _report("--sandbox", home=tmp_path)
    assert (code, err) == (0, "")
    assert "Stored: 4,488.5 GB; 5,000.0 GB included in the plan, 511.5 GB of it left\n" in out
    assert "  sharedStorage  ###########################      4,000.0 GB   89.1%\n" in out
    assert "Shared drives: 5, 4,000 GB provisioned\n" in out
    assert "Snapshots: 12 of 4 machines; no dates, newest first as listed\n" in out
    assert "    by hand    Before CUDA 12.8 upgrade (" in out


def test_without_a_key_the_report_says_what_to_set(tmp_path: Path) -> None:
    code, out, err = _report(home=tmp_path)
    assert (code, out) == (1, "")
    assert "PAPERSPACE_API_KEY" in err
