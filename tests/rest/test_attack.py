"""The attack over REST ends with nothing gone, nothing restored, no secret out and no line put into an answer."""

from __future__ import annotations

from collections import Counter

import pytest

from support.attack_rest import attack

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


async def test_nothing_but_http_gets_out_neither_a_secret_nor_an_unconfirmed_deletion() -> None:
    made = await attack()
    assert (made.gone, made.restores, made.secrets, made.injected) == ([], 0, [], [])
    assert len(made.attempts) > 550
    statuses: Counter[str] = Counter(one.answer[:3] for one in made.attempts)
    assert {status for status in statuses if status[0] in "05"} <= {"501"}
    assert statuses["428"] > 100  # what was asked for was there, and only the name was missing
    by_path = [one.answer[:3] for one in made.attempts if one.what == "another path"]
    assert set(by_path) == {"400", "404"}
    assert {one.answer[:3] for one in made.attempts if one.what.startswith("without the token")} == {"401"}
    redirected = [one.answer for one in made.attempts if one.what.startswith(("redirect tied", "tied keys"))]
    assert (len(redirected), {answer[:3] for answer in redirected}) == (11, {"400", "403"})


async def test_the_attack_sees_what_is_gone_where_nothing_is_confirmed() -> None:
    made = await attack(confirm="never")
    assert len(made.gone) > 1
    assert made.restores > 0
