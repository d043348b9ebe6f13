"""Arguments: a valid call, or one failure that names every problem, repeats no value and sends nothing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic.alias_generators import to_snake

from paperspace_storage_server.calls.validate import DENIED, validate
from paperspace_storage_tools.arguments import Arguments
from paperspace_storage_tools.catalogue import CATALOGUE
from paperspace_storage_tools.errors import InvalidArguments
from paperspace_storage_tools.listing import entries
from paperspace_storage_tools.tool import AnyTool
from support.conversations import CONVERSATIONS, Conversation
from support.recorded import RecordedApi, connected, failure_of

TOOLS = {tool.name: tool for tool in CATALOGUE}
PROPERTIES: dict[str, list[str]] = {one["name"]: list(one["inputSchema"]["properties"]) for one in entries(CATALOGUE)}
MARK = "VALUE-NOT-TO-BE-REPEATED"
_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=6).map(lambda text: MARK + text)
    | st.just(MARK + "/../" + "\x00"),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)


@settings(deadline=None)
@given(st.data())
def test_any_arguments_are_taken_or_refused_whole_without_their_values(data: st.DataObject) -> None:
    tool = TOOLS[data.draw(st.sampled_from(sorted(TOOLS)))]
    known = PROPERTIES[tool.name]
    names = st.sampled_from([*known, *map(to_snake, known), "idd"]) | st.text(max_size=8)
    given_ = data.draw(st.dictionaries(names, _VALUES, max_size=6))
    try:
        arguments = validate(tool, given_)
    except InvalidArguments as failure:
        wrong = failure
    else:
        assert isinstance(arguments, Arguments)
        return
    assert wrong.tool == tool.name
    assert wrong.problems == list(dict.fromkeys(wrong.problems)) != []
    assert MARK not in wrong.text()
    for name in given_:
        if name not in known and name not in map(to_snake, known):
            assert any(problem.startswith("unknown argument `") for problem in wrong.problems)


@pytest.mark.anyio
async def test_every_problem_is_named_at_once_and_nothing_is_sent() -> None:
    api = RecordedApi([])
    async with connected(api, "live") as client:
        text = failure_of(
            await client.call_tool(
                "create_shared_drive", {"name": MARK + "\u202e", "size": 0, "privateNetworkID": "x", "regoin": MARK}
            )
        )
    assert api.seen == []
    assert text == (
        "create_shared_drive: `name` must be text without control, direction-changing or invisible characters; "
        "`size` must be at least 1; `region` is required; `privateNetworkId` is required; "
        "unknown argument `privateNetworkID` (did you mean `privateNetworkId`?); "
        "unknown argument `regoin` (did you mean `region`?). Correct and call again; nothing was sent."
    )


CASES: list[tuple[str, dict[str, Any], list[str]]] = [
    ("get_shared_drive", {}, ["`id` is required"]),
    ("get_shared_drive", {"id": 7}, ["`id` must be text"]),
    ("get_shared_drive", {"id": None}, ["`id` must be text"]),
    ("get_shared_drive", {"id": "x" * 201}, ["`id` must be at most 200 characters"]),
    ("get_shared_drive", {"id": "x", "drive_id": "y"}, ["unknown argument `drive_id`; this tool takes id"]),
    ("get_storage_utilization", {"x": 1}, ["unknown argument `x`; this tool takes no arguments"]),
    ("update_shared_drive", {"id": "x"}, ["give at least one of name, size"]),
    ("update_snapshot", {"id": "x"}, ["give at least one of name, note"]),
    ("create_snapshot", {"machineId": "", "name": None}, ["must be text that is not empty", "must be text"]),
    ("update_snapshot", {"id": "x", "name": None, "note": ""}, ["give at least one of name, note"]),
    ("list_snapshots", {"after": "x" * 4001}, ["`after` must be at most 4000 characters"]),
    ("list_snapshots", {"after": "~abcdef:ss1:"}, ["`after` must be a nextPage exactly as a list gave it"]),
    ("list_snapshots", {"limit": 121}, ["`limit` must be at most 120"]),
    ("list_snapshots", {"limit": True}, ["`limit` must be a whole number, not a boolean"]),
    ("list_snapshots", {"limit": 1.5}, ["`limit` must be a whole number"]),
    ("list_snapshots", {"limit": "many"}, ["`limit` must be a whole number"]),
    ("list_snapshots", {"limit": 10**30}, ["`limit` must be at most 120"]),
    ("list_snapshots", {"order_by": "size"}, ["`orderBy` must be one of 'dtCreated' or 'name'"]),
    ("create_snapshot", {"machineId": "m", "name": "  "}, ["`name` must be text that is not blank"]),
    ("create_snapshot", {"machineId": "m", "name": "n", "waitSeconds": -1}, ["`waitSeconds` must be at least 0"]),
    ("restore_snapshot", {"id": "x", "createSnapshotBeforeRestore": "perhaps"}, ["must be true or false"]),
    ("create_storage_provider", {"name": "n", "type": "ftp"}, ["`type` must be one of 's3', 'gcs' or 'azure-blob'"]),
    (
        "create_storage_provider",
        {"name": "n", "type": "s3", "accessKey": "a"},
        ["give accessKey and secretKey together, or neither"],
    ),
    (
        "create_storage_provider",
        {"name": "n", "type": "s3", "accessKey": "a", "secretKey": "b", "credentialProfile": "p"},
        ["give credentialProfile, or accessKey with secretKey, not both"],
    ),
    (
        "create_storage_provider",
        {"name": "n", "type": "s3", "endpoint": "https://user:pw@s3.example.com"},
        ["`endpoint` must be a URL such as https://s3.example.com, without credentials in it"],
    ),
]


@pytest.mark.parametrize(("tool", "arguments", "problems"), CASES)
def test_a_wrong_argument_is_answered_with_what_was_expected(
    tool: str, arguments: dict[str, Any], problems: list[str]
) -> None:
    with pytest.raises(InvalidArguments) as raised:
        validate(TOOLS[tool], arguments)
    assert len(raised.value.problems) == len(problems)
    assert all(told.endswith(problem) for told, problem in zip(raised.value.problems, problems, strict=True))


@pytest.mark.parametrize("one", CONVERSATIONS, ids=lambda one: one.name)
def test_both_spellings_mean_the_same(one: Conversation) -> None:
    tool: AnyTool = TOOLS[one.tool]
    snake = {to_snake(name): value for name, value in one.arguments.items()}
    assert validate(tool, snake) == validate(tool, one.arguments)


def test_switched_off_arguments_are_refused_in_both_spellings() -> None:
    for names in (("accessKey", "secretKey"), ("access_key", "secret_key")):
        with pytest.raises(InvalidArguments) as raised:
            validate(
                TOOLS["create_storage_provider"],
                {"name": "n", "type": "s3", names[0]: MARK, names[1]: MARK},
                denied=DENIED["deny"],
            )
        assert raised.value.problems == [
            "`accessKey` is switched off on this server: give credentialProfile",
            "`secretKey` is switched off on this server: give credentialProfile",
        ]


@pytest.mark.parametrize("word", ["off", "no", "0", 0, "f", [], "True "])
def test_only_a_plain_false_declines_the_safety_snapshot(word: object) -> None:
    with pytest.raises(InvalidArguments) as refused:
        validate(TOOLS["restore_snapshot"], {"id": "ss1", "createSnapshotBeforeRestore": word})
    assert refused.value.problems == ["`createSnapshotBeforeRestore` must be true or false"]


@pytest.mark.parametrize("word", [False, "false"])
def test_a_plain_false_declines_the_safety_snapshot_as_text_too(word: object) -> None:
    arguments = validate(TOOLS["restore_snapshot"], {"id": "ss1", "createSnapshotBeforeRestore": word})
    assert arguments.create_snapshot_before_restore is False


@pytest.mark.parametrize("tool", CATALOGUE, ids=lambda tool: tool.name)
@pytest.mark.parametrize("empty", [None, ""])
def test_null_and_empty_text_mean_that_an_optional_argument_was_not_given(tool: AnyTool, empty: object) -> None:
    """Several frameworks make a model send one of them for every argument that it means to leave out."""
    given_ = next(one.arguments for one in CONVERSATIONS if one.tool == tool.name)
    required = next(one for one in entries([tool]))["inputSchema"].get("required", [])
    left_out = {name: empty for name in PROPERTIES[tool.name] if name not in given_ and name not in required}
    for spelled in (left_out, {to_snake(name): one for name, one in left_out.items()}):
        assert validate(tool, {**given_, **spelled}) == validate(tool, given_)


@pytest.mark.parametrize("empty", [None, ""])
def test_a_safety_snapshot_that_is_not_spoken_of_is_made(empty: object) -> None:
    arguments = validate(TOOLS["restore_snapshot"], {"id": "ss1", "createSnapshotBeforeRestore": empty})
    assert arguments.create_snapshot_before_restore is True


@pytest.mark.parametrize("empty", [None, ""])
def test_a_switched_off_argument_may_be_sent_empty(empty: object) -> None:
    given_ = {"name": "n", "type": "s3", "accessKey": empty, "secret_key": empty}
    assert validate(TOOLS["create_storage_provider"], given_, denied=DENIED["deny"]).access_key is None
