"""What every form of the store must do, whichever process asks."""

from __future__ import annotations

import asyncio
import math

import pytest

from paperspace_storage_server.state.store import Add, Drop, Get, Put, Swap, key_of
from state.conftest import Form

pytestmark = pytest.mark.anyio


async def test_a_value_is_seen_by_all_until_it_expires(form: Form) -> None:
    await form.store.put("a", "värde \U0001f5ff", 10)
    await form.store.put("kept", "for good", None)
    assert await form.twin.get("a") == "värde \U0001f5ff"
    await form.pass_time(9.5)
    assert await form.twin.get("a") == "värde \U0001f5ff"
    await form.pass_time(0.5)
    assert await form.twin.get("a") is None
    assert await form.store.get("never") is None
    await form.pass_time(10**7)
    assert await form.twin.get("kept") == "for good"


async def test_a_token_is_used_once_by_whoever_is_first(form: Form) -> None:
    used = await asyncio.gather(*(store.add("token", "used", 60) for store in (form.store, form.twin) * 20))
    assert sorted(used) == [False] * 39 + [True]
    await form.pass_time(59)
    assert not await form.twin.add("token", "used", 60)
    await form.pass_time(1)
    assert await form.twin.add("token", "used", 60)


async def test_a_value_is_replaced_or_dropped_only_where_it_is_what_was_seen(form: Form) -> None:
    assert not await form.store.swap("a", "1", "2", 10)
    assert await form.store.get("a") is None
    await form.store.put("a", "1", 10)
    assert not await form.twin.swap("a", "other", "2", 10)
    assert await form.twin.swap("a", "1", "2", 20)
    await form.pass_time(15)
    assert await form.store.get("a") == "2"
    assert not await form.store.drop("a", "1")
    assert await form.store.drop("a", "2")
    assert not await form.store.drop("a", "2")
    await form.store.put("a", "3", None)
    assert await form.twin.drop("a")
    assert not await form.twin.drop("a")
    assert await form.store.get("a") is None


async def test_what_is_done_together_is_what_each_step_does_alone(form: Form) -> None:
    await form.store.put("old", "1", 10)
    said = await form.store.together(
        Add("turn", "mine", 10), Get("old"), Put("new", "2", None), Swap("old", "1", "3", 20), Drop("new", "other")
    )
    assert said == [True, "1", None, True, False]
    await form.pass_time(15)
    assert [await form.twin.get(key) for key in ("turn", "old", "new")] == [None, "3", "2"]
    assert await form.twin.together(Drop("new"), Drop("new"), Get("new"), Get("old")) == [True, False, None, "3"]
    assert await form.twin.together() == []


async def test_what_follows_an_add_or_a_swap_that_did_not_happen_is_left_out(form: Form) -> None:
    await form.store.put("turn", "theirs", 10)
    assert await form.twin.together(Add("turn", "mine", 10), Put("a", "1", 10)) == [False]
    assert await form.twin.together(Get("a"), Swap("turn", "mine", "mine", 10), Put("a", "1", 10)) == [None, False]
    assert await form.store.get("a") is None
    assert await form.store.get("turn") == "theirs"


async def test_an_expired_value_can_neither_be_replaced_nor_dropped(form: Form) -> None:
    await form.store.put("a", "1", 10)
    await form.pass_time(10)
    assert not await form.store.swap("a", "1", "2", 10)
    assert not await form.store.drop("a", "1")
    assert not await form.store.drop("a")


async def test_a_budget_is_drawn_by_all_together_and_opens_as_its_draws_grow_old(form: Form) -> None:
    assert await form.store.draw("b", 3, 3600) == 0
    await form.pass_time(600)
    assert await form.twin.draw("b", 3, 3600) == 0
    assert await form.twin.draw("b", 3, 3600, take=False) == 0
    assert await form.store.draw("b", 3, 3600) == 0
    assert await form.twin.draw("b", 3, 3600) == pytest.approx(3000, abs=2)
    assert await form.store.draw("other", 3, 3600) == 0
    await form.pass_time(2990)
    assert await form.store.draw("b", 3, 3600) == pytest.approx(10, abs=2)
    await form.pass_time(10)
    assert await form.store.draw("b", 3, 3600) == 0
    assert await form.store.draw("b", 3, 3600) == pytest.approx(600, abs=2)
    await form.pass_time(3600)
    assert [await form.store.draw("b", 3, 3600) for _ in range(3)] == [0, 0, 0]


async def test_a_lowered_limit_opens_when_enough_draws_have_left(form: Form) -> None:
    for _ in range(5):
        assert await form.store.draw("b", 5, 100) == 0
        await form.pass_time(10)
    assert await form.store.draw("b", 2, 100) == pytest.approx(80, abs=2)
    await form.pass_time(80)
    assert await form.store.draw("b", 2, 100) == 0


async def test_a_budget_of_none_never_opens(form: Form) -> None:
    assert await form.store.draw("b", 0, 3600) == math.inf


async def test_many_who_draw_at_once_get_no_more_than_there_is(form: Form) -> None:
    waits = await asyncio.gather(*(store.draw("b", 25, 3600) for store in (form.store, form.twin) * 30))
    assert len([wait for wait in waits if wait == 0]) == 25
    assert all(wait == pytest.approx(3600, abs=2) for wait in waits if wait)


async def test_a_store_that_is_there_answers_and_can_be_closed_twice(form: Form) -> None:
    await form.store.ping()
    await form.store.aclose()
    await form.store.aclose()


def test_no_part_of_a_key_can_imitate_another() -> None:
    keys = {
        key_of("k", *parts) for parts in (("a", "b"), ("ab", ""), ("a:b",), ("1:a1:b",), ("", "ab"), ("a", "b", ""))
    }
    assert len(keys) == 6
    assert key_of("k", "\ud800") != key_of("k", "?")
    assert len(key_of("open", "x" * 10**6)) == len("open:") + 64
