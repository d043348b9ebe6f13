"""Idempotency keys: the same request once, whichever process it comes to."""

from __future__ import annotations

import asyncio

import pytest

from paperspace_storage_server.state.idempotency import DAY, Begun, Idempotency, OtherBody, Replay, UnderWay
from state.conftest import Form

pytestmark = pytest.mark.anyio
OWNER = ("anna", "team", "POST", "/v1/shared-drives")


async def test_a_request_that_was_answered_is_answered_alike_for_a_day(form: Form) -> None:
    ours, theirs = Idempotency(form.store), Idempotency(form.twin)
    begun = await ours.begin(OWNER, "k", "body", 60)
    assert isinstance(begun, Begun)
    assert await theirs.begin(OWNER, "k", "body", 60) == UnderWay()
    assert await theirs.begin(OWNER, "k", "another body", 60) == OtherBody()
    await begun.finish('{"id": "1"}')
    assert await theirs.begin(OWNER, "k", "body", 60) == Replay('{"id": "1"}')
    assert await theirs.begin(OWNER, "k", "another body", 60) == OtherBody()
    await form.pass_time(DAY - 1)
    assert await theirs.begin(OWNER, "k", "body", 60) == Replay('{"id": "1"}')
    await form.pass_time(1)
    assert isinstance(await theirs.begin(OWNER, "k", "another body", 60), Begun)


async def test_a_key_belongs_to_its_principal_team_method_and_path(form: Form) -> None:
    records = Idempotency(form.store)
    for place in range(len(OWNER)):
        owner = (*OWNER[:place], "other", *OWNER[place + 1 :])
        assert isinstance(await records.begin(owner, "k", "body", 60), Begun)
    assert isinstance(await records.begin(OWNER, "k", "body", 60), Begun)


async def test_a_request_that_was_refused_can_be_made_again(form: Form) -> None:
    records = Idempotency(form.store)
    begun = await records.begin(OWNER, "k", "body", 60)
    assert isinstance(begun, Begun)
    await begun.forget()
    assert isinstance(await records.begin(OWNER, "k", "another body", 60), Begun)


async def test_a_request_whose_process_died_can_be_made_again_after_its_lease(form: Form) -> None:
    dead = await Idempotency(form.store).begin(OWNER, "k", "body", 60)
    assert isinstance(dead, Begun)
    await form.pass_time(60)
    again = await Idempotency(form.twin).begin(OWNER, "k", "body", 60)
    assert isinstance(again, Begun)
    await dead.finish("late")  # not dead after all: it must not overwrite who answers now
    assert await Idempotency(form.twin).begin(OWNER, "k", "body", 60) == UnderWay()
    await again.finish("in time")
    assert await Idempotency(form.store).begin(OWNER, "k", "body", 60) == Replay("in time")


async def test_of_many_at_once_one_is_ours_to_answer(form: Form) -> None:
    found = await asyncio.gather(
        *(Idempotency(store).begin(OWNER, "k", "b", 60) for store in (form.store, form.twin) * 10)
    )
    assert [type(one) for one in found].count(Begun) == 1
    assert found.count(UnderWay()) == 19
