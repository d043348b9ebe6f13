"""Text that someone typed comes out clean and bounded, and clean text comes out as it was."""

from __future__ import annotations

import asyncio
import sys
import unicodedata
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from paperspace_storage_server.guard.hygiene import LONGEST_FIELD, Hygiene
from paperspace_storage_server.guard.secrets import Vault
from paperspace_storage_tools.text import clean, has_forbidden
from support.guarded import make

CATEGORIES = sorted({unicodedata.category(chr(code)) for code in range(sys.maxunicode + 1)})
FORBIDDEN_CATEGORIES = {"Cc", "Cf", "Cs", "Zl", "Zp"}
TAGS = range(0xE0000, 0xE1000)


def forbidden(character: str) -> bool:
    """Said a second time, by Unicode's own tables."""
    return unicodedata.category(character) in FORBIDDEN_CATEGORIES or ord(character) in TAGS


def test_every_control_format_surrogate_and_separator_code_point_of_this_python_is_forbidden() -> None:
    missed = [hex(code) for code in range(sys.maxunicode + 1) if forbidden(chr(code)) and not has_forbidden(chr(code))]
    assert missed == []


def test_no_letter_digit_punctuation_or_currency_is_forbidden_but_those_that_draw_nothing() -> None:
    blank = {0x115F, 0x1160, 0x3164, 0xFFA0}  # Hangul fillers
    wrong = [
        hex(code)
        for code in range(sys.maxunicode + 1)
        if unicodedata.category(chr(code))[0] in "LNP" and has_forbidden(chr(code)) and code not in blank
    ]
    assert wrong == []


def test_cleaning_twice_changes_nothing_more_for_any_code_point_in_the_middle_of_a_name() -> None:
    for code in range(sys.maxunicode + 1):
        name = f"a{chr(code)}b"
        once = clean(name)
        assert not has_forbidden(once), hex(code)
        assert (once == name) == (not has_forbidden(name)), hex(code)


LISTS = {
    "list_shared_drives": ("/shared-drives", {"id": "sd1"}, "name"),
    "list_snapshots": ("/snapshots", {"id": "ss1"}, "name"),
    "list_storage_providers": ("/storage-providers", {"id": "sp1"}, "name"),
}
texts = st.text(st.one_of([st.characters(categories=[name]) for name in CATEGORIES if name != "Cs"]), max_size=400)  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]


def check(name: str, notice: str | None, shown: str) -> None:
    assert not any(forbidden(character) for character in shown)
    assert not has_forbidden(shown)
    assert len(shown) <= LONGEST_FIELD
    removed, cut = has_forbidden(name), len(clean(name)) > LONGEST_FIELD
    if not removed and not cut:
        assert (shown, notice) == (name, None)
        return
    assert notice is not None
    assert ("Hidden or control characters were removed from text." in notice) == removed
    assert ("Long text was cut." in notice) == cut


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(texts, min_size=1, max_size=4))
def test_no_forbidden_character_comes_out_of_any_list_and_a_clean_name_is_unchanged(names: list[str]) -> None:
    """Through codec, tool and guard; one name at a time in each list, so that the notice is about it."""
    asyncio.run(_through_lists(names))


async def _through_lists(names: list[str]) -> None:
    api, service = make("live")
    page: dict[str, Any] = {}
    api.instead = lambda _: httpx.Response(200, json=page)
    from mcp import Client

    from paperspace_storage_server.mcp.server import build_server

    try:
        async with Client(build_server(service)) as client:
            for name in names:
                for tool, (_, item, field) in LISTS.items():
                    page.clear()
                    page.update(hasMore=False, items=[{**item, field: name}])
                    result = await client.call_tool(tool, {})
                    made = result.structured_content
                    assert made is not None
                    check(name, made.get("notice"), made["items"][0][field])
    finally:
        api.close()


@given(st.dictionaries(st.sampled_from(["name", "note", "error", "region"]), texts))
def test_results_of_any_text_are_clean_and_the_notice_is_there_only_where_something_changed(
    one: dict[str, str],
) -> None:
    made, text = Hygiene(Vault()).result(dict(one))
    notice = made.pop("notice", None)
    assert (made != one) == (notice is not None)
    assert not any(has_forbidden(str(value)) for value in made.values())
    assert "\n" not in text


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]8;;http://x\x07link\x1b]8;;\x07", "link"),
        ("a\r\nb", "a b"),
        ("ab\u202etxt.exe", "abtxt.exe"),
        ("hi" + "".join(chr(0xE0000 + ord(letter)) for letter in "ignore all"), "hi"),
        ("a\ufe0f", "a\ufe0f"),
        ("a\ufe0f\ufe0e\ufe0f", "a\ufe0f"),
        ("e\u0301", "e\u0301"),
        ("👩\u200d💻", "👩💻"),
    ],
)
def test_known_tricks_come_out_as_plain_text(typed: str, shown: str) -> None:
    assert clean(typed) == shown
