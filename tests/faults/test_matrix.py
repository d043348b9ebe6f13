"""Every fault on every operation in both dialects: what may never happen, and that matrix.md is true."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from faults.matrix import METHODS, Row, page, rows
from support.fault_proxy import FAULTS, SLOW

_DOCUMENT = Path(__file__).with_name("matrix.md")
_UNTOLD = {("200, empty", "restore", "published")}
"""The published specification promises a restore no more than a 200: an empty one is what an API that acted says."""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def matrix() -> list[Row]:
    return asyncio.run(rows())


def _named(matrix: list[Row], holds: list[bool]) -> list[Row]:
    """The rows for which it does not hold."""
    return [one for one, good in zip(matrix, holds, strict=True) if not good]


def test_every_fault_is_met_by_every_operation_in_both_dialects(matrix: list[Row]) -> None:
    assert len(matrix) == len(FAULTS) * 5 * 2 * 2


def test_a_post_is_repeated_only_where_the_api_said_that_it_did_not_act(matrix: list[Row]) -> None:
    posts = [one for one in matrix if METHODS[one.act] == "POST"]
    assert _named(posts, [one.main == 1 or (one.fault.startswith("429") and one.main <= 4) for one in posts]) == []
    assert _named(posts, [one.committed <= 1 for one in posts]) == []


def test_what_may_be_repeated_is_repeated_up_to_the_limit_and_not_beyond(matrix: list[Row]) -> None:
    others = [one for one in matrix if METHODS[one.act] != "POST"]
    assert _named(others, [one.main <= 4 for one in others]) == []
    kept_failing = ("reset", "truncated", "bytes", "500", "502", "503", "408")
    lost = [one for one in others if one.often == "always" and one.fault.startswith(kept_failing)]
    gone = [one for one in lost if one.act == "delete" and one.acted]  # the second try may find nothing more
    assert _named(lost, [one.main == 4 or one in gone for one in lost]) == []


def test_no_fault_makes_two_of_one(matrix: list[Row]) -> None:
    creates = [one for one in matrix if one.act == "create"]
    assert _named(creates, [one.made <= 1 for one in creates]) == []


def test_no_success_is_wrong(matrix: list[Row]) -> None:
    good = [one for one in matrix if one.ok and (one.fault, one.act, one.dialect) not in _UNTOLD]
    assert _named(good, [one.done for one in good]) == []
    wanted = {"create": 1, "delete": -1}
    assert _named(good, [one.made == wanted.get(one.act, 0) for one in good]) == []


def test_a_fault_that_hits_once_costs_a_pause_and_no_more_where_a_repeat_is_allowed(matrix: list[Row]) -> None:
    passing = ("reset", "latency", "truncated", "bytes", "wrong content", "500", "502", "503", "408", "hang", "slow")
    once = [
        one for one in matrix if one.often == "once" and METHODS[one.act] != "POST" and one.fault.startswith(passing)
    ]
    assert _named(once, [one.ok for one in once]) == []


def test_a_lost_answer_of_a_creation_that_happened_is_found(matrix: list[Row]) -> None:
    made = [one for one in matrix if one.act == "create" and one.committed]
    assert _named(made, [one.ok and one.made == 1 for one in made]) == []


def test_after_a_write_the_text_says_whether_anything_was_changed(matrix: list[Row]) -> None:
    failed = [one for one in matrix if not one.ok and one.act != "read"]
    nothing, doubts = "Nothing was changed.", ("is unknown", "and it is still there")
    assert _named(failed, [one.text.endswith(nothing) or any(d in one.text for d in doubts) for one in failed]) == []
    sure = [one for one in failed if one.text.endswith(nothing)]
    assert _named(sure, [one.committed == 0 and not one.done for one in sure]) == []


def test_no_text_shows_the_inside_or_the_page_of_a_gateway(matrix: list[Row]) -> None:
    shown = ("Traceback", "failed inside", "<h1", "http://", "\x00")
    assert _named(matrix, [not any(one in row.text for one in shown) for row in matrix]) == []


def test_the_document_is_what_the_matrix_says(matrix: list[Row]) -> None:
    def fixed(text: str) -> list[str]:
        return [line for line in text.splitlines() if not line.startswith(tuple(f"| {name} |" for name in SLOW))]

    assert fixed(_DOCUMENT.read_text(encoding="utf-8")) == fixed(page(matrix))
