"""What is made of an answer that was lost: which resource counts as the one that was asked for, and which does not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, cast

import pytest
from pydantic import SecretStr

from paperspace_storage_server.api.storage import PaperspaceStorage
from paperspace_storage_server.api.upstream import Upstream
from paperspace_storage_server.guard.hygiene import Hygiene
from paperspace_storage_server.guard.secrets import Vault
from paperspace_storage_server.http.budget import Budget
from paperspace_storage_server.http.client import Http
from paperspace_storage_server.wire.messages import Answer, Request
from paperspace_storage_tools.errors import (
    Failure,
    OutcomeUnknown,
    Refused,
    ServerTrouble,
    TimedOut,
    Unreachable,
    Unsupported,
)
from paperspace_storage_tools.models import SharedDrive, Snapshot, StorageProvider
from paperspace_storage_tools.ports import (
    Credentials,
    DriveChange,
    DriveQuery,
    NewDrive,
    NewProvider,
    NewSnapshot,
    Query,
    SnapshotChange,
)

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
KEYS = Credentials(SecretStr("access-key-1"), SecretStr("secret-key-1"))
Said = Answer | Failure


def lost() -> Failure:
    return Unreachable("The connection to the API was lost", "Try again in a minute.", 1, "unknown")


def said(value: object, status: int = 200) -> Answer:
    return Answer(status, "application/json", json.dumps(value).encode())


def page(*items: dict[str, Any], more: str | None = None) -> Answer:
    return said({"hasMore": more is not None, "nextPage": more, "items": list(items)})


def refused(status: int) -> Answer:
    return said({"code": "NO", "message": "no"}, status)


@dataclass(slots=True)
class World:
    """The API of one team, which answers one request after the other as it is told; the last one again and again."""

    says: list[Said] = field(default_factory=list[Said])
    sent: list[Request] = field(default_factory=list[Request])
    budgets: list[float] = field(default_factory=list[float])
    slept: list[float] = field(default_factory=list[float])
    notices: list[str] = field(default_factory=list[str])
    now: datetime = NOW
    upstream: Upstream = field(init=False)

    def __post_init__(self) -> None:
        self.upstream = Upstream(cast(Http, self), "live", sleep=self._sleep, now=self._clock)

    async def send(self, request: Request, budget: Budget, *, when_left: object = None) -> Answer:
        self.sent.append(request)
        self.budgets.append(budget.seconds)
        answer = self.says.pop(0) if len(self.says) > 1 else self.says[0]
        if isinstance(answer, Failure):
            raise answer
        return answer

    def _clock(self) -> float:
        return self.now.timestamp()

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += timedelta(seconds=seconds)

    def storage(self, *says: Said, budget: float = 50.0) -> PaperspaceStorage:
        """The next call's."""
        self.says[:] = says
        return PaperspaceStorage(
            self.upstream, Budget.of(budget), lambda _: None, self.notices.append, Hygiene(Vault())
        )

    @property
    def asked(self) -> list[str]:
        return [request.method for request in self.sent]


# --- which one is it

DRIVE = NewDrive(name="data", size=500, region="ny2", private_network_id="nw1")
DRIVES: dict[str, Any] = {"id": "sd1", "name": "data", "size": 500, "region": "ny2", "networkId": "nw1"}
FOUND = "The API's answer was lost. This "


@pytest.mark.parametrize(
    ("differs", "is_it"),
    [
        ({}, True),
        ({"networkId": None}, True),
        ({"name": "Data"}, False),
        ({"name": "data2"}, False),
        ({"size": 250}, False),
        ({"size": 1000}, False),
        ({"size": None}, False),
        ({"region": "ams1"}, False),
        ({"region": "tor1"}, False),
        ({"networkId": "nw2"}, False),
    ],
)
async def test_a_drive_is_the_one_that_was_asked_for_where_all_that_can_be_read_agrees(
    differs: dict[str, Any], is_it: bool
) -> None:
    world = World()
    storage = world.storage(page(), lost(), page({**DRIVES, **differs}))
    if is_it:
        assert (await storage.drives.create(DRIVE)).id == "sd1"
        assert world.notices[0].startswith(f"{FOUND}shared drive was found by looking")
    else:
        with pytest.raises(OutcomeUnknown, match="None that fits was found by looking"):
            await storage.drives.create(DRIVE)
        assert world.slept == [0.0, 1.0, 3.0]


@pytest.mark.parametrize(
    ("differs", "is_it"),
    [
        ({}, True),
        ({"note": "of another"}, True),
        ({"name": "weekly"}, False),
        ({"name": "daily"}, False),
        ({"machineId": "ps2"}, False),
        ({"machineId": "ps0"}, False),
    ],
)
async def test_a_snapshot_is_the_one_that_was_asked_for_where_machine_and_name_agree(
    differs: dict[str, Any], is_it: bool
) -> None:
    there = {"id": "ss1", "machineId": "ps1", "name": "nightly", **differs}
    storage = World().storage(page(), lost(), page(there))
    if is_it:
        assert (await storage.snapshots.create(NewSnapshot(machine_id="ps1", name="nightly"))).id == "ss1"
    else:
        with pytest.raises(OutcomeUnknown):
            await storage.snapshots.create(NewSnapshot(machine_id="ps1", name="nightly"))


@pytest.mark.parametrize(("note", "is_it"), [("mine", True), ("another's", False), ("yours", False), (None, False)])
async def test_a_snapshot_that_was_asked_for_with_a_note_has_that_note(note: str | None, is_it: bool) -> None:
    world = World()
    world.upstream.dialect = "published"
    storage = world.storage(
        said([]), lost(), said([{"id": "ss1", "machineId": "ps1", "name": "nightly", "note": note}])
    )
    new = NewSnapshot(machine_id="ps1", name="nightly", note="mine")
    if is_it:
        assert (await storage.snapshots.create(new)).id == "ss1"
    else:
        with pytest.raises(OutcomeUnknown):
            await storage.snapshots.create(new)


PROVIDER = {"id": "sp1", "name": "team", "s3Config": {"bucket": "b", "region": "r", "endpoint": "https://e"}}


def new_provider(
    *, bucket: str = "b", region: str | None = None, endpoint: str | None = None, is_team_default: bool | None = None
) -> NewProvider:
    return NewProvider(
        name="team",
        type="s3",
        credentials=KEYS,
        bucket=bucket,
        region=region,
        endpoint=endpoint,
        is_team_default=is_team_default,
    )


@pytest.mark.parametrize(
    ("new", "is_it"),
    [
        (new_provider(), True),
        (new_provider(region="r"), True),
        (new_provider(region="r", endpoint="https://e"), True),
        (new_provider(bucket="c"), False),
        (new_provider(region="s"), False),
        (new_provider(endpoint="https://f"), False),
        (replace(new_provider(), name="teal"), False),
        (replace(new_provider(), name="team2"), False),
    ],
)
async def test_a_provider_is_the_one_that_was_asked_for_where_its_place_agrees_as_far_as_one_was_named(
    new: NewProvider, is_it: bool
) -> None:
    storage = World().storage(page(), lost(), page(PROVIDER))
    if is_it:
        assert (await storage.providers.create(new)).id == "sp1"
    else:
        with pytest.raises(OutcomeUnknown):
            await storage.providers.create(new)


@pytest.mark.parametrize(
    ("made", "is_it"),
    [
        ((NOW - timedelta(seconds=120)).isoformat(), True),
        ((NOW - timedelta(seconds=121)).isoformat(), False),
        ((NOW + timedelta(seconds=124)).isoformat(), True),  # the last look is four seconds later
        ((NOW + timedelta(seconds=125)).isoformat(), False),
        (NOW.astimezone(timezone(timedelta(hours=9))).isoformat(), True),
        (NOW.replace(tzinfo=None).isoformat(), True),  # no offset is UTC
        ((NOW + timedelta(hours=9)).replace(tzinfo=None).isoformat(), False),
        (None, True),
    ],
)
async def test_what_is_dated_two_minutes_beside_the_request_is_somebody_elses(made: str | None, is_it: bool) -> None:
    world = World()
    storage = world.storage(page(), lost(), page({**DRIVES, "dtCreated": made}))
    if is_it:
        assert (await storage.drives.create(DRIVE)).id == "sd1"
    else:
        with pytest.raises(OutcomeUnknown):
            await storage.drives.create(DRIVE)


async def test_one_that_was_there_before_is_not_the_new_one_and_several_new_ones_are_named_up_to_five() -> None:
    world = World()
    old, new = {**DRIVES, "id": "sd0"}, [{**DRIVES, "id": f"sd{number}"} for number in range(1, 8)]
    assert (await world.storage(page(old), lost(), page(new[0], old)).drives.create(DRIVE)).id == "sd1"
    with pytest.raises(OutcomeUnknown, match=r"Several new ones fit it: sd2, sd3, sd4, sd5, sd6\."):
        await world.storage(page(old, new[0]), lost(), page(old, *new)).drives.create(DRIVE)


async def test_it_is_looked_for_at_once_then_after_1_and_3_seconds_as_far_as_the_budget_reaches() -> None:
    for budget, slept in ((50.0, [0.0, 1.0, 3.0]), (2.0, [0.0, 1.0]), (0.5, [0.0])):
        world = World()
        with pytest.raises(OutcomeUnknown, match="None that fits"):
            await world.storage(page(), lost(), page(), budget=budget).drives.create(DRIVE)
        assert (world.slept, world.asked) == (slept, ["GET", "POST", *["GET"] * len(slept)])
    world = World()
    assert (await world.storage(page(), lost(), refused(500), page(DRIVES)).drives.create(DRIVE)).id == "sd1"
    assert world.slept == [0.0, 1.0]


async def test_when_the_time_of_the_call_is_over_it_is_not_looked_for() -> None:
    class Slow(World):
        async def send(self, request: Request, budget: Budget, *, when_left: object = None) -> Answer:
            self.now += timedelta(seconds=5)
            return await World.send(self, request, budget)

    world = Slow()
    storage = world.storage(page(), lost(), page(DRIVES))
    storage.budget = Budget.of(10.0, world.upstream.now)
    with pytest.raises(OutcomeUnknown, match="Looking for it was not possible either"):
        await storage.drives.create(DRIVE)
    assert (world.slept, world.asked) == ([], ["GET", "POST"])


async def test_up_to_25_pages_are_read_to_know_what_was_there_and_as_many_to_find_what_was_made() -> None:
    more = page(more="next")
    world = World()
    storage = world.storage(*[more] * 24, page(), lost(), *[more] * 24, page(DRIVES))
    assert (await storage.drives.create(DRIVE)).id == "sd1"
    world = World()
    with pytest.raises(OutcomeUnknown):  # what was there is not known: so it cannot be told what is new
        await world.storage(*[more] * 25, lost()).drives.create(DRIVE)
    assert world.asked == [*["GET"] * 25, "POST"]
    world = World()
    with pytest.raises(OutcomeUnknown, match="Looking for it was not possible either"):
        await world.storage(page(), lost(), *[more] * 75, page(DRIVES)).drives.create(DRIVE)
    assert world.asked == ["GET", "POST", *["GET"] * 75]


# --- what was there before


@pytest.mark.parametrize(
    ("list_says", "sent"),
    [
        (refused(401), False),  # the key is refused: so would the creation be
        (refused(400), True),
        (refused(403), True),
        (refused(404), True),
        (refused(503), False),
        (refused(200), True),  # an error body under a 200: what was there cannot be known
        (Unreachable("The connection to the API was lost", "Try again in a minute.", 4), False),
        (TimedOut(20.0, 1, "nothing"), False),
    ],
)
async def test_a_creation_goes_out_without_knowing_what_was_there_only_where_nothing_more_can_be_known(
    list_says: Said, sent: bool
) -> None:
    world = World()
    storage = world.storage(list_says, said({**DRIVES, "id": "sd9"}, 201))
    if sent:
        assert (await storage.drives.create(DRIVE)).id == "sd9"
        assert world.asked == ["GET", "POST"]
    else:
        with pytest.raises(Failure) as caught:
            await storage.drives.create(DRIVE)
        assert (caught.value.changed, world.asked) == ("nothing", ["GET"])


async def test_a_creation_that_is_refused_is_forgotten_so_that_the_next_is_made() -> None:
    world = World()
    with pytest.raises(Refused):
        await world.storage(page(), refused(409)).drives.create(DRIVE)
    assert (await world.storage(page(), said(DRIVES, 201)).drives.create(DRIVE)).id == "sd1"


# --- the same request once more


async def unknown(world: World, *there: dict[str, Any]) -> None:
    with pytest.raises(OutcomeUnknown):
        await world.storage(page(*there), lost(), page(*there)).drives.create(DRIVE)


async def test_an_earlier_request_may_be_under_way_for_a_minute_and_then_a_new_one_is_made() -> None:
    world = World()
    await unknown(world)
    for after, seconds in ((4.0, 56), (59.5, 1)):  # nothing was slept before the first request went out
        world.now = NOW + timedelta(seconds=after)
        with pytest.raises(OutcomeUnknown) as caught:
            await world.storage(page()).drives.create(DRIVE)
        assert "may still be under way; none that fits is there yet. Nothing was sent now." in str(caught.value)
        assert f"Call again in {seconds} s: " in str(caught.value)
    for after in (60, 61):
        world = World()
        await unknown(world)
        world.now = NOW + timedelta(seconds=after)
        assert (await world.storage(page(), said(DRIVES, 201)).drives.create(DRIVE)).id == "sd1"
        assert world.notices == []


async def test_what_an_earlier_request_made_is_the_answer_to_the_same_request_once() -> None:
    world = World()
    await unknown(world)
    sent = len(world.sent)
    assert (await world.storage(page(DRIVES)).drives.create(DRIVE)).id == "sd1"
    assert world.notices == [
        "An earlier request for the same had no answer. This shared drive is the only new one that fits it, so it is "
        "the answer, and no second one was made."
    ]
    assert world.asked[sent:] == ["GET"]
    made = await world.storage(page(DRIVES), said({**DRIVES, "id": "sd2"}, 201)).drives.create(DRIVE)
    assert made.id == "sd2"


async def test_of_two_that_come_at_the_same_moment_neither_repeats_the_other() -> None:
    world = World()
    first, second = world.storage(), world.storage(page(), lost(), page(), page(), said(DRIVES, 201), budget=0.5)
    first.budget = second.budget  # both look once, so that no time passes
    lost_one, made = await asyncio.gather(
        first.drives.create(DRIVE), second.drives.create(DRIVE), return_exceptions=True
    )
    assert isinstance(lost_one, OutcomeUnknown)
    assert isinstance(made, SharedDrive)
    assert (made.id, world.now, world.notices) == ("sd1", NOW, [])


async def test_several_that_an_earlier_request_may_have_made_are_named_up_to_five() -> None:
    world = World()
    await unknown(world)
    several = [{**DRIVES, "id": f"sd{number}"} for number in range(1, 8)]
    with pytest.raises(
        OutcomeUnknown, match=r"several new ones fit it: sd1, sd2, sd3, sd4, sd5\. Nothing was sent now"
    ):
        await world.storage(page(*several)).drives.create(DRIVE)


async def test_where_what_there_is_cannot_be_listed_a_repeat_waits_a_minute_too() -> None:
    for first, again, after in ((refused(403), page(), 60), (page(), refused(403), 60), (page(), refused(403), 61)):
        world = World()
        with pytest.raises(OutcomeUnknown):
            await world.storage(first, lost(), first).drives.create(DRIVE)
        world.now = NOW + timedelta(seconds=59)
        with pytest.raises(OutcomeUnknown, match=r"and what there is cannot be listed\. Nothing was sent now"):
            await world.storage(again).drives.create(DRIVE)
        world.now = NOW + timedelta(seconds=after)
        assert (await world.storage(again, said(DRIVES, 201)).drives.create(DRIVE)).id == "sd1"


async def test_where_what_was_there_was_not_known_a_lost_answer_is_not_looked_for() -> None:
    world = World()
    with pytest.raises(OutcomeUnknown, match="It is unknown whether the shared drive was created"):
        await world.storage(refused(403), lost(), page(DRIVES)).drives.create(DRIVE)
    assert (world.asked, world.slept) == (["GET", "POST"], [])


def sized(size: int) -> NewDrive:
    return NewDrive(name="data", size=size, region="ny2", private_network_id="nw1")


async def test_twenty_requests_of_one_name_whose_outcome_is_open_are_remembered() -> None:
    world = World()
    for size in range(1, 23):  # 22 of them, each for another size
        with pytest.raises(OutcomeUnknown):
            await world.storage(page(), lost(), page(), budget=0.5).drives.create(sized(size))
        world.now += timedelta(seconds=1)
    for size in (22, 3):
        with pytest.raises(OutcomeUnknown, match="may still be under way"):
            await world.storage(page()).drives.create(sized(size))
    made = await world.storage(page(), said({**DRIVES, "size": 2}, 201)).drives.create(sized(2))  # forgotten
    assert made.size == 2


async def test_what_a_later_request_made_is_no_answer_to_an_earlier_one() -> None:
    world = World()
    await unknown(world)
    made = await world.storage(page(), said({**DRIVES, "size": 250, "id": "sd2"}, 201)).drives.create(sized(250))
    assert made.id == "sd2"
    with pytest.raises(OutcomeUnknown, match="may still be under way"):
        await world.storage(page({**DRIVES, "size": 250, "id": "sd2"})).drives.create(DRIVE)


# --- what was made, and its call still waits for something

WAITED_FOR = (
    "An earlier call for the same made this snapshot, and its caller may be gone: it is the answer, and no second one "
    "was made."
)


def noted(note: str) -> NewSnapshot:
    return NewSnapshot(machine_id="ps1", name="nightly", note=note)


def as_listed(note: str) -> dict[str, Any]:
    return {"id": f"ss-{note}", "machineId": "ps1", "name": "nightly", "note": note}


@asynccontextmanager
async def waiting(world: World, *notes: str) -> AsyncGenerator[Callable[[str], Awaitable[Snapshot]]]:
    """A call for each note that has made its snapshot and waits for what is to follow; yields what ends such a wait."""
    world.upstream.dialect = "published"
    over = {note: asyncio.Event() for note in notes}
    calls: dict[str, asyncio.Task[Snapshot]] = {}

    async def create(storage: PaperspaceStorage, note: str, waits: asyncio.Event) -> Snapshot:
        async def then(made: Snapshot) -> Snapshot:
            waits.set()
            await over[note].wait()
            return made

        return await storage.snapshots.create(noted(note), then=then)

    async def ended(note: str) -> Snapshot:
        over[note].set()
        return await calls[note]

    async with asyncio.TaskGroup() as group:
        for note in notes:
            waits = asyncio.Event()
            storage = world.storage(said([]), said(as_listed(note), 201))
            calls[note] = group.create_task(create(storage, note, waits))
            await waits.wait()
            world.now += timedelta(seconds=1)
        yield ended
        for event in over.values():
            event.set()


@pytest.mark.parametrize("answered", ["a", "b", "c"])
async def test_a_call_that_is_answered_takes_nothing_from_those_that_still_wait(answered: str) -> None:
    world = World()
    async with waiting(world, "a", "b", "c") as ended:
        assert (await ended(answered)).id == f"ss-{answered}"
        there = [as_listed(note) for note in "abc"]
        for note in "abc":
            world.notices.clear()
            storage = world.storage(said(there), said({**as_listed(note), "id": "ss-new"}, 201))
            made = await storage.snapshots.create(noted(note))
            id, *notices = ["ss-new"] if note == answered else [f"ss-{note}", WAITED_FOR]
            assert (made.id, world.notices) == (id, notices)


@pytest.mark.parametrize("other", ["ss-0", "ss-z"])
async def test_where_what_a_call_still_waits_for_is_gone_another_that_fits_is_not_taken_for_it(other: str) -> None:
    world = World()
    async with waiting(world, "a"):
        storage = world.storage(said([{**as_listed("a"), "id": other}]), said({**as_listed("a"), "id": "ss-new"}, 201))
        assert (await storage.snapshots.create(noted("a"))).id == "ss-new"
        assert world.notices == []


async def test_an_earlier_request_that_made_nothing_does_not_hide_a_later_one_that_made_something() -> None:
    """Two ask at the same moment; the first one's request is lost, and the second waits with what it made."""
    world = World()
    world.upstream.dialect = "published"
    with pytest.raises(OutcomeUnknown):
        await world.storage(said([]), lost(), said([]), budget=0.5).snapshots.create(noted("a"))
    async with waiting(world, "a"):
        world.now = NOW + timedelta(seconds=61)
        sent = len(world.sent)
        made = await world.storage(said([as_listed("a")])).snapshots.create(noted("a"))
        assert (made.id, world.notices, world.asked[sent:]) == ("ss-a", [WAITED_FOR], ["GET"])


async def test_where_nothing_can_be_listed_a_repeat_of_a_call_that_still_waits_sends_nothing() -> None:
    world = World()
    async with waiting(world, "a"):
        sent = len(world.sent)
        with pytest.raises(OutcomeUnknown, match=r"and what there is cannot be listed\. Nothing was sent now"):
            await world.storage(refused(403)).snapshots.create(noted("a"))
        assert world.asked[sent:] == ["GET"]


# --- deletions and changes


@pytest.mark.parametrize(
    ("look", "outcome"),
    [
        (refused(404), None),
        (refused(403), "It is unknown whether the shared drive sd1 was deleted: "),
        (refused(410), "It is unknown whether the shared drive sd1 was deleted: "),
        (refused(400), "It is unknown whether the shared drive sd1 was deleted: "),
        (refused(503), "It is unknown whether the shared drive sd1 was deleted: "),
        (said(DRIVES), "The deletion of the shared drive sd1 was sent, its answer was lost, and it is still there: "),
    ],
)
async def test_a_lost_deletion_is_done_where_a_look_finds_nothing_and_unknown_otherwise(
    look: Answer, outcome: str | None
) -> None:
    world = World()
    if outcome is None:
        await world.storage(lost(), look).drives.delete("sd1")
    else:
        with pytest.raises(OutcomeUnknown) as caught:
            await world.storage(lost(), look).drives.delete("sd1")
        assert caught.value.what.startswith(outcome)
    assert world.asked == ["DELETE", "GET"]


@pytest.mark.parametrize(("status", "asked"), [(404, ["DELETE"]), (403, ["DELETE", "GET"]), (409, ["DELETE", "GET"])])
async def test_a_repeated_deletion_that_finds_nothing_more_is_done_without_looking(
    status: int, asked: list[str]
) -> None:
    world = World()
    body = json.dumps({"code": "NO", "message": "no"}).encode()
    doubtful = Answer(status, "application/json", body, tries=2, doubt=True)
    await world.storage(doubtful, refused(404)).drives.delete("sd1")
    assert world.asked == asked


async def test_a_deletion_that_is_refused_at_once_is_not_looked_for() -> None:
    world = World()
    with pytest.raises(Refused):
        await world.storage(refused(404)).drives.delete("sd1")
    assert world.asked == ["DELETE"]


@pytest.mark.parametrize(
    ("change", "present", "has_it"),
    [
        ({"name": "new"}, {"name": "new"}, True),
        ({"name": "new"}, {"name": "old"}, False),
        ({"name": "new", "size": 5}, {"name": "new", "size": 5}, True),
        ({"name": "new", "size": 5}, {"name": "new", "size": 4}, False),
        ({"size": 5}, {"name": "any", "size": 5}, True),
        ({"size": 5}, {"name": "any", "size": 4}, False),
    ],
)
async def test_a_lost_change_of_a_drive_is_done_where_all_of_it_is_there(
    change: dict[str, Any], present: dict[str, Any], has_it: bool
) -> None:
    world = World()
    world.upstream.dialect = "published"
    storage = world.storage(lost(), said({"id": "sd1", **present}))
    if has_it:
        assert (await storage.drives.update("sd1", DriveChange(**change))).id == "sd1"
        assert world.notices == ["The API's answer was lost; the change was found by looking."]
    else:
        with pytest.raises(Unreachable) as caught:
            await storage.drives.update("sd1", DriveChange(**change))
        assert (caught.value.changed, world.notices) == ("unknown", [])


@pytest.mark.parametrize(
    ("change", "present", "has_it"),
    [
        ({"name": "new"}, {"name": "new", "note": "any"}, True),
        ({"name": "new"}, {"name": "old"}, False),
        ({"note": "new"}, {"name": "any", "note": "new"}, True),
        ({"note": "new"}, {"name": "any", "note": "old"}, False),
        ({"name": "a", "note": "b"}, {"name": "a", "note": "c"}, False),
    ],
)
async def test_a_lost_change_of_a_snapshot_is_done_where_all_of_it_is_there(
    change: dict[str, Any], present: dict[str, Any], has_it: bool
) -> None:
    world = World()
    world.upstream.dialect = "published"
    storage = world.storage(lost(), said({"id": "ss1", "machineId": "ps1", **present}))
    if has_it:
        assert (await storage.snapshots.update("ss1", SnapshotChange(**change))).id == "ss1"
    else:
        with pytest.raises(Unreachable):
            await storage.snapshots.update("ss1", SnapshotChange(**change))


async def test_a_change_whose_look_fails_stays_unknown_and_says_why_it_was_lost() -> None:
    world = World()
    with pytest.raises(Unreachable) as caught:
        await world.storage(lost(), refused(503)).drives.update("sd1", DriveChange(name="new"))
    assert caught.value.changed == "unknown"
    world = World()
    with pytest.raises(Refused):
        await world.storage(refused(409)).drives.update("sd1", DriveChange(name="new"))
    assert world.asked == ["PUT"]


def provider(default: bool | None = None) -> StorageProvider:
    """As it is read."""
    return StorageProvider(id="sp1", name="team", type="s3", bucket="b", is_team_default=default)


@pytest.mark.parametrize(
    ("new", "present", "there", "has_it"),
    [
        # What can be read changes: it tells whether the keys, which cannot, were taken with it.
        (new_provider(bucket="c"), provider(), {"bucket": "c"}, True),
        (new_provider(bucket="c"), provider(), {"bucket": "b"}, False),
        (new_provider(bucket="a"), provider(), {"bucket": "a"}, True),
        (new_provider(bucket="a"), provider(), {"bucket": "b"}, False),
        (new_provider(region="r"), provider(), {"bucket": "b", "region": "r"}, True),
        (new_provider(region="r"), provider(), {"bucket": "b"}, False),
        # Only the keys change: nothing that can be read tells.
        (new_provider(), provider(), {"bucket": "b"}, False),
        (new_provider(), provider(True), {"bucket": "b"}, False),
        (new_provider(is_team_default=True), provider(True), {"bucket": "b", "default": True}, False),
        (new_provider(is_team_default=True), provider(False), {"bucket": "b", "default": True}, True),
        (new_provider(is_team_default=True), provider(None), {"bucket": "b", "default": True}, True),
        (new_provider(is_team_default=True), provider(None), {"bucket": "b", "default": False}, False),
        (new_provider(is_team_default=False), provider(None), {"bucket": "b", "default": False}, False),
        (new_provider(bucket="c"), provider(True), {"bucket": "c", "default": False}, True),
    ],
)
async def test_a_lost_change_of_a_provider_is_done_where_what_can_be_read_shows_that_it_is(
    new: NewProvider, present: StorageProvider, there: dict[str, Any], has_it: bool
) -> None:
    found = dict(there)
    answer = {"id": "sp1", "name": "team", "isTeamDefault": found.pop("default", None), "s3Config": found}
    storage = World().storage(lost(), said(answer))
    if has_it:
        assert (await storage.providers.update("sp1", new, present)).id == "sp1"
    else:
        with pytest.raises(Unreachable):
            await storage.providers.update("sp1", new, present)


async def test_what_no_dialect_lacks_is_checked_without_asking_and_a_size_that_one_lacks_is_refused() -> None:
    world = World()
    world.upstream.dialect = "auto"
    await world.storage().drives.check_change(DriveChange(name="new"))
    assert world.sent == []
    world.upstream.dialect = "live"
    with pytest.raises(Unsupported):
        await world.storage().drives.check_change(DriveChange(name="new", size=5))
    assert world.sent == []


# --- restores, and who asks


async def test_a_restore_whose_answer_is_lost_is_unknown_and_one_that_is_refused_is_not() -> None:
    world = World()
    with pytest.raises(OutcomeUnknown, match="It is unknown whether the restore of snapshot ss1 began"):
        await world.storage(lost()).snapshots.restore("ss1", safety_snapshot=True)
    with pytest.raises(Refused):
        await world.storage(refused(409)).snapshots.restore("ss1", safety_snapshot=True)
    assert world.asked == ["POST", "POST"]


@pytest.mark.parametrize(("budget", "seconds"), [(50.0, 3.0), (12.0, 3.0), (8.0, 2.0), (2.0, 0.5)])
async def test_a_question_waits_for_the_teams_name_3_seconds_and_a_quarter_of_what_is_left(
    budget: float, seconds: float
) -> None:
    world = World()
    assert await world.storage(said({"team": {"namespace": "ours"}}), budget=budget).team_name() == "ours"
    assert world.budgets == [pytest.approx(seconds, abs=0.05)]
    assert await world.storage(refused(500)).team_name() == "ours"  # it is known from then on


@pytest.mark.parametrize(
    ("answer", "again"),
    [
        (refused(403), False),
        (said({"team": 1}), False),
        (said({"team": {"namespace": ""}}), False),
        (refused(503), True),
        (lost(), True),
    ],
)
async def test_a_team_that_the_api_does_not_name_is_asked_for_again_only_where_that_may_help(
    answer: Said, again: bool
) -> None:
    world = World()
    for _ in range(2):
        assert await world.storage(answer).team_name() is None
    assert len(world.sent) == (2 if again else 1)


@pytest.mark.parametrize(
    ("status", "doubt", "changed"),
    [
        (409, False, "nothing"),
        (409, True, "unknown"),
        (408, False, "unknown"),
        (500, False, "unknown"),
        (407, False, "nothing"),
        (200, False, "unknown"),  # an error body under a 200
    ],
)
async def test_a_write_that_fails_says_whether_it_may_have_acted(status: int, doubt: bool, changed: str) -> None:
    body = json.dumps({"code": "NO", "message": "no"}).encode()
    answer = Answer(status, "application/json", body, tries=2 if doubt else 1, doubt=doubt)
    attempts: list[Callable[[PaperspaceStorage], Any]] = [
        lambda storage: storage.snapshots.restore("ss1", safety_snapshot=True),
        lambda storage: storage.drives.get("sd1"),
    ]
    met: list[str] = []
    for attempt in attempts:
        with pytest.raises(Failure) as caught:
            await attempt(World().storage(answer))
        met.append("unknown" if isinstance(caught.value, OutcomeUnknown) else caught.value.changed)
    assert met == [changed, "nothing"]  # a read changes nothing, whatever becomes of it


async def test_what_one_answer_has_shown_of_the_dialect_no_stray_one_overturns() -> None:
    world, later, there = World(), asyncio.Event(), asyncio.Event()
    world.upstream.dialect = "auto"
    storage = world.storage(said({"hasMore": False, "items": []}))
    answered = world.send

    async def send(request: Request, budget: Budget, *, when_left: object = None) -> Answer:
        if request.path == "/shared-drives":
            there.set()
            await later.wait()
            return said([])
        return await answered(request, budget)

    cast(Any, world.upstream).http = type("Held", (), {"send": staticmethod(send)})()
    held = asyncio.ensure_future(storage.drives.list(DriveQuery()))
    await there.wait()
    await storage.providers.list(Query())
    later.set()
    await held
    assert str(world.upstream.dialect) == "live"


async def test_a_500_is_the_apis_failure() -> None:
    with pytest.raises(ServerTrouble):
        await World().storage(refused(500)).drives.get("sd1")
