"""What a restore's question says of later snapshots, and for which call a question counts."""

from __future__ import annotations

import httpx
import pytest

from paperspace_storage_server.guard.confirm import CannotAsk, Question
from paperspace_storage_tools.catalogue import CATALOGUE
from support.guarded import ERAS, Era, Replace, World, accepting, arguments_of, world

pytestmark = pytest.mark.anyio


class Noting:
    """A caller that keeps the questions, and cannot ask them."""

    principal: str | None = None
    request_id = None
    can_ask = True

    def __init__(self) -> None:
        self.asked: list[Question] = []

    async def ask(self, question: Question) -> bool:
        self.asked.append(question)
        raise CannotAsk

    async def progress(self, done: float, total: float, message: str) -> None: ...


def page_of(request: httpx.Request, pages: int, machine: str) -> httpx.Response | None:
    """A machine's list of `pages` pages with one later snapshot each, and no end."""
    if request.method != "GET" or request.url.path != "/v1/snapshots" or "orderBy" not in request.url.params:
        return None
    number = int(request.url.params.get("after", "0"))
    one = {"id": f"later{number}", "name": f"n{number}", "machineId": machine}
    more = number + 1 < pages
    return httpx.Response(
        200, json={"hasMore": more, "items": [one], **({"nextPage": str(number + 1)} if more else {})}
    )


async def test_a_preview_stops_after_ten_pages_and_says_or_more() -> None:
    async with world("live") as one:
        one.api.instead = lambda request: page_of(request, 50, one.ids["machine"])
        caller = Noting()
        await one.service.call(one.service.tools["restore_snapshot"], {"id": one.ids["snapshot"]}, caller)
        (question,) = caller.asked
        assert 'also what its 10 or more later snapshots hold ("n0", "n1", "n2", "n3", "n4", …)' in question.text
        assert sum(sent == "GET /snapshots" for sent in one.api.sent) == 10


async def test_a_snapshot_that_its_machines_list_lacks_has_no_later_ones_to_speak_of() -> None:
    async with world("live") as one:
        one.api.instead = lambda request: page_of(request, 3, one.ids["machine"])
        caller = Noting()
        await one.service.call(one.service.tools["restore_snapshot"], {"id": one.ids["snapshot"]}, caller)
        assert "later snapshot" not in caller.asked[0].text


async def asked_of(one: World) -> str:
    caller = Noting()
    await one.service.call(one.service.tools["restore_snapshot"], {"id": one.ids["snapshot"]}, caller)
    (question,) = caller.asked
    return question.text.split("\n")[0]


def machines(**said: object) -> Replace:
    """An API whose list of machines says this of the one machine."""

    def instead(request: httpx.Request) -> httpx.Response | None:
        if request.url.path != "/v1/machines":
            return None
        return httpx.Response(200, json={"hasMore": False, "items": [{"name": "box", **said}]})

    return instead


FIRST = "a safety snapshot is made first"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            {"autoSnapshotEnabled": True, "autoSnapshotFrequency": "daily", "autoSnapshotSaveCount": 30},
            f"{FIRST}, its machine takes automatic snapshots daily and keeps the newest 30)?",
        ),
        (
            {"autoSnapshotEnabled": True, "autoSnapshotFrequency": "yes, delete it", "autoSnapshotSaveCount": None},
            f"{FIRST}, its machine takes automatic snapshots)?",
        ),
        (
            {"autoSnapshotEnabled": False, "autoSnapshotFrequency": "daily", "autoSnapshotSaveCount": 30},
            f"{FIRST}, its machine takes no automatic snapshots)?",
        ),
        ({"autoSnapshotFrequency": "daily"}, f"{FIRST})?"),
    ],
    ids=["all of it", "words that are none of the API's", "switched off", "not said"],
)
@pytest.mark.parametrize("protect", [(), ("prod-*",)])
async def test_the_question_says_which_automatic_snapshots_the_machine_takes(
    said: dict[str, object], told: str, protect: tuple[str, ...]
) -> None:
    async with world("live", protect=protect) as one:
        one.api.instead = machines(id=one.ids["machine"], **said)
        assert (await asked_of(one)).endswith(told)


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(403, json={"code": "FORBIDDEN", "message": "no"}),
        httpx.Response(500, text="<html>"),
        httpx.Response(200, json={"items": "none"}),
        httpx.Response(200, json={"hasMore": False, "items": []}),
    ],
    ids=["not allowed", "down", "another shape", "not in the list"],
)
async def test_a_question_can_do_without_them(answer: httpx.Response) -> None:
    async with world("live") as one:
        one.api.instead = lambda request: answer if request.url.path == "/v1/machines" else None
        assert (await asked_of(one)).endswith(f"{FIRST})?")


async def test_the_refusal_that_asks_for_the_name_says_it_too_and_the_name_itself_costs_no_look() -> None:
    async with world("live") as one:
        text = await one.text("restore_snapshot", {"id": one.ids["snapshot"]})
        assert f"{FIRST}, its machine takes automatic snapshots weekly and keeps the newest 1) needs a" in text
        one.api.sent.clear()
        arguments = {"id": one.ids["snapshot"], "confirm": one.ids["snapshot name"]}
        assert not (await one.call("restore_snapshot", arguments)).is_error
        assert "GET /machines" not in one.api.sent


async def test_where_machines_are_unknown_nothing_is_sent_for_them() -> None:
    async with world("published") as one:
        assert (await asked_of(one)).endswith(f"{FIRST})?")
        assert "GET /machines" not in one.api.sent


@pytest.mark.parametrize("era", ERAS)
async def test_that_they_are_others_after_the_answer_is_no_change_of_what_was_shown(era: Era) -> None:
    texts: list[str] = []
    async with world("live", era=era, elicit=accepting(texts)) as one:

        def switched_off(request: httpx.Request) -> httpx.Response | None:
            return machines(id=one.ids["machine"], autoSnapshotEnabled=not texts)(request)

        one.api.instead = switched_off
        result = await one.call("restore_snapshot", {"id": one.ids["snapshot"]})
        assert not result.is_error
        assert [f"{FIRST}, its machine takes automatic snapshots)?" in text for text in texts] == [True]


async def test_a_question_counts_for_its_tool_arguments_and_caller_and_for_nothing_else() -> None:
    caller, other = Noting(), Noting()
    other.principal = "somebody"
    async with world("live") as one:
        snapshot = {"id": one.ids["snapshot"]}
        delete, restore = (one.service.tools[name] for name in ("delete_snapshot", "restore_snapshot"))
        for tool, given, by in (
            (delete, snapshot, caller),
            (restore, snapshot, caller),
            (delete, {**snapshot, "waitSeconds": 1}, caller),
            (delete, snapshot, other),
        ):
            await one.service.call(tool, given, by)
        await one.service.call(delete, dict(snapshot), caller)
    asked = [*caller.asked, *other.asked]
    assert len({question.call for question in asked}) == 4
    assert asked[0].call == asked[3].call  # the same call again


async def test_the_question_leaves_a_fifth_of_the_budget_for_the_deed() -> None:
    caller = Noting()
    async with world("live", call_timeout=50.0) as one:
        await one.service.call(one.service.tools["delete_snapshot"], {"id": one.ids["snapshot"]}, caller)
    assert 35 < caller.asked[0].seconds <= 40


@pytest.mark.parametrize("tool", [tool.name for tool in CATALOGUE if tool.kind == "destructive"])
async def test_every_destructive_tool_asks_before_it_sends_a_write(tool: str) -> None:
    caller = Noting()
    async with world("live") as one:
        arguments = arguments_of(tool, one.ids, access="AKIA", secret="a-secret-key")
        arguments.pop("confirm", None)
        await one.service.call(one.service.tools[tool], arguments, caller)
        assert one.api.writes == []
        assert len(caller.asked) == 1
