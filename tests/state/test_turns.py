"""Turns: one holder at a time over all processes, and none that outlives its holder."""

from __future__ import annotations

import asyncio

import pytest

from paperspace_storage_server.state.creations import REMEMBERED, Creations
from paperspace_storage_server.state.memory import MemoryStore
from paperspace_storage_server.state.store import key_of
from paperspace_storage_server.state.turns import LEASE, Turn, TurnNotHad, turn
from paperspace_storage_tools.errors import StoreUnavailable
from state.conftest import Form

pytestmark = pytest.mark.anyio


async def test_turns_never_overlap(form: Form) -> None:
    inside: list[int] = []
    most = 0

    async def one(number: int) -> None:
        nonlocal most
        async with turn(form.store if number % 2 else form.twin, "t", 60, sleep=lambda _: asyncio.sleep(0)):
            inside.append(number)
            most = max(most, len(inside))
            await asyncio.sleep(0)
            inside.remove(number)

    await asyncio.gather(*(one(number) for number in range(8)))
    assert (most, inside) == (1, [])


async def test_a_turn_that_does_not_come_in_time_is_not_had(form: Form) -> None:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        if seconds < LEASE / 3:  # else it is the renewal of the one that is held
            waited.append(seconds)
        else:
            await asyncio.Event().wait()

    async with turn(form.store, "t", 1):
        with pytest.raises(TurnNotHad):
            async with turn(form.twin, "t", 2, sleep=sleep, clock=lambda: sum(waited)):
                raise AssertionError("had twice")
    assert sum(waited) == pytest.approx(2)
    async with turn(form.twin, "t", 0):
        pass


async def test_the_turn_of_a_holder_that_died_is_free_after_its_lease(form: Form) -> None:
    dead = Turn(form.store, "t", 10)
    assert await dead.take()
    await form.pass_time(9)
    assert not await Turn(form.twin, "t", 10).take()
    assert await dead.keep()  # renewed: ten seconds more
    await form.pass_time(9)
    assert not await Turn(form.twin, "t", 10).take()
    await form.pass_time(1)
    other = Turn(form.twin, "t", 10)
    assert await other.take()
    assert not await dead.keep()
    await dead.end()  # takes nothing from who has it now
    assert await other.keep()


async def test_a_turn_is_renewed_while_its_block_runs(form: Form) -> None:
    naps: list[float] = []
    third = asyncio.Event()

    async def nap(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) < 3:
            await form.pass_time(seconds)
        else:
            third.set()
            await asyncio.Event().wait()

    async with turn(form.store, "t", 0, lease=9, sleep=nap):
        await third.wait()
        assert not await Turn(form.twin, "t", 9).take()
        await form.pass_time(4)  # ten seconds since it was taken, four since it was last renewed
        assert not await Turn(form.twin, "t", 9).take()
    assert naps == [3, 3, 3]


async def test_a_caller_cancelled_while_taking_the_turn_leaves_it_free() -> None:
    class Slow(MemoryStore):
        async def add(self, key: str, value: str, seconds: float) -> bool:
            added = await super().add(key, value, seconds)
            reached.set()
            await asyncio.Event().wait()  # taken, and its answer never comes
            return added

    reached = asyncio.Event()
    store = Slow()

    async def hold() -> None:
        async with turn(store, "t", 5):
            raise AssertionError

    task = asyncio.create_task(hold())
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await store.get("t") is None


async def test_the_next_creation_of_a_name_sees_one_whose_outcome_is_open(form: Form) -> None:
    ours, theirs = Creations(form.store, "team"), Creations(form.twin, "team")
    async with ours.one_at_a_time("shared drive", "data", 0) as first:
        assert first.earlier is None
        await first.opens("sent at noon")
    async with theirs.one_at_a_time("shared drive", "data", 0) as second:
        assert second.earlier == "sent at noon"
        second.settled()
    async with ours.one_at_a_time("shared drive", "data", 0) as third:
        assert third.earlier is None


async def test_an_open_creation_concerns_its_team_kind_and_name_only_and_not_for_ever(form: Form) -> None:
    async with Creations(form.store, "team").one_at_a_time("shared drive", "data", 0) as one:
        await one.opens("sent")
        for team, kind, name in (
            ("b", "shared drive", "data"),
            ("team", "snapshot", "data"),
            ("team", "shared drive", "d"),
        ):
            async with Creations(form.twin, team).one_at_a_time(kind, name, 0) as other:
                assert other.earlier is None
    await form.pass_time(REMEMBERED)
    async with Creations(form.twin, "team").one_at_a_time("shared drive", "data", 0) as later:
        assert later.earlier is None


async def test_a_creation_whose_turn_was_lost_is_not_sent(form: Form) -> None:
    async with Creations(form.store, "team").one_at_a_time("shared drive", "data", 0) as one:
        await form.store.drop(key_of("turn", "team", "shared drive", "data"))  # as where its lease had ended
        with pytest.raises(StoreUnavailable, match="the turn of this creation was lost"):
            await one.opens("sent")
    async with Creations(form.store, "team").one_at_a_time("shared drive", "data", 0) as other:
        assert other.earlier is None
