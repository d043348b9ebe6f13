"""Every tool on both dialects and in both protocol eras: the exact requests, the whole result."""

from __future__ import annotations

import re

import pytest

from paperspace_storage_server.api.upstream import DIALECTS
from paperspace_storage_server.calls.dialects import LACKS
from paperspace_storage_server.wire.messages import Dialect
from paperspace_storage_tools.catalogue import CATALOGUE
from support.conversations import CONVERSATIONS, PROFILES, REFUSED, Conversation, Json
from support.recorded import Exchange, Mode, RecordedApi, answer_of, connected, failure_of

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["legacy", "auto"])
def mode(request: pytest.FixtureRequest) -> Mode:
    mode: Mode = request.param
    return mode


@pytest.fixture(
    params=[(one, dialect) for one in CONVERSATIONS for dialect in one.wire],
    ids=lambda case: f"{case[0].name}-{case[1]}",
)
def case(request: pytest.FixtureRequest) -> tuple[Conversation, Dialect]:
    case: tuple[Conversation, Dialect] = request.param
    return case


async def test_a_tool_sends_exactly_these_requests_and_answers_the_same_in_every_dialect(
    case: tuple[Conversation, Dialect], mode: Mode
) -> None:
    conversation, dialect = case
    api = RecordedApi(conversation.wire[dialect])
    async with connected(api, dialect, mode, profiles=PROFILES) as client:
        result = answer_of(await client.call_tool(conversation.tool, conversation.arguments))
    api.assert_kept_to_script()
    assert result == conversation.result


async def test_every_tool_is_held_against_every_dialect_that_can_express_it() -> None:
    covered = {(one.tool, dialect) for one in CONVERSATIONS for dialect in one.wire}
    wanted = {(tool.name, dialect) for tool in CATALOGUE for dialect in DIALECTS}
    assert wanted - covered == {(tool, dialect) for dialect in DIALECTS for tool in LACKS[dialect].tools}


@pytest.mark.parametrize(("dialect", "tool", "arguments", "reason"), REFUSED)
async def test_what_a_dialect_cannot_express_is_refused_before_anything_is_sent(
    dialect: Dialect, tool: str, arguments: Json, reason: str
) -> None:
    api = RecordedApi([])
    async with connected(api, dialect, confirm="never") as client:
        text = failure_of(await client.call_tool(tool, arguments))
    assert reason in text
    assert text.endswith("Nothing was changed.") == next(one.writes for one in CATALOGUE if one.name == tool)
    assert api.seen == []


async def test_without_a_key_a_call_says_what_to_set_and_sends_nothing() -> None:
    api = RecordedApi([])
    async with connected(api, "auto", api_key=None) as client:
        text = failure_of(await client.call_tool("list_snapshots", {}))
    assert text == (
        "No Paperspace API key. Ask the person to set PAPERSPACE_API_KEY in this server's entry of the MCP host's "
        "configuration (or to run `pspace login`) and to restart the server."
    )
    assert api.seen == []


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("tool", ["delete_shared_drive", "delete_snapshot", "restore_snapshot"])
@pytest.mark.parametrize("confirm", [None, "other"])
async def test_nothing_destructive_is_sent_without_the_exact_name(
    dialect: Dialect, tool: str, confirm: str | None
) -> None:
    (one,) = [one for one in CONVERSATIONS if one.tool == tool and dialect in one.wire]
    looks = [
        exchange
        for exchange in one.wire[dialect]
        if exchange.method == "GET" and not re.search("limit=(120|20)(&|$)", exchange.target)
    ]
    if tool == "restore_snapshot" and dialect == "live":  # whoever reads the refusal reads what its machine keeps
        looks.append(Exchange("GET", "/machines?limit=120", body={"hasMore": False, "items": []}))
    api = RecordedApi(looks)
    arguments = {**one.arguments, "confirm": confirm} if confirm else {"id": one.arguments["id"]}
    async with connected(api, dialect, confirm="auto") as client:
        text = failure_of(await client.call_tool(tool, arguments))
    api.assert_kept_to_script()
    assert "call again with confirm set to its exact name" in text
    assert text.endswith("Nothing was changed.")


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    ("tool", "arguments", "list_first", "text"),
    [
        (
            "create_snapshot",
            {"machineId": "ps9", "name": "n"},
            "/snapshots?machineId=ps9&limit=120",
            'No machine ps9 (404 NOT_FOUND). The API said: "Not there.". Check the id. list_machines lists what '
            "exists. Nothing was changed.",
        ),
        (
            "create_shared_drive",
            {"name": "n", "size": 1, "region": "ny2", "privateNetworkId": "ne9"},
            "/shared-drives?limit=120&name=n",
            'No private network ne9 (404 NOT_FOUND). The API said: "Not there.". Check the id. '
            "list_private_networks lists what exists. Nothing was changed.",
        ),
    ],
)
async def test_a_creation_that_lacks_what_it_needs_names_that(
    dialect: Dialect, tool: str, arguments: Json, list_first: str, text: str
) -> None:
    live = dialect == "live"
    path = list_first.split("?")[0]
    sent = {("networkId" if live and name == "privateNetworkId" else name): one for name, one in arguments.items()}
    api = RecordedApi(
        [
            Exchange(
                "GET",
                list_first if live or tool == "create_snapshot" else path,
                body={"hasMore": False, "items": []} if live else [],
            ),
            Exchange("POST", path, sent, 404, {"code": "NOT_FOUND", "message": "Not there."}),
        ]
    )
    async with connected(api, dialect) as client:
        assert failure_of(await client.call_tool(tool, arguments)) == text
    api.assert_kept_to_script()
