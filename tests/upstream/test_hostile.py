"""Whatever an API says, in whatever way: no wrong success, no wrong "nothing was changed", no stall, no secret.

Every tool of the catalogue, before a sandbox whose answers are spoiled on the wire. What the tool says is compared with
what the sandbox really did.
"""

from __future__ import annotations

import asyncio
import gc
import json
import tracemalloc
from collections import Counter
from collections.abc import Generator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from paperspace_storage_server.api.upstream import DIALECTS
from paperspace_storage_server.calls.outcome import Outcome
from paperspace_storage_server.calls.service import Service
from paperspace_storage_server.calls.unasked import Unasked
from paperspace_storage_server.http.pool import Pool
from paperspace_storage_server.http.retry import RetryPolicy
from paperspace_storage_server.settings import load_settings
from paperspace_storage_tools.catalogue import CATALOGUE
from paperspace_storage_tools.errors import Unsupported
from paperspace_storage_tools.tool import AnyTool
from support.faulted import Sleeps
from support.hostile import Hostile
from support.service import service_over
from support.spoiled import DAMAGE, HARMLESS, KEY, SECRET, SPOILS, Spoil, Spoiler, arguments_for, samples, spoiling
from support.steps import steps_of_this_loop

TOOLS = st.sampled_from(CATALOGUE)
NOTHING = "Nothing was changed."
MIB = 1024 * 1024


class Bed:
    """One hostile upstream and one event loop for many calls, each before a sandbox and a server of its own."""

    def __init__(self, spoiler: Spoiler, upstream: Hostile, runner: asyncio.Runner) -> None:
        self.spoiler = spoiler
        self.upstream = upstream
        self.runner = runner

    def service(self, dialect: str) -> Service:
        flags = {
            "api_url": self.upstream.url,
            "dialect": dialect,
            "confirm": "never",
            "api_key": SecretStr(KEY),
            "max_destructive": "unlimited",
        }
        policy = RetryPolicy(3, jitter=lambda low, high: high)
        return service_over(lambda: Pool(self.upstream.url), load_settings(flags), policy=policy, sleep=Sleeps())

    async def call(self, service: Service, tool: AnyTool, arguments: dict[str, Any], *script: Spoil) -> Outcome:
        self.spoiler.plan(*script)
        with steps_of_this_loop() as steps:
            outcome = await asyncio.wait_for(service.call(tool, arguments, Unasked()), 60)
        assert steps.longest < 0.1
        return outcome


@pytest.fixture(scope="module", params=DIALECTS)
def bed(request: pytest.FixtureRequest) -> Generator[Bed]:
    with spoiling(request.param) as (spoiler, upstream), asyncio.Runner() as runner:
        yield Bed(spoiler, upstream, runner)


async def _told(bed: Bed, tool: AnyTool, spoken: str, script: list[Spoil]) -> None:
    """Call the tool, and hold what it says against what was done."""
    bed.spoiler.begin()
    service = bed.service(spoken)
    try:
        arguments = arguments_for(tool, await samples(bed.spoiler))
        outcome = await bed.call(service, tool, arguments, *script)
        committed = list(bed.spoiler.committed)
        _hold_secrets(bed, outcome)
        posts = Counter(one for one in committed if one.startswith("POST "))
        assert all(count == 1 for count in posts.values()), committed
        if outcome.failure is not None:
            assert not (NOTHING in outcome.text and committed), (outcome.text, committed)
            return
        assert outcome.structured is not None
        assert json.loads(outcome.text) == outcome.structured
        if "id" in arguments:
            assert outcome.structured["id"] == arguments["id"]
        if tool.writes:
            await _hold_success(bed, arguments, outcome.structured, committed)
        else:
            honest = await bed.call(service, tool, arguments)
            assert outcome.structured == honest.structured
    finally:
        await service.aclose()


async def _hold_success(bed: Bed, arguments: dict[str, Any], result: dict[str, Any], committed: list[str]) -> None:
    assert committed, result
    for method, path in (one.split(" ") for one in committed):
        if method == "DELETE":
            assert (await bed.spoiler.ask("GET", path))[0] == 404
        elif method == "PUT":
            assert (await bed.spoiler.ask("GET", path))[1]["name"] == arguments["name"]
        elif not path.endswith("/restore"):
            made = result.get("safetySnapshot", result)
            assert (await bed.spoiler.ask("GET", f"{path}/{made['id']}"))[1]["name"] == made["name"]


def _hold_secrets(bed: Bed, outcome: Outcome) -> None:
    for secret in (KEY, SECRET, *bed.spoiler.secrets):
        assert secret not in outcome.text
    for inside in ("Traceback", "failed inside", "evil", "\x1b", "nonsense"):
        assert inside not in outcome.text


@pytest.mark.parametrize("tool", CATALOGUE, ids=lambda tool: tool.name)
def test_every_tool_does_its_work_before_a_sandbox_that_is_not_spoiled(bed: Bed, tool: AnyTool) -> None:
    """Else the tests below show nothing of it: `arguments_for` has to know what its arguments may be."""

    async def run() -> None:
        bed.spoiler.begin()
        service = bed.service(bed.spoiler.dialect)
        try:
            outcome = await bed.call(service, tool, arguments_for(tool, await samples(bed.spoiler)))
        finally:
            await service.aclose()
        if tool.name == "get_machine_event" and bed.spoiler.dialect == "live":
            assert outcome.text.startswith("No machine event")  # there is none before something is done
        elif not isinstance(outcome.failure, Unsupported):
            assert outcome.failure is None, outcome.text

    bed.runner.run(run())


@pytest.mark.parametrize("spoil", HARMLESS, ids=repr)
def test_ways_to_say_the_same_are_the_same(bed: Bed, spoil: Spoil) -> None:
    async def run(tool: AnyTool) -> None:
        bed.spoiler.begin()
        service = bed.service(bed.spoiler.dialect)
        try:
            arguments = arguments_for(tool, await samples(bed.spoiler))
            spoiled = await bed.call(service, tool, arguments, *[spoil] * 9)
            honest = await bed.call(service, tool, arguments)
        finally:
            await service.aclose()
        assert spoiled.structured is not None
        assert spoiled.structured == honest.structured

    for tool in CATALOGUE:
        if tool.kind == "read" and tool.toolset != "lookups" and tool.name != "get_machine_event":
            bed.runner.run(run(tool))


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(tool=TOOLS, script=st.lists(SPOILS, min_size=1, max_size=6), spoken=st.sampled_from(["fixed", "auto"]))
def test_what_a_tool_says_is_what_was_done(bed: Bed, tool: AnyTool, script: list[Spoil], spoken: str) -> None:
    bed.runner.run(_told(bed, tool, bed.spoiler.dialect if spoken == "fixed" else "auto", script))


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("tool", CATALOGUE, ids=lambda tool: tool.name)
def test_what_each_tool_says_is_what_was_done_however_it_is_spoiled(bed: Bed, tool: AnyTool) -> None:
    """Each damage at each of the first requests, and hypothesis's mixtures."""
    for damage in DAMAGE:
        for place in range(3):
            bed.runner.run(_told(bed, tool, bed.spoiler.dialect, [HARMLESS[0]] * place + [damage]))
        bed.runner.run(_told(bed, tool, bed.spoiler.dialect, [damage] * 9))

    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(script=st.lists(SPOILS, min_size=1, max_size=9), spoken=st.sampled_from(["fixed", "auto"]))
    def mixed(script: list[Spoil], spoken: str) -> None:
        bed.runner.run(_told(bed, tool, bed.spoiler.dialect if spoken == "fixed" else "auto", script))

    mixed()


@pytest.mark.slow
def test_a_server_does_not_grow_under_spoiled_answers(bed: Bed) -> None:
    async def run() -> list[int]:
        service = bed.service(bed.spoiler.dialect)
        held: list[int] = []
        tracemalloc.start()
        try:
            for _ in range(4):
                bed.spoiler.begin()  # what a sandbox keeps is its own
                known = await samples(bed.spoiler)
                for number, damage in enumerate(DAMAGE * 2):
                    tool = CATALOGUE[number % len(CATALOGUE)]
                    await bed.call(service, tool, arguments_for(tool, known), *[damage] * 3)
                bed.upstream.heard.clear()
                gc.collect()
                held.append(tracemalloc.get_traced_memory()[0])
        finally:
            tracemalloc.stop()
            await service.aclose()
        return held

    held = bed.runner.run(run())
    assert held[-1] - held[1] < MIB / 16, held
