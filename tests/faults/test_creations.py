"""At most one creation: an answer that is lost is looked for, and never mistaken for another."""

from __future__ import annotations

import asyncio
import json
import random

import pytest

from faults.creates import faulted_creates
from paperspace_storage_server.api.creating import UNDER_WAY
from paperspace_storage_server.api.upstream import DIALECTS
from paperspace_storage_server.http.budget import Budget
from paperspace_storage_server.wire.messages import Dialect
from support.fault_proxy import Fault, Reply, Rule
from support.faulted import BASE, Bed, faulted

pytestmark = pytest.mark.anyio
each_dialect = pytest.mark.parametrize("dialect", DIALECTS)
LOST = Fault("lost after", "reset", 1)
LOST_BEFORE = Fault("lost before", "reset")
TWICE = Fault("lost after another did the same", "reset", 2)


async def _machine(bed: Bed) -> str:
    return str((await bed.items("/snapshots"))[0]["machineId"])


async def _named(bed: Bed, name: str) -> list[str]:
    return [str(one["id"]) for one in await bed.items("/snapshots?limit=100") if one["name"] == name]


@each_dialect
async def test_an_older_snapshot_of_the_same_name_is_not_passed_off_as_the_new_one(dialect: Dialect) -> None:
    async with faulted(dialect) as bed:
        machine = await _machine(bed)
        ok, _ = await bed.call("create_snapshot", machineId=machine, name="nightly")
        assert ok
        bed.proxy.forget()
        bed.proxy.rules = (Rule(LOST_BEFORE, "POST"),)
        answer = await bed.call("create_snapshot", machineId=machine, name="nightly")
        assert answer == (
            False,
            "It is unknown whether the snapshot was created: The connection to the API was lost. None that fits was "
            "found by looking. Look with list_snapshots (machineId) before trying again.",
        )
        assert bed.proxy.methods == ["GET", "POST", "GET", "GET", "GET"]
        assert bed.sleeps.slept == [0.0, 1.0, 3.0]
        assert len(await _named(bed, "nightly")) == 1


@each_dialect
async def test_the_new_one_of_two_with_the_same_name_is_found(dialect: Dialect) -> None:
    async with faulted(dialect) as bed:
        machine = await _machine(bed)
        _, text = await bed.call("create_snapshot", machineId=machine, name="nightly")
        older = json.loads(text)["id"]
        bed.proxy.rules = (Rule(LOST, "POST"),)
        ok, text = await bed.call("create_snapshot", machineId=machine, name="nightly")
        found = json.loads(text)
        both = await _named(bed, "nightly")
        assert ok
        assert {older, found["id"]} == set(both)
        assert found["id"] != older
        assert found["notice"] == (
            "The API's answer was lost. This snapshot was found by looking: it is the only new one that fits what was "
            "asked for. Who else makes one of that name at that moment could have made it."
        )


@each_dialect
async def test_two_new_ones_that_fit_are_an_honest_unknown(dialect: Dialect) -> None:
    async with faulted(dialect) as bed:
        bed.proxy.rules = (Rule(TWICE, "POST"),)
        ok, text = await bed.call("create_snapshot", machineId=await _machine(bed), name="nightly")
        both = await _named(bed, "nightly")
        assert not ok
        assert f"Several new ones fit it: {', '.join(both)}." in text
        assert bed.proxy.count("POST") == 1


@each_dialect
async def test_a_creation_is_not_sent_when_what_is_there_before_cannot_be_read(dialect: Dialect) -> None:
    async with faulted(dialect) as bed:
        machine = await _machine(bed)
        bed.proxy.rules = (Rule(Fault("down", "answer", reply=Reply(503)), "GET"),)
        answer = await bed.call("create_snapshot", machineId=machine, name="nightly")
        assert answer == (
            False,
            "The API failed (503) after 4 tries. This is on its side: try again in a minute. Nothing was changed.",
        )
        assert bed.proxy.methods == ["GET"] * 4


@each_dialect
async def test_a_creation_of_which_nothing_can_be_looked_up_says_so(dialect: Dialect) -> None:
    async with faulted(dialect) as bed:
        machine = await _machine(bed)
        down = Fault("down", "answer", reply=Reply(503))
        bed.proxy.rules = (Rule(LOST, "POST"), Rule(down, "GET", nth=frozenset(range(2, 99))))
        ok, text = await bed.call("create_snapshot", machineId=machine, name="nightly")
        assert not ok
        assert "Looking for it was not possible either." in text
        assert bed.proxy.count("POST") == 1


@each_dialect
async def test_creations_of_one_name_at_once_never_claim_each_others(dialect: Dialect) -> None:
    """A third caller that comes while the second takes over from the first must wait, too."""
    async with faulted(dialect) as bed:
        machine = await _machine(bed)
        bed.proxy.rules = (Rule(LOST, "POST", nth=frozenset({1, 3, 5})), Rule(LOST_BEFORE, "POST", nth=frozenset({2})))

        async def create(turns: int) -> tuple[bool, str]:
            for _ in range(turns):
                await asyncio.sleep(0)
            return await bed.call("create_snapshot", machineId=machine, name="nightly")

        answers = await asyncio.gather(*(create(number) for number in range(6)))
        ids = [json.loads(text)["id"] for ok, text in answers if ok]
        assert len(ids) == 5
        assert sorted(ids) == sorted(await _named(bed, "nightly"))


async def test_who_comes_while_a_turn_passes_on_waits_like_everybody() -> None:
    inside, most = 0, 0
    async with faulted("live") as bed:
        upstream = bed.service.team.upstream

        async def hold(turns: int) -> None:
            nonlocal inside, most
            for _ in range(turns):
                await asyncio.sleep(0)
            async with upstream.turn_to_create("snapshot", "nightly", Budget.of(50)):
                inside += 1
                most = max(most, inside)
                for _ in range(5):
                    await asyncio.sleep(0)
                inside -= 1

        await asyncio.gather(*(hold(turns) for turns in (0, 1, *range(2, 30))))
        assert most == 1


async def test_a_restore_without_its_safety_snapshot_is_not_sent_and_says_so() -> None:
    async with faulted("published") as bed:
        bed.proxy.rules = (Rule(LOST_BEFORE, "POST", "/snapshots$"),)
        snapshot = (await bed.items("/snapshots"))[0]
        ok, text = await bed.call("restore_snapshot", id=snapshot["id"])
        assert not ok
        assert text.startswith("The restore was not sent, for it is not sure that its safety snapshot exists. It is")
        assert [seen.target for seen in bed.proxy.requests if seen.method == "POST"] == ["/v1/snapshots"]


@each_dialect
async def test_a_deletion_that_was_lost_is_settled_by_looking(dialect: Dialect) -> None:
    """The last try may be lost, too, or find nothing more to delete."""
    for hits in (frozenset({1}), None):
        async with faulted(dialect) as bed:
            drive = next(one for one in await bed.items("/shared-drives") if one["name"] == "datasets")
            bed.proxy.rules = (Rule(LOST, "DELETE", nth=hits),)
            answer = await bed.call("delete_shared_drive", id=drive["id"])
            assert answer == (True, f'{{"id":"{drive["id"]}","name":"datasets","deleted":true}}')


@each_dialect
async def test_a_first_deletion_that_finds_nothing_is_a_404(dialect: Dialect) -> None:
    async with faulted(dialect) as bed:
        ok, text = await bed.call("delete_shared_drive", id="sd000000000")
        assert (ok, text.startswith("No shared drive sd000000000 (404 NOT_FOUND).")) == (False, True)
        assert bed.proxy.count("DELETE") == 0


async def test_a_creation_waits_for_another_of_its_name_no_longer_than_its_budget() -> None:
    async with faulted("live", budget=0.6) as bed:
        machine = await _machine(bed)
        bed.proxy.rules = (Rule(Fault("hang", "hang"), "POST"), Rule(Fault("hang", "hang"), "GET"))
        began = asyncio.get_running_loop().time()
        answers = await asyncio.gather(
            *(bed.call("create_snapshot", machineId=machine, name="nightly") for _ in range(4))
        )
        assert [ok for ok, _ in answers] == [False] * 4
        assert all("did not answer within 0." in text and text.endswith("Nothing was changed.") for _, text in answers)
        assert asyncio.get_running_loop().time() - began < 1.5  # four budgets one after the other would be 2.4


@each_dialect
async def test_a_stray_answer_does_not_settle_the_dialect(dialect: Dialect) -> None:
    async with faulted(dialect, spoken="auto") as bed:
        stray = Reply(200, body=b'{"hasMore":1,"data":null}' if dialect == "published" else b'["maintenance"]')
        bed.proxy.rules = (Rule(Fault("stray", "answer", reply=stray), "GET", nth=frozenset({1})),)
        ok, text = await bed.call("get_storage_utilization" if dialect == "published" else "list_snapshots")
        assert (ok, bed.service.team.upstream.dialect) == (False, "auto"), text
        ok, _ = await bed.call("list_shared_drives", name="datasets")
        assert (ok, bed.service.team.upstream.dialect) == (True, dialect)


@each_dialect
async def test_a_repeat_that_is_refused_does_not_say_that_nothing_was_changed(dialect: Dialect) -> None:
    async with faulted(dialect) as bed:
        drive = next(one for one in await bed.items("/shared-drives") if one["name"] == "datasets")
        late = Fault("late", "answer", reply=Reply(429, headers=(("retry-after", "9000"),)))
        bed.proxy.rules = (
            Rule(LOST_BEFORE, "PUT", nth=frozenset({1})),
            Rule(late, "PUT"),
        )
        ok, text = await bed.call("update_shared_drive", id=drive["id"], name="renamed")
        assert not ok
        assert text.endswith("Whether anything was changed is unknown.")


@each_dialect
async def test_an_error_body_with_an_id_is_no_resource(dialect: Dialect) -> None:
    async with faulted(dialect) as bed:
        body = b'{"id":"req1","code":"OOPS","message":"no"}'
        bed.proxy.rules = (Rule(Fault("error", "answer", reply=Reply(200, body=body)), "GET"),)
        ok, text = await bed.call("get_shared_drive", id="sd1")
        assert (ok, 'status 200 with an error body ("no")' in text) == (False, True)


@each_dialect
async def test_sixty_creations_under_random_faults_make_no_duplicate_and_no_wrong_success(dialect: Dialect) -> None:
    tally = await faulted_creates(dialect, 60, random.Random(f"sixty {dialect}"))
    assert (tally.calls, tally.duplicates, tally.wrong_successes) == (60, 0, 0)
    assert tally.faults.total() > 30


# --- what was called unknown, or cancelled, and is asked for again


@each_dialect
async def test_what_was_called_unknown_is_looked_for_before_a_second_one_is_made(dialect: Dialect) -> None:
    """The first request was under way for so long that no look found what it made."""
    async with faulted(dialect) as bed:
        machine = await _machine(bed)
        bed.proxy.rules = (Rule(LOST_BEFORE, "POST", nth=frozenset({1})),)
        ok, text = await bed.call("create_snapshot", machineId=machine, name="nightly")
        assert (ok, text.startswith("It is unknown whether the snapshot was created")) == (False, True)
        again = await bed.call("create_snapshot", machineId=machine, name="nightly")
        assert again[0] is False
        assert again[1].startswith(
            "An earlier request for this snapshot had no answer and may still be under way; none"
        )
        assert bed.proxy.count("POST") == 1
        late = await bed.ask("POST", "/snapshots", {"machineId": machine, "name": "nightly"})
        id = late["data"]["id"] if dialect == "live" else late["id"]
        ok, text = await bed.call("create_snapshot", machineId=machine, name="nightly")
        found = json.loads(text)
        assert (ok, found["id"], bed.proxy.count("POST")) == (True, id, 1)
        assert found["notice"].startswith("An earlier request for the same had no answer.")
        ok, text = await bed.call("create_snapshot", machineId=machine, name="nightly")
        assert (ok, json.loads(text)["id"] == id, bed.proxy.count("POST")) == (True, False, 2)


@each_dialect
async def test_after_a_minute_an_earlier_request_that_made_nothing_is_forgotten(dialect: Dialect) -> None:
    async with faulted(dialect) as bed:
        machine = await _machine(bed)
        bed.proxy.rules = (Rule(LOST_BEFORE, "POST", nth=frozenset({1})),)
        await bed.call("create_snapshot", machineId=machine, name="nightly")
        await bed.sleeps(UNDER_WAY)
        ok, text = await bed.call("create_snapshot", machineId=machine, name="nightly")
        assert ok
        assert "notice" not in json.loads(text)
        assert len(await _named(bed, "nightly")) == 1


async def _is_open(bed: Bed, machine: str) -> bool:
    """Whether the next one is told to wait for an earlier request."""
    ok, text = await bed.call("create_snapshot", machineId=machine, name="nightly")
    return not ok and text.startswith(
        "An earlier request for this snapshot had no answer and may still be under way; none that fits is there yet. "
        "Nothing was sent now. Call again in "
    )


@each_dialect
async def test_what_another_call_made_is_not_the_answer_to_a_request_that_is_open(dialect: Dialect) -> None:
    """Two ask for the same at once, and the request of the first is lost: what the second makes stays the second's."""
    async with faulted(dialect) as bed:
        machine = await _machine(bed)
        bed.proxy.rules = (Rule(LOST_BEFORE, "POST", nth=frozenset({1})),)
        answers = await asyncio.gather(
            *(bed.call("create_snapshot", machineId=machine, name="nightly") for _ in range(2))
        )
        (made,) = (json.loads(text)["id"] for ok, text in answers if ok)
        assert await _is_open(bed, machine)
        assert (bed.proxy.count("POST"), await _named(bed, "nightly")) == (2, [made])


@each_dialect
async def test_what_another_call_was_refused_settles_no_request_that_is_open(dialect: Dialect) -> None:
    async with faulted(dialect) as bed:
        machine = await _machine(bed)
        refusal = Reply(409, body=b'{"code":"CONFLICT","message":"busy"}')
        bed.proxy.rules = (
            Rule(LOST_BEFORE, "POST", nth=frozenset({1})),
            Rule(Fault("refused", "answer", reply=refusal), "POST", nth=frozenset({1})),  # of those that are not lost
        )
        answers = await asyncio.gather(
            *(bed.call("create_snapshot", machineId=machine, name="nightly") for _ in range(2))
        )
        assert [ok for ok, _ in answers] == [False, False]
        assert await _is_open(bed, machine)
        assert bed.proxy.count("POST") == 2


@each_dialect
async def test_an_earlier_request_with_other_fields_is_not_this_one(dialect: Dialect) -> None:
    async with faulted(dialect) as bed:
        drive = (await bed.items("/shared-drives"))[0]
        place = {"region": drive["region"], "privateNetworkId": drive[BASE[dialect]]}
        bed.proxy.rules = (Rule(LOST_BEFORE, "POST", nth=frozenset({1})),)
        ok, _ = await bed.call("create_shared_drive", name="mine", size=100, **place)
        assert not ok
        ok, text = await bed.call("create_shared_drive", name="mine", size=200, **place)
        assert (ok, json.loads(text)["size"]) == (True, 200)
        ok, text = await bed.call("create_shared_drive", name="mine", size=100, **place)
        assert (ok, "may still be under way" in text) == (False, True)


@each_dialect
async def test_one_that_is_dated_from_before_the_request_is_somebody_elses(dialect: Dialect) -> None:
    async with faulted(dialect) as bed:
        drive = (await bed.items("/shared-drives"))[0]
        theirs = {**drive, "id": "sdtheirs", "name": "mine", "size": 100, "dtCreated": "2020-01-01T00:00:00.000Z"}
        items = [theirs]
        page = json.dumps(items if dialect == "published" else {"hasMore": False, "items": items}).encode()
        twin = Fault("a twin", "answer", reply=Reply(200, body=page))
        bed.proxy.rules = (Rule(LOST_BEFORE, "POST"), Rule(twin, "GET", nth=frozenset({2, 3, 4})))
        place = {"region": drive["region"], "privateNetworkId": drive[BASE[dialect]]}
        ok, text = await bed.call("create_shared_drive", name="mine", size=100, **place)
        assert (ok, "None that fits was found by looking." in text) == (False, True)
