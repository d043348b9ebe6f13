"""What the operator rules out: protected names, tools that are not there, a wider network."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import Any, cast

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp.shared.exceptions import MCPError

from paperspace_storage_server.api.upstream import DIALECTS
from paperspace_storage_server.calls.service import select
from paperspace_storage_server.guard.protect import Protection
from paperspace_storage_server.settings import Settings, SettingsError, load_settings
from paperspace_storage_server.wire.messages import Dialect
from paperspace_storage_tools.catalogue import CATALOGUE
from paperspace_storage_tools.text import clean
from support.guarded import DESTRUCTIVE, PROFILES, world

pytestmark = pytest.mark.anyio
KEYS = {"type": "s3", "bucket": "b", "credentialProfile": "team"}


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_protection_holds_against_delete_restore_rename_shrink_and_replace(dialect: Dialect) -> None:
    async with world(dialect, confirm="never", protect=["*"]) as one:
        shrinks = [("update_shared_drive", {"id": one.ids["drive"], "size": 1}, "shrunk")]
        calls: list[tuple[str, dict[str, Any], str]] = [
            ("delete_shared_drive", {"id": one.ids["drive"]}, "deleted"),
            ("delete_snapshot", {"id": one.ids["snapshot"]}, "deleted"),
            ("restore_snapshot", {"id": one.ids["snapshot"]}, "restored over"),
            ("delete_storage_provider", {"id": one.ids["provider"]}, "deleted"),
            ("update_shared_drive", {"id": one.ids["drive"], "name": "free"}, "renamed"),
            *(shrinks if dialect == "published" else []),
            ("update_snapshot", {"id": one.ids["snapshot"], "name": "free"}, "renamed"),
            ("update_storage_provider", {"id": one.ids["provider"], "name": "free", **KEYS}, "replaced"),
        ]
        for tool, arguments, act in calls:
            text = await one.text(tool, arguments)
            assert text.startswith("The operator protects "), (tool, text)
            assert f"so it cannot be {act}." in text
        assert one.api.writes == []


async def test_a_protected_machine_or_snapshot_name_is_not_restored_over() -> None:
    for kind in ("machine", "snapshot name", "snapshot"):
        async with world("live", confirm="never") as known:
            glob = known.ids[kind].upper()
        async with world("live", confirm="never", protect=[glob]) as one:
            assert "cannot be restored over" in await one.text("restore_snapshot", {"id": one.ids["snapshot"]})
            assert one.api.writes == []


async def test_a_machine_is_protected_by_its_name_too_where_the_api_tells_it() -> None:
    async with world("live", confirm="never") as known:
        (machine,) = [
            one for one in (await known.api.ask("GET", "/machines"))["items"] if one["id"] == known.ids["machine"]
        ]
    for glob in (machine["name"], machine["name"][:4].upper() + "*"):
        async with world("live", confirm="never", protect=[glob]) as one:
            text = await one.text("restore_snapshot", {"id": one.ids["snapshot"]})
            assert f'matches --protect "{glob}", so it cannot be restored over' in text
            assert one.api.writes == []
    async with world("live", confirm="never", protect=["another"]) as one:
        assert '"status":' in await one.text("restore_snapshot", {"id": one.ids["snapshot"]})


async def test_a_machine_that_is_in_no_list_or_whose_list_may_not_be_read_is_not_restored_over() -> None:
    empty = httpx.Response(200, json={"hasMore": False, "items": []})
    denied = httpx.Response(403, json={"code": "FORBIDDEN", "message": "no machines for you"})
    for answer, said in ((empty, "does not say the machine of snapshot"), (denied, "This key may not do that")):
        async with world("live", confirm="never", protect=["prod-*"]) as one:
            one.api.instead = lambda request, answer=answer: answer if "/machines" in request.url.path else None
            assert said in await one.text("restore_snapshot", {"id": one.ids["snapshot"]})
            assert one.api.writes == []


async def test_growth_and_notes_of_what_is_protected_are_allowed() -> None:
    async with world("published", protect=["*"]) as one:
        drive, snapshot = one.ids["drive"], one.ids["snapshot"]
        assert '"size":5000' in await one.text("update_shared_drive", {"id": drive, "size": 5000})
        same = {"id": snapshot, "note": "keep", "name": one.ids["snapshot name"]}
        assert '"note":"keep"' in await one.text("update_snapshot", same)
        assert one.api.writes == [f"PUT /shared-drives/{drive}", f"PUT /snapshots/{snapshot}"]


@pytest.mark.parametrize("name", ["PROD-db", "p\u200brod-db", "prod\u202e-db", "Prod-\U000e0041db", "\x1b[0mprod-db"])
async def test_case_and_hidden_characters_do_not_evade_protection(name: str) -> None:
    def rename(request: httpx.Request, answer: httpx.Response) -> httpx.Response:
        return httpx.Response(answer.status_code, json={**answer.json(), "name": name})

    async with world("live", confirm="never", protect=["prod-*"]) as one:
        one.api.after = rename
        assert "cannot be deleted" in await one.text("delete_shared_drive", {"id": one.ids["drive"]})
        assert one.api.writes == []


async def test_where_the_api_does_not_say_what_protection_has_to_compare_nothing_is_done() -> None:
    def without(*fields: str) -> Callable[[httpx.Request, httpx.Response], httpx.Response]:
        def leave_out(request: httpx.Request, answer: httpx.Response) -> httpx.Response:
            value = answer.json()
            if isinstance(value, dict):
                value = {name: one for name, one in cast("dict[str, object]", value).items() if name not in fields}
            return httpx.Response(answer.status_code, json=value)

        return leave_out

    for dialect in DIALECTS:
        async with world(dialect, confirm="never", protect=["prod-*", "psprotected"]) as one:
            one.api.after = without("machineId")
            snapshot, restore = one.ids["snapshot"], {"id": one.ids["snapshot"]}
            for arguments in (restore, {**restore, "createSnapshotBeforeRestore": False}):
                text = await one.text("restore_snapshot", arguments)
                assert text.endswith("Nothing was changed.")
                if dialect == "live" or "createSnapshotBeforeRestore" in arguments:
                    assert f"does not say the machine of snapshot {snapshot}: it may be a protected one" in text
            one.api.after = without("name")
            for tool, (kind, _) in DESTRUCTIVE.items():
                assert "does not say the name of " in await one.text(tool, {"id": one.ids[kind]}), tool
            renamed = await one.text("update_shared_drive", {"id": one.ids["drive"], "name": "free"})
            assert renamed.startswith("The operator protects some names and ids (PAPERSPACE_MCP_PROTECT)")
            assert one.api.writes == []
        async with world(dialect, confirm="never") as one:  # nothing is protected, so nothing has to be known
            one.api.after = without("machineId")
            unsafe = {"id": one.ids["snapshot"], "createSnapshotBeforeRestore": False}
            assert '"status":' in await one.text("restore_snapshot", unsafe)


SPELLINGS = [
    ("prod-*", "ＰＲＯＤ-db"),
    ("ＰＲＯＤ-*", "prod-db"),
    ("caf\u00e9", "cafe\u0301"),
    ("cafe\u0301", "CAF\u00c9"),
    ("caf?", "cafe\u0301"),
    ("caf[\u00e9e]", "cafe\u0301"),
    ("prod-*", " prod-db"),
    ("prod-*", "\u00a0prod-db"),
    ("prod-db", "prod-db\u3000"),
    ("prod db", "prod\u2003 db"),
    ("prod-*", "p\u034frod-db"),
    ("prod-*", "p\ufe0frod-db"),
    ("p\u200brod-*", "prod-db"),
    ("stra\u00dfe", "STRASSE"),
    ("STRASSE", "stra\u00dfe"),
    ("[\u00df]x", "\u00dfx"),
    ("\ufb01le", "file"),
    ("\u03b1\u0345", "\u1fb3"),
    ("[A-F]-1", "C-1"),
    ("[A-F]-1", "c-1"),
    ("data[1]", "data[1]"),
    ("data[1]", "data1"),
    ("data[1]-*", "data[1]-copy"),
    ("data[[]1]", "data[1]"),
    ("data[", "data["),
    ("*", "\u200b"),
]


@pytest.mark.parametrize(("glob", "name"), SPELLINGS)
def test_no_spelling_of_a_protected_name_evades_its_glob(glob: str, name: str) -> None:
    assert Protection([glob]).match(name) == glob


def test_a_glob_covers_no_other_name() -> None:
    protection = Protection(["prod-*", "sd123", "data[[]1]", "caf\u00e9", "[ab]c"])
    others = ("my-prod-1", "prod", "sd1234", "data1", "cafe", "caf\u00e8", "cc", "[ab]cd", "", " ")
    assert [protection.match(name) for name in others] == [None] * len(others)
    assert protection.match("cc", "sd123") == "sd123"


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"])).filter(lambda name: clean(name).strip() != ""))
def test_any_name_written_as_a_glob_covers_itself_however_it_is_normalised(name: str) -> None:
    protection = Protection([name])
    forms = [unicodedata.normalize(form, name) for form in ("NFC", "NFD", "NFKC", "NFKD")]
    assert all(protection.match(form) for form in (*forms, name.casefold(), f" {name} ") if form)


@pytest.mark.parametrize(
    "limits",
    [
        {"read_only": True},
        {"read_only": True, "tools": ["delete_shared_drive", "list_snapshots"]},
        {"toolsets": ["utilization"]},
        {"tools": ["get_snapshot"]},
        {"exclude_tools": ["restore_snapshot", "delete_snapshot"]},
    ],
)
async def test_what_is_not_registered_is_not_listed_and_cannot_be_called(limits: dict[str, Any]) -> None:
    expected = [tool.name for tool in select(Settings.model_construct(**{**Settings().model_dump(), **limits}))]
    async with world("live", confirm="never", **limits) as one:
        listed = [tool.name for tool in (await one.client.list_tools()).tools]
        assert listed == expected
        for tool in CATALOGUE:
            if tool.name not in listed:
                with pytest.raises(MCPError, match="Unknown tool"):
                    await one.call(tool.name, {"id": one.ids["drive"]})
        assert one.api.sent == []
        if limits.get("read_only"):
            assert not [tool for tool in CATALOGUE if tool.writes and tool.name in listed]


async def test_denied_secret_arguments_are_neither_in_the_schema_nor_accepted_in_any_spelling() -> None:
    async with world("live", secret_arguments="deny") as one:
        for tool in (await one.client.list_tools()).tools:
            assert not {"accessKey", "secretKey"} & tool.input_schema["properties"].keys()
        for access, secret in (("accessKey", "secretKey"), ("access_key", "secret_key")):
            given = {"name": "x", "type": "s3", "bucket": "b", access: "AKIA12345678", secret: "abcdefghij"}
            text = await one.text("create_storage_provider", given)
            assert "`accessKey` is switched off on this server" in text
            assert "`secretKey` is switched off on this server" in text
        assert one.api.sent == []
        await one.call("create_storage_provider", {"name": "by profile", **KEYS})
        assert one.api.writes == ["POST /storage-providers"]
        assert PROFILES["team"][1] in one.api.secrets


async def test_ids_with_path_tricks_or_hidden_characters_are_refused_before_anything_is_sent() -> None:
    tricks = [
        "../x",
        "a/b",
        "..",
        ".",
        "%2e%2e",
        "%252e%252e%252fx",
        "a\\b",
        "a%2fb",
        " a",
        "a\n",
        "a\u200b",
        "",
        "utiliz",
    ]
    async with world("live", confirm="never") as one:
        for tool in CATALOGUE:
            if "id" not in tool.arguments.model_fields:
                continue
            for id in tricks[:-1]:
                text = await one.text(tool.name, {"id": id})
                assert text.startswith(f"{tool.name}: "), (tool.name, id, text)
        text = await one.text("delete_storage_provider", {"id": "Utilization"})
        assert "a provider's id" in text
        assert one.api.sent == []


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.com", "127.0.0.1.example.com"])
def test_a_host_beyond_loopback_is_refused_with_the_reason(host: str) -> None:
    with pytest.raises(SettingsError, match="PAPERSPACE_MCP_HOST"):
        load_settings({"host": host, "transport": "streamable-http"})
