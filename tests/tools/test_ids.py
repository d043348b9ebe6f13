"""An id is exactly one path segment of what goes over a real connection, or it is refused before anything is sent."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from urllib.parse import quote, unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paperspace_storage_tools.catalogue import CATALOGUE
from support.echo import echo_server
from support.guarded import arguments_of
from support.recorded import RecordedApi, connected, failure_of

WITH_ID = [tool for tool in CATALOGUE if "id" in tool.arguments.model_fields]
PATHS = {
    "get_shared_drive": "/v1/shared-drives/",
    "get_snapshot": "/v1/snapshots/",
    "get_storage_provider": "/v1/storage-providers/",
    "get_machine_event": "/v1/machine-events/",
}
"""Each tool that reads one thing by its id, and where that is."""
_ALPHABET = st.sampled_from(list("a0.%/\\?#;:@&=+ ~-_é😀|\"'<>{}[]^`$!,*()")) | st.characters(codec="utf-8")
_IDS = st.text(_ALPHABET, min_size=1, max_size=12) | st.sampled_from(
    ["%2e%2e", "..%2f", "a/../b", "utilization", "%2F", "a%20b", "a;b=c", "..;", ". .", "%", "%zz", "a%00"]
)


def _segment(target: str, prefix: str) -> str:
    assert target.startswith(prefix), target
    return target.removeprefix(prefix)


def test_every_tool_that_reads_by_an_id_is_held_against_its_path() -> None:
    assert set(PATHS) == {tool.name for tool in WITH_ID if not tool.writes}


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(sorted(PATHS)), _IDS), min_size=1, max_size=15))
def test_an_id_is_one_segment_on_the_wire_or_is_refused_unsent(calls: list[tuple[str, str]]) -> None:
    async def check() -> None:
        nothing = RecordedApi([])
        async with (
            echo_server() as echo,
            connected(nothing, "live", base=echo.url, in_process=False) as client,
        ):
            for tool, id in calls:
                before = len(echo.targets)
                text = failure_of(await client.call_tool(tool, {"id": id}))
                if text.endswith("Correct and call again; nothing was sent."):
                    assert len(echo.targets) == before
                    continue
                (target,) = echo.targets[before:]
                segment = _segment(target, PATHS[tool])
                assert not set(segment) & set("/?#\\ ")
                assert unquote(segment) == id
                assert unquote(unquote(segment)) not in (".", "..")

    asyncio.run(check())


@pytest.mark.parametrize(
    "id",
    [
        *(
            ".",
            "..",
            "%2e",
            "%2E%2e",
            ".%2e",
            "%252e%252e",
            "%25252e%25252e",
            "a/b",
            "a\\b",
            "a%2fb",
            "a%5Cb",
            "/",
            "//",
        ),
        *("a%252Fb", "%2e%2e%2fx", "", " a", "a ", "a\nb", "a\x00b", "a\u200bb", "a\u202eb", "\ud800", "a" * 201),
    ],
)
@pytest.mark.parametrize("tool", [tool.name for tool in WITH_ID])
def test_an_id_that_could_be_another_path_is_refused_unsent(tool: str, id: str) -> None:
    async def check() -> str:
        api = RecordedApi([])
        async with connected(api, "live") as client:
            usual = arguments_of(tool, defaultdict(lambda: "x1"), access="AKIA", secret="a-secret-key")
            try:
                text = failure_of(await client.call_tool(tool, {**usual, "id": id}))
            except UnicodeEncodeError:  # a lone surrogate is no JSON: the client itself cannot say it
                assert id == "\ud800"
                text = "`id` must be"
        assert api.seen == []
        return text

    assert "`id` must be" in asyncio.run(check())


@pytest.mark.parametrize("id", ["utilization", "Utilization", "UTILIZATION"])
@pytest.mark.parametrize("tool", [tool.name for tool in WITH_ID if tool.toolset == "storage-providers"])
def test_the_provider_id_utilization_is_refused_as_another_operation(tool: str, id: str) -> None:
    async def check() -> str:
        api = RecordedApi([])
        async with connected(api, "published") as client:
            usual = arguments_of(tool, defaultdict(lambda: "x1"), access="AKIA", secret="a-secret-key")
            text = failure_of(await client.call_tool(tool, {**usual, "id": id}))
        assert api.seen == []
        return text

    assert "get_storage_utilization" in asyncio.run(check())


@pytest.mark.parametrize(
    "id", ["sd 1", "a?b=c", "a#b", "ä", "😀", "a%b", "a;b", "a:b@c", "a+b", "a&b", "%", "...", "~"]
)
def test_an_odd_id_that_is_one_segment_arrives_as_it_was_given(id: str) -> None:
    async def check() -> list[str]:
        async with (
            echo_server() as echo,
            connected(RecordedApi([]), "live", base=echo.url, in_process=False) as client,
        ):
            failure_of(await client.call_tool("get_snapshot", {"id": id}))
            return echo.targets

    assert asyncio.run(check()) == ["/v1/snapshots/" + quote(id, safe="")]
