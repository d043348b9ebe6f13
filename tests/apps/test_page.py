"""The page as a text: its size, its policy, and data that cannot leave its place. Browsers stand in the slow suite."""

from __future__ import annotations

import hashlib
import json
import re
from base64 import b64encode

from paperspace_storage_tools.arguments import LARGEST_PAGE
from paperspace_storage_tools.page import html, html_with

HOSTILE = "</script><script>alert(1)</script><!-- <img src=x onerror=alert(1)> \u2028 ü"


def _inside(text: str, tag: str) -> str:
    (found,) = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
    assert isinstance(found, str)
    return found


def test_the_page_is_under_20_kb() -> None:
    assert len(html().encode()) < 20_000


def test_the_policy_lets_in_the_page_s_own_style_and_script_and_nothing_else() -> None:
    (policy,) = re.findall(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">', html())
    allowed = dict(part.split(" ", 1) for part in policy.split("; "))
    digests = {
        tag: f"'sha256-{b64encode(hashlib.sha256(_inside(html(), tag).encode()).digest()).decode()}'"
        for tag in ("script", "style")
    }
    assert allowed == {
        "default-src": "'none'",
        "script-src": digests["script"],
        "style-src": digests["style"],
        "base-uri": "'none'",
        "form-action": "'none'",
    }


def test_the_policy_stands_before_anything_that_it_is_about() -> None:
    assert html().index("Content-Security-Policy") < min(html().index("<style>"), html().index("<script"))


def test_the_page_names_no_address_and_makes_no_markup_from_text() -> None:
    text = html()
    assert re.findall(r"""(?:https?:|//[a-z]|src=|href=|url\(|@import)""", text.replace("// ", "")) == []
    sinks = (
        r"innerHTML|outerHTML|insertAdjacent|document\.write|eval|Function\(|setTimeout|fetch|XMLHttp|Socket|import\("
    )
    assert re.findall(sinks, text) == []
    assert re.findall(r"\son[a-z]+=|style=", text) == []


def test_the_page_asks_for_as_much_as_one_request_may() -> None:
    assert set(re.findall(r"limit: (\d+)", html())) == {str(LARGEST_PAGE)}


def test_data_stands_in_the_page_whole_and_cannot_leave_its_place() -> None:
    shown = {"drives": {"items": [{"id": "sd1", "name": HOSTILE}]}, "made": HOSTILE}
    text = html_with(shown)
    (data,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert json.loads(data) == shown
    assert "<" not in data
    assert text.replace(data, "null") == html()
