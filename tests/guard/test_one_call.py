"""One call, whoever makes it: what a question stands for, what is told of it at its end, what is allowed in it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from paperspace_storage_server.calls.call import AskedLater, Called, GuardedCall
from paperspace_storage_server.calls.principal import SCOPES, Principal, Scope, principal_in, with_implied
from paperspace_storage_server.calls.service import Service, select
from paperspace_storage_server.calls.validate import validate
from paperspace_storage_server.guard.confirm import CannotAsk, Question
from paperspace_storage_server.http.budget import Budget
from paperspace_storage_server.settings import Settings
from paperspace_storage_tools.catalogue import CATALOGUE
from paperspace_storage_tools.errors import InvalidArguments, NotConfirmed
from support.guarded import Api, Clock, ids_of, make

pytestmark = pytest.mark.anyio
TOOLS = {tool.name: tool for tool in CATALOGUE}


@dataclass(slots=True)
class Person:
    """A caller with a person who answers as `answers` says: whether they were waited for, or what is raised."""

    answers: bool | Exception = True
    principal: str | None = None
    request_id: str | int | None = 7
    can_ask: bool = True
    asked: list[Question] = field(default_factory=list[Question])
    told: list[tuple[float, float, str]] = field(default_factory=list[tuple[float, float, str]])

    async def ask(self, question: Question) -> bool:
        self.asked.append(question)
        if isinstance(self.answers, Exception):
            raise self.answers
        return self.answers

    async def progress(self, done: float, total: float, message: str) -> None:
        self.told.append((done, total, message))


@dataclass(slots=True)
class One:
    """A service, its API, what it has told of its calls, and its audit file."""

    service: Service
    api: Api
    ids: dict[str, str]
    audit: Path
    seen: list[Called] = field(default_factory=list[Called])

    async def call(self, tool: str, given: Mapping[str, Any], caller: Person | None = None) -> str:
        return (await self.service.call(TOOLS[tool], given, caller or Person(can_ask=False))).text

    def outcomes(self) -> list[tuple[str | None, str]]:
        lines = [json.loads(line) for line in self.audit.read_text().splitlines()]
        return [(line["confirmed"], line["outcome"]) for line in lines]


@asynccontextmanager
async def service(folder: Path, **settings: Any) -> AsyncGenerator[One]:
    api, made = make("live", {"audit_file": folder / "audit.jsonl", **settings})
    try:
        one = One(made, api, await ids_of(api, "live"), folder / "audit.jsonl")
        made.process = replace(made.process, seen=one.seen.append)
        api.sent.clear()
        yield one
    finally:
        api.close()


# --- what a question stands for


async def question_of(one: One, tool: str, given: Mapping[str, Any], principal: str | None = None) -> Question:
    person = Person(answers=NotConfirmed("no"), principal=principal)
    await one.call(tool, given, person)
    (question,) = person.asked
    return question


async def test_a_question_belongs_to_its_tool_its_arguments_and_whoever_asks(tmp_path: Path) -> None:
    async with service(tmp_path) as one:
        snapshot = one.ids["snapshot"]
        given = {"id": snapshot, "createSnapshotBeforeRestore": True}
        first = await question_of(one, "restore_snapshot", given, "me")
        assert (await question_of(one, "restore_snapshot", dict(reversed(given.items())), "me")).call == first.call
        others = [
            await question_of(one, "restore_snapshot", given, "somebody else"),
            await question_of(one, "restore_snapshot", given),
            await question_of(one, "restore_snapshot", {**given, "createSnapshotBeforeRestore": False}, "me"),
            await question_of(one, "restore_snapshot", {**given, "confirm": "x"}, "me"),
            await question_of(one, "delete_snapshot", {"id": snapshot}, "me"),
        ]
        assert len({first.call, *(other.call for other in others)}) == 6


@pytest.mark.parametrize(("spent", "seconds"), [(0.0, 40.0), (10.0, 30.0), (25.0, 15.0)])
async def test_a_question_leaves_a_fifth_of_the_budget_for_what_it_is_about(
    tmp_path: Path, spent: float, seconds: float
) -> None:
    async with service(tmp_path) as one:
        clock, person, tool = Clock(), Person(answers=NotConfirmed("no")), TOOLS["delete_shared_drive"]
        given = {"id": one.ids["drive"]}
        call = GuardedCall(one.service.process, one.service.team, Budget.of(50.0, clock), person, tool, given)
        clock.now += spent
        with pytest.raises(NotConfirmed):
            await tool.run(call, validate(tool, given))
        assert [question.seconds for question in person.asked] == [pytest.approx(seconds)]


async def test_progress_is_told_in_tenths_and_without_secrets(tmp_path: Path) -> None:
    async with service(tmp_path) as one:
        person, tool = Person(), TOOLS["get_shared_drive"]
        call = GuardedCall(one.service.process, one.service.team, Budget.of(50.0), person, tool, {})
        await call.progress(1.26, 59.94, "done with pK0f3a9c71d2-Wm58zeGh6")
        assert person.told == [(1.3, 59.9, "done with [secret]")]


@pytest.mark.parametrize(
    ("can_ask", "answers", "confirm", "how"),
    [
        (True, True, None, "person"),
        (True, False, None, "person"),
        (True, CannotAsk(), "name", "typed name"),
        (True, CannotAsk(), None, None),
        (False, True, "name", "typed name"),
        (False, True, None, None),
        (True, NotConfirmed("no"), "name", None),
    ],
)
async def test_a_deletion_is_confirmed_by_a_person_who_can_be_asked_or_else_by_the_typed_name(
    can_ask: bool, answers: bool | Exception, confirm: str | None, how: str | None, tmp_path: Path
) -> None:
    async with service(tmp_path) as one:
        typed = {} if confirm is None else {"confirm": one.ids["drive name"]}
        await one.call("delete_shared_drive", {"id": one.ids["drive"], **typed}, Person(answers, can_ask=can_ask))
        assert one.api.writes == ([] if how is None else [f"DELETE /shared-drives/{one.ids['drive']}"])
        assert one.outcomes() == [(how, "failed: NotConfirmed" if how is None else "done")]


async def test_what_a_person_was_waited_for_is_looked_at_again_and_what_they_said_before_is_not(tmp_path: Path) -> None:
    for waited, looks in ((True, 2), (False, 1)):
        async with service(tmp_path) as one:
            await one.call("delete_shared_drive", {"id": one.ids["drive"]}, Person(waited))
            assert one.api.sent.count(f"GET /shared-drives/{one.ids['drive']}") == looks


# --- what is told of it


async def test_each_call_is_told_of_once_with_its_failures_class_and_recorded_with_its_outcome(tmp_path: Path) -> None:
    async with service(tmp_path) as one:
        drive = one.ids["drive"]

        def broken(request: httpx.Request) -> httpx.Response | None:
            if request.method == "PUT":
                raise asyncio.CancelledError
            return None

        await one.call("get_shared_drive", {"id": drive})
        await one.call("get_shared_drive", {})
        with pytest.raises(AskedLater):
            await one.call("delete_shared_drive", {"id": drive}, Person(AskedLater(), principal="me"))
        one.api.instead = lambda request: None if request.method == "GET" else httpx.Response(500)
        await one.call("update_shared_drive", {"id": drive, "name": "new"})
        one.api.instead = lambda request: None if request.method == "GET" else httpx.Response(409)
        await one.call("update_shared_drive", {"id": drive, "name": "new"})
        one.api.instead = broken
        with pytest.raises(asyncio.CancelledError):
            await one.call("update_shared_drive", {"id": drive, "name": "new"})
        assert [(called.tool, called.error) for called in one.seen] == [
            ("get_shared_drive", None),
            ("get_shared_drive", "InvalidArguments"),
            ("delete_shared_drive", "AskedLater"),
            ("update_shared_drive", "ServerTrouble"),
            ("update_shared_drive", "Refused"),
            ("update_shared_drive", "Interrupted"),
        ]
        assert {(called.principal, called.request_id, called.team) for called in one.seen} == {
            (None, 7, None),
            ("me", 7, None),
        }
        assert all(0 <= called.seconds < 50 for called in one.seen)
        assert [outcome for _, outcome in one.outcomes()] == [
            "asked",
            "unknown: ServerTrouble",
            "failed: Refused",
            "interrupted: CancelledError",
        ]


async def test_a_line_that_cannot_be_completed_is_told_beside_the_result(tmp_path: Path) -> None:
    async with service(tmp_path) as one:

        def vanish(request: httpx.Request) -> httpx.Response | None:
            if request.method == "PUT":
                one.audit.unlink()
                one.audit.mkdir()
            return None

        one.api.instead = vanish
        text = await one.call("update_shared_drive", {"id": one.ids["drive"], "name": "new"})
        assert json.loads(text)["notice"] == (
            "The audit line could not be completed (Is a directory): tell the operator."
        )


async def test_an_error_inside_this_server_is_told_by_its_class_and_says_whether_anything_may_be_changed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with service(tmp_path) as one:

        async def broken(*_: object) -> Any:
            raise KeyError("a secret of ours")

        for name, unknown in (("get_shared_drive", False), ("delete_shared_drive", True)):
            text = (await one.service.call(replace(TOOLS[name], run=broken), {"id": "sd1"}, Person())).text
            assert ("KeyError" in text, "a secret of ours" in text) == (True, False)
            assert ("unknown" in text) is unknown
        assert [called.error for called in one.seen] == ["FailedInside", "FailedInside"]
        assert len(caplog.records) == 2


# --- what may be called


def test_twenty_problems_are_named_and_the_others_are_counted() -> None:
    for count, last in ((20, "`w19`"), (21, "and 1 more"), (45, "and 25 more")):
        with pytest.raises(InvalidArguments) as refused:
            validate(TOOLS["list_machines"], {f"w{number}": 1 for number in range(count)})
        assert len(refused.value.problems) == min(count, 21)
        assert last in refused.value.problems[-1]


def test_of_two_arguments_that_may_be_meant_the_nearest_is_named() -> None:
    given = {"name": "n", "type": "s3", "bucket": "b", "secret": "x"}
    with pytest.raises(InvalidArguments) as refused:
        validate(TOOLS["create_storage_provider"], given)
    assert "unknown argument `secret` (did you mean `secretKey`?)" in refused.value.problems  # nor `bucket`


def test_an_unknown_argument_is_named_in_40_clean_characters_with_the_one_that_was_meant() -> None:
    for given, told in (
        ("machineid", "unknown argument `machineid` (did you mean `machineId`?)"),
        ("MACHINE_ID", "unknown argument `MACHINE_ID` (did you mean `machineId`?)"),
        ("machnId", "unknown argument `machnId` (did you mean `machineId`?)"),
        ("x" * 41, f"unknown argument `{'x' * 40}`; this tool takes machineId, name, note, waitSeconds"),
        ("q\u202eq\x1b[0m", "unknown argument `qq`; this tool takes machineId, name, note, waitSeconds"),
    ):
        with pytest.raises(InvalidArguments) as refused:
            validate(TOOLS["create_snapshot"], {"machineId": "ps1", "name": "n", given: 1})
        assert refused.value.problems == [told]


@pytest.mark.parametrize(
    ("words", "scopes"),
    [
        ([], ()),
        (["other", "storage"], ()),
        (["storage:read"], SCOPES[:1]),
        (["storage:write"], SCOPES[:2]),
        (["storage:read", "storage:destroy"], SCOPES),
    ],
)
def test_a_scope_implies_those_before_it_and_what_is_lacking_is_named_whole(
    words: list[str], scopes: tuple[Scope, ...]
) -> None:
    principal = Principal("k", "t", with_implied(words))
    assert principal.scopes == frozenset(scopes)
    for place, needed in enumerate(SCOPES):
        assert principal.lacks(needed) == [scope for scope in SCOPES[: place + 1] if scope not in scopes]


def test_a_request_is_its_principals_only_where_the_gate_has_left_one() -> None:
    principal = Principal("k", "t", frozenset())
    key = "paperspace.principal"
    assert principal_in({"state": {key: principal}}) is principal
    nobody: list[dict[str, object]] = [{}, {"state": None}, {"state": {}}, {"state": {key: "k"}}, {key: principal}]
    assert [principal_in(scope) for scope in nobody] == [None] * 5


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({}, set(TOOLS)),
        ({"toolsets": ["utilization"]}, {"get_storage_utilization"}),
        ({"tools": ["get_snapshot", "delete_snapshot"]}, {"get_snapshot", "delete_snapshot"}),
        ({"tools": ["get_snapshot", "delete_snapshot"], "read_only": True}, {"get_snapshot"}),
        ({"tools": ["get_snapshot"], "exclude_tools": ["get_snapshot"]}, set[str]()),
        ({"tools": ["get_snapshot"], "toolsets": ["utilization"]}, set[str]()),
        ({"read_only": True}, {name for name, tool in TOOLS.items() if not tool.writes}),
    ],
)
def test_a_tool_exists_where_no_setting_rules_it_out(settings: dict[str, Any], names: set[str]) -> None:
    assert {tool.name for tool in select(Settings().model_copy(update=settings))} == names
