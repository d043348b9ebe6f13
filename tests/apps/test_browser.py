"""The page in a real browser, inside a small host on the Apps extension's own bridge, and the report by itself.

`UPDATE_SCREENSHOTS=1` writes what it looks like to `docs/apps/`.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Generator
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
import pytest
from pydantic import SecretStr

from paperspace_storage_server.calls.service import Service
from paperspace_storage_server.commands.report import gather
from paperspace_storage_server.http.in_process import ThroughHttpx
from paperspace_storage_server.sandbox.app import create_app
from paperspace_storage_server.settings import Settings
from paperspace_storage_server.wire.messages import Dialect
from paperspace_storage_tools.page import html, html_with
from support.clients import Clients, install
from support.guarded import API_KEY, URL
from support.service import service_over
from support.stdio_server import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

HOSTILE = '</script><img src="http://evil.test/x" onerror="alert(1)"><b>bold</b> \u05d0\u05d1' + "x" * 70
THEMES = ["light", "dark"]
WIDTHS = [320, 1600]
GROUNDS = {"light": "rgb(252, 252, 251)", "dark": "rgb(25, 26, 28)"}
Outcome = dict[str, Any]


def _stored(dialect: Dialect, *, large: bool = False) -> dict[str, Any]:
    """What the tools answer of a sandbox, with a hostile name in front of each list."""
    app = create_app(dialect, large=large)
    settings = Settings(api_key=SecretStr(API_KEY), api_url=URL, dialect=dialect)
    service: Service = service_over(lambda: ThroughHttpx.to(app), settings)
    try:
        stored = anyio.run(gather, service)
    finally:
        app.state.close()
    stored["drives"]["items"][0]["name"] = HOSTILE
    stored["snapshots"]["items"][0]["name"] = HOSTILE
    return stored


def _result(structured: object) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": json.dumps(structured)}], "structuredContent": structured}


def _case(name: str, tool: str, shown: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "tool": tool, "shown": shown, "themes": ["light"], "widths": [320], "shots": [], **more}


def _cases() -> list[dict[str, Any]]:
    live, dated, large = _stored("live"), _stored("published"), _stored("live", large=True)
    all_shots = [f"{theme} {width}" for theme in THEMES for width in WIDTHS]
    views: dict[str, Any] = {"themes": THEMES, "widths": WIDTHS, "shots": all_shots, "tree": True}
    page = {"items": large["snapshots"]["items"][:120], "hasMore": True, "nextPage": "c2"}
    rest = {"items": large["snapshots"]["items"][120:200], "hasMore": False}
    of_machines = list(dict.fromkeys(one["machineId"] for one in live["snapshots"]["items"]))
    machines = [
        {
            "machineId": f"ps{number:09d}",
            "snapshots": 40 - 9 * number,
            "automatic": 14 - 4 * number,
            "newest": {"id": f"ss{number}", "name": HOSTILE if number == 0 else "Before kernel upgrade"},
            "oldest": {"id": f"st{number}", "name": "Clean Ubuntu 22.04 with drivers"},
        }
        for number in range(4)
    ]
    going_on = {"machines": [{**machines[0], "oldest": {"id": "su1", "name": "First of all"}}]}
    return [
        _case("utilization", "get_storage_utilization", "4,488 GB", result=_result(live["utilization"]), **views),
        _case("drives", "list_shared_drives", "Shared drives", result=_result(live["drives"]), **views),
        _case("snapshots", "list_snapshots", "by machine", result=_result(live["snapshots"]), **views),
        _case(
            "dated",
            "list_snapshots",
            "By date.",
            result=_result(dated["snapshots"]),
            **{**views, "shots": ["light 1600"]},
        ),
        _case(
            "summary",
            "list_snapshots",
            "106 snapshots",
            input={"summary": True},
            result=_result({"machines": machines, "total": 106, "hasMore": True, "nextPage": "c2"}),
            next=_result(going_on),
            more="80, 28 automatic",
            **views,
        ),
        _case(
            "many",
            "list_snapshots",
            "120 snapshots so far",
            input={"limit": 120, "region": "x"},
            result=_result(page),
            next=_result(rest),
            more="200 snapshots",
            themes=THEMES,
            widths=WIDTHS,
            keys=["ArrowLeft", "Home", "End", "ArrowRight"],
        ),
        _case(
            "no-more",
            "list_snapshots",
            "120 snapshots so far",
            result=_result(page),
            next={"isError": True, "content": [{"type": "text", "text": "The API does not accept the key."}]},
            more="This could not be had: The API does not accept the key.",
        ),
        _case(
            "named",
            "mcp__x__list_snapshots",
            "by machine",
            result=_result(live["snapshots"]),
            machines=[
                _result(
                    {
                        "items": [{"id": of_machines[0], "name": "<i>gpu</i>" + HOSTILE}],
                        "hasMore": True,
                        "nextPage": "m2",
                    }
                ),
                _result({"items": [{"id": of_machines[1], "name": "trainer"}], "hasMore": False}),
            ],
            named=["<i>gpu</i>", "trainer"],
            themes=THEMES,
            widths=WIDTHS,
        ),
        _case(
            "no-names",
            "list_snapshots",
            "106 snapshots",
            result=_result({"machines": machines, "total": 106, "hasMore": False}),
            machines=[{"isError": True, "content": [{"type": "text", "text": "Unknown tool: list_machines"}]}],
            named=["This could not be had: Unknown tool: list_machines"],
        ),
        _case("no-calls", "list_snapshots", "Ask for the next page.", result=_result(page), capabilities={}),
        _case("by-name", "list_snapshots", "by name.", input={"orderBy": "name"}, result=_result(live["snapshots"])),
        _case("guessed", "", "Shared drives", result=_result(live["drives"])),
        _case("empty", "mcp__x__list_shared_drives", "There are no shared drives here.", result=_result({"items": []})),
        _case(
            "failed", "list_snapshots", "401", result={"isError": True, "content": [{"type": "text", "text": "401"}]}
        ),
        _case("nothing", "list_snapshots", "no result that can be shown", result={"content": []}),
        _case("unknown", "get_snapshot", "does not know this kind", result=_result({"id": "ss1"})),
        _case("broken", "list_snapshots", "cannot be shown", result=_result({"items": [None, 3, "x"]})),
        _case("cancelled", "list_snapshots", "The call was cancelled. by the person", cancelled="by the person"),
        _case("waiting", "list_snapshots", "Waiting for the result", teardown=True),
        _case(
            "odd-host",
            "list_snapshots",
            "by machine",
            result=_result(live["snapshots"]),
            context={
                "locale": "no such locale",
                "timeZone": "Mars/Olympus",
                "styles": {"variables": {"--color-background-primary": "rgb(1, 2, 3)"}},
            },
        ),
        _case("ways-out", "list_snapshots", "by machine", result=_result(live["snapshots"]), way=True),
    ]


@pytest.fixture(scope="module")
def host() -> Generator[Clients]:
    with TemporaryDirectory(prefix="app-host-") as folder:
        yield install(Path(folder), ROOT / "tests" / "apps" / "browser")


@pytest.fixture(scope="module")
def looked_at(host: Clients) -> dict[str, Any]:
    shots = ROOT / "docs" / "apps" if os.environ.get("UPDATE_SCREENSHOTS") else None
    if shots is not None:
        shots.mkdir(exist_ok=True)
    live = _stored("live")
    report = html_with(
        {**live, "made": f"Seen now {HOSTILE}", "names": {live["snapshots"]["items"][0]["machineId"]: HOSTILE}}
    )
    told = {"page": html(), "report": report, "cases": _cases(), "shots": None if shots is None else str(shots)}
    done = subprocess.run(
        ["node", "host.mjs"],
        cwd=host.folder,
        input=json.dumps(told),
        capture_output=True,
        text=True,
        timeout=360,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _of(looked_at: dict[str, Any], name: str) -> list[Outcome]:
    found = [one for one in looked_at["outcomes"] if one["name"] == name]
    assert found, name
    return found


def _one(looked_at: dict[str, Any], name: str) -> Outcome:
    return _of(looked_at, name)[0]


def test_no_request_leaves_the_page_whatever_a_name_holds(looked_at: dict[str, Any]) -> None:
    assert set(looked_at["requests"]) == {"http://host.test/", "http://host.test/report", "http://host.test/alone"}


def test_nothing_is_markup_and_no_script_of_a_name_runs(looked_at: dict[str, Any]) -> None:
    assert [one["name"] for one in looked_at["outcomes"] if one["foreign"]] == []
    assert [
        (one["name"], one["troubles"])
        for one in looked_at["outcomes"]
        if one["troubles"] and one["name"] not in ("broken", "ways-out")
    ] == []
    for view in ("drives", "snapshots", "dated", "summary", "report"):
        assert all(HOSTILE[:60] in one["text"].replace("\n", "") for one in _of(looked_at, view)), view


def test_every_view_fits_its_width_in_both_themes(looked_at: dict[str, Any]) -> None:
    views = ("utilization", "drives", "snapshots", "dated", "summary", "many", "report")
    seen = [one for view in views for one in _of(looked_at, view)]
    assert len(seen) == len(views) * len(THEMES) * len(WIDTHS)
    assert [(one["name"], one["width"]) for one in seen if one["wide"] > 0] == []
    assert [one["ground"] for one in seen] == [GROUNDS[one["theme"]] for one in seen]


def test_the_policy_stops_every_way_out_of_the_page(looked_at: dict[str, Any]) -> None:
    ways = _one(looked_at, "ways-out")["ways"]
    assert ways["out"] == ["fetch"]
    assert ways["inline"] is False
    blocked = set(ways["blocked"])
    assert {"connect-src", "img-src", "frame-src", "script-src-elem", "style-src-elem"} <= blocked
    assert {"style-src-attr", "script-src-attr"} <= blocked


def test_utilization_says_what_is_stored_and_what_is_left(looked_at: dict[str, Any]) -> None:
    tree = _one(looked_at, "utilization")["tree"]
    assert '- heading "What the team stores" [level=2]' in tree
    assert '- row "Shared storage 4,000 GB 89.1%":' in tree
    assert "5,000 GB included in the plan, 512 GB of it left" in tree


def test_drives_are_a_list_with_sizes_and_places(looked_at: dict[str, Any]) -> None:
    text = _one(looked_at, "drives")["text"]
    assert "5 drives, 4,000 GB provisioned" in text
    assert "model-checkpoints\n1,000 GB" in text


def test_snapshots_stand_on_a_line_in_order_and_say_so_where_there_are_no_dates(looked_at: dict[str, Any]) -> None:
    without, dated = _one(looked_at, "snapshots"), _one(looked_at, "dated")
    assert "12 snapshots, 4 machines. No dates here: in the list's order, newest on the right." in without["text"]
    assert "12 snapshots, 4 machines. By date." in dated["text"]
    assert "taken by hand" in without["text"]
    assert "taken by hand" not in dated["text"]  # the published dialect does not say which are automatic
    assert "in the list's order, by name." in _one(looked_at, "by-name")["text"]


def test_a_screen_reader_is_told_name_kind_and_which_one_is_shown(looked_at: dict[str, Any]) -> None:
    tree = _one(looked_at, "snapshots")["tree"]
    assert '- group "3 snapshots; arrow keys move":' in tree
    assert '- button "Working JupyterLab setup · by hand · ' in tree
    assert "· automatic · ss" in tree
    assert tree.count("[pressed]") == 4  # of each machine the newest


def test_dots_keep_their_distance_and_the_newest_of_each_line_stands_at_its_end(looked_at: dict[str, Any]) -> None:
    for one in [*_of(looked_at, "many"), *_of(looked_at, "dated")]:
        for line in one["lines"]:
            assert all(after - before > 21.9 for before, after in pairwise(line)), one["name"]
    for one in _of(looked_at, "many"):
        assert len({round(line[-1]) for line in one["lines"]}) == 1


def test_the_keyboard_moves_along_a_line(looked_at: dict[str, Any]) -> None:
    for one in _of(looked_at, "many"):
        labels = [label for label, _ in one["pressed"]]
        back, first, last, still = labels
        assert last == still
        assert len({back, first, last}) == 3
        assert [shown.replace("\n", " ") for _, shown in one["pressed"]] == labels


def test_more_is_asked_of_the_host_with_the_same_arguments_and_the_cursor(looked_at: dict[str, Any]) -> None:
    for one in _of(looked_at, "many"):
        assert one["calls"] == [{"name": "list_snapshots", "arguments": {"limit": 120, "region": "x", "after": "c2"}}]
        assert "200 snapshots, " in one["after"]["text"]
        assert "Show more" not in one["after"]["text"]
    assert _one(looked_at, "guessed")["text"].startswith("Shared drives")


def test_a_summary_that_goes_on_adds_up_by_machine(looked_at: dict[str, Any]) -> None:
    one = _one(looked_at, "summary")
    assert one["calls"] == [{"name": "list_snapshots", "arguments": {"summary": True, "after": "c2"}}]
    assert "80, 28 automatic" in one["after"]["text"]
    assert "Oldest: First of all" in one["after"]["text"]


def test_a_page_that_is_not_had_is_said_and_can_be_asked_for_again(looked_at: dict[str, Any]) -> None:
    text = _one(looked_at, "no-more")["after"]["text"]
    assert "120 snapshots so far" in text
    assert "Show more" in text


def test_machines_get_their_names_from_the_host_where_somebody_asks(looked_at: dict[str, Any]) -> None:
    for one in _of(looked_at, "named"):
        asked = [{"name": "mcp__x__list_machines", "arguments": {"limit": 120, "after": after}} for after in ("", "m2")]
        assert one["calls"] == asked
        text = one["named"]["text"].replace("\n", "")
        assert ("<i>gpu</i>" + HOSTILE[:60] in text, "trainer ps" in text) == (True, True)
        assert "Show machine names" not in text
        assert (one["named"]["foreign"], one["named"]["wide"]) == (0, 0)
    assert "Show machine names" in _one(looked_at, "no-names")["named"]["text"]
    for none in ("drives", "utilization", "empty", "report"):
        assert "Show machine names" not in _one(looked_at, none)["text"]


def test_a_host_that_cannot_call_tools_is_not_asked(looked_at: dict[str, Any]) -> None:
    for button in ("Show more", "Show machine names"):
        assert button not in _one(looked_at, "no-calls")["text"]


def test_a_host_s_odd_words_do_no_harm_and_its_colours_count(looked_at: dict[str, Any]) -> None:
    one = _one(looked_at, "odd-host")
    assert "12 snapshots" in one["text"]
    assert one["ground"] == "rgb(1, 2, 3)"


def test_the_host_may_take_the_page_down(looked_at: dict[str, Any]) -> None:
    assert _one(looked_at, "waiting")["teardown"] == {}


def test_without_a_host_the_page_says_so(looked_at: dict[str, Any]) -> None:
    assert (
        _one(looked_at, "alone")["text"].strip()
        == "This page shows a tool's result inside an MCP host. There is none here."
    )


def test_the_report_shows_all_three_parts(looked_at: dict[str, Any]) -> None:
    for one in _of(looked_at, "report"):
        parts = ("Paperspace storage", "What the team stores", "Shared drives", "Snapshots by machine")
        places = [one["text"].index(part) for part in parts]
        assert places == sorted(places)
