"""Skills, prompts and the page over MCP, by the official client: what is served to whom, and the errors."""

from __future__ import annotations

import hashlib
from typing import Any, Literal

import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp_types import CacheableResult, PaginatedRequestParams, Request, RequestParams, Result
from pydantic import ConfigDict

from paperspace_storage_tools.catalogue import CATALOGUE
from paperspace_storage_tools.page import URI, html
from paperspace_storage_tools.skills import NAMES, skills
from paperspace_storage_tools.skills.prompts import PROMPTS
from support.guarded import ERAS, Era, world

pytestmark = pytest.mark.anyio

SKILLS = "io.modelcontextprotocol/skills"
UI = "io.modelcontextprotocol/ui"
PAGE_META: dict[str, Any] = {"ui": {"csp": {}, "prefersBorder": True}}


class _Uri(RequestParams):
    uri: str


class _Folder(PaginatedRequestParams):
    uri: str


class _Cacheable(CacheableResult):
    """Any cacheable result, every field kept."""

    model_config = ConfigDict(extra="allow")


class _Any(Result):
    model_config = ConfigDict(extra="allow")


async def _ask(client: Client, method: str, params: RequestParams, *, cacheable: bool = True) -> dict[str, Any]:
    request = Request[Any, str](method=method, params=params)
    result = await client.session.send_request(request, _Cacheable if cacheable else _Any)
    return result.model_dump(mode="json", by_alias=True, exclude={"meta"}, exclude_none=True)


async def _refused(client: Client, method: str, params: RequestParams) -> tuple[int, str, Any]:
    with pytest.raises(MCPError) as refused:
        await _ask(client, method, params)
    return refused.value.error.code, refused.value.error.message, refused.value.error.data


def _entry(name: str) -> dict[str, Any]:
    (skill,) = (one for one in skills() if one.name == name)
    return {
        "uri": f"skill://{name}/SKILL.md",
        "frontmatter": skill.frontmatter,
        "resources": [
            {
                "uri": f"skill://{name}/{file.path}",
                "digest": f"sha256:{hashlib.sha256(file.content).hexdigest()}",
                "size": len(file.content),
            }
            for file in skill.files
        ],
    }


async def test_the_extensions_are_declared_where_their_revision_has_them() -> None:
    async with world("live") as made:
        capabilities = made.client.server_capabilities
        assert capabilities is not None
        extensions = capabilities.extensions or {}
        assert (extensions[UI], extensions[SKILLS]) == ({}, {"directoryRead": True})
        assert capabilities.resources is not None


async def test_skills_are_listed_whole_with_the_life_of_the_listing() -> None:
    async with world("live") as made:
        listed = await _ask(made.client, "skills/list", PaginatedRequestParams())
    assert listed == {
        "resultType": "complete",
        "ttlMs": 3_600_000,
        "cacheScope": "public",
        "skills": [_entry(name) for name in NAMES],
    }


async def test_one_skill_is_the_entry_of_the_listing() -> None:
    async with world("live") as made:
        got = await _ask(made.client, "skills/get", _Uri(uri="skill://before-upgrade/SKILL.md"))
    assert got == {
        "resultType": "complete",
        "ttlMs": 3_600_000,
        "cacheScope": "public",
        "skill": _entry("before-upgrade"),
    }


@pytest.mark.parametrize(
    "uri",
    [
        "skill://no-such-skill/SKILL.md",
        "skill://before-upgrade",
        "skill://before-upgrade/references/tools.md",
        "skill://before-upgrade/SKILL.md/",
        "SKILL://before-upgrade/SKILL.md",
        "file:///etc/passwd",
        "",
    ],
)
async def test_an_unknown_skill_is_named_in_the_error(uri: str) -> None:
    async with world("live") as made:
        refused = await _refused(made.client, "skills/get", _Uri(uri=uri))
    assert refused == (-32602, f"No skill is served at {uri}", {"uri": uri})


async def test_a_folder_lists_what_stands_in_it() -> None:
    async with world("live") as made:
        root = await _ask(
            made.client, "resources/directory/read", _Folder(uri="skill://restore-machine"), cacheable=False
        )
        inner = await _ask(
            made.client, "resources/directory/read", _Folder(uri="skill://restore-machine/references"), cacheable=False
        )
    (skill,) = (one for one in skills() if one.name == "restore-machine")
    assert root == {
        "resultType": "complete",
        "resources": [
            {
                "uri": "skill://restore-machine/SKILL.md",
                "name": "restore-machine",
                "title": skill.title,
                "description": skill.description,
                "mimeType": "text/markdown",
                "size": skill.files[0].size,
            },
            {
                "uri": "skill://restore-machine/references",
                "name": "references",
                "mimeType": "inode/directory",
            },
        ],
    }
    assert inner["resources"] == [
        {
            "uri": "skill://restore-machine/references/tools.md",
            "name": "tools.md",
            "mimeType": "text/markdown",
            "size": skill.files[1].size,
        }
    ]


@pytest.mark.parametrize(
    "uri",
    [
        "skill://restore-machine/SKILL.md",
        "skill://restore-machine/",
        "skill://restore-machine/references/",
        "skill://restore-machine/nothing",
        "skill://restore-machines",
        "skill://",
        "skill://nothing",
    ],
)
async def test_what_is_no_folder_is_named_in_the_error(uri: str) -> None:
    async with world("live") as made:
        refused = await _refused(made.client, "resources/directory/read", _Folder(uri=uri))
    assert refused == (-32602, f"{uri} is not a directory resource", {"uri": uri})


@pytest.mark.parametrize("method", ["skills/list", "resources/directory/read"])
async def test_a_cursor_that_nobody_gave_is_refused(method: str) -> None:
    async with world("live") as made:
        code, message, _ = await _refused(made.client, method, _Folder(uri="skill://before-upgrade", cursor="x"))
    assert (code, message) == (-32602, "Unknown cursor: this list has one page")


@pytest.mark.parametrize("method", ["skills/list", "skills/get", "resources/directory/read"])
async def test_the_methods_do_not_exist_before_the_revision_that_they_are_bound_to(method: str) -> None:
    async with world("live", era="legacy") as made:
        refused = await _refused(made.client, method, _Uri(uri="skill://before-upgrade/SKILL.md"))
    assert refused == (-32601, "Method not found", method)


@pytest.mark.parametrize("era", ERAS)
async def test_every_file_of_every_skill_can_be_read_with_its_bytes(era: Era) -> None:
    async with world("live", era=era) as made:
        for skill in skills():
            for file in skill.files:
                uri = f"skill://{skill.name}/{file.path}"
                read = await made.client.read_resource(uri)
                contents = [one.model_dump(by_alias=True, exclude_none=True) for one in read.contents]
                assert contents == [{"uri": uri, "mimeType": "text/markdown", "text": file.content.decode()}]


@pytest.mark.parametrize("era", ERAS)
async def test_resources_are_the_page_and_each_skill_s_entry(era: Era) -> None:
    async with world("live", era=era) as made:
        listed = (await made.client.list_resources()).resources
    assert [one.uri for one in listed if not one.uri.startswith("paperspace:")] == [
        URI,
        *(f"skill://{name}/SKILL.md" for name in NAMES),
    ]
    page = listed[0].model_dump(by_alias=True, exclude_none=True)
    assert page == {
        "uri": URI,
        "name": "storage.html",
        "title": "Paperspace storage",
        "description": "Shows utilization, shared drives and snapshots by machine, inside a host.",
        "mimeType": "text/html;profile=mcp-app",
        "size": len(html().encode()),
        "_meta": PAGE_META,
    }
    assert [one.size for one in listed if one.uri.startswith("skill:")] == [skill.files[0].size for skill in skills()]


@pytest.mark.parametrize("era", ERAS)
async def test_the_page_is_read_with_its_type_and_its_policy(era: Era) -> None:
    async with world("live", era=era) as made:
        (contents,) = (await made.client.read_resource(URI)).contents
    assert contents.model_dump(by_alias=True, exclude_none=True) == {
        "uri": URI,
        "mimeType": "text/html;profile=mcp-app",
        "text": html(),
        "_meta": PAGE_META,
    }


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize(
    "uri", ["ui://paperspace-storage/other.html", "skill://nothing/SKILL.md", "file:///etc/passwd"]
)
async def test_a_resource_that_does_not_exist_is_named_in_the_error(uri: str, era: Era) -> None:
    async with world("live", era=era) as made:
        with pytest.raises(MCPError) as refused:
            await made.client.read_resource(uri)
    error = refused.value.error
    assert (error.code, error.message, error.data) == (-32602, f"There is no resource {uri}", {"uri": uri})


@pytest.mark.parametrize("era", ERAS)
async def test_tools_name_the_page_and_what_writes_is_for_the_model_alone(era: Era) -> None:
    async with world("live", era=era) as made:
        listed = (await made.client.list_tools()).tools
    shown = {tool.name: tool.meta for tool in listed}
    page = {"ui": {"resourceUri": URI}}
    pages = {"get_storage_utilization": page, "list_shared_drives": page, "list_snapshots": page}
    assert shown == {
        tool.name: {"ui": {"visibility": ["model"]}} if tool.writes else pages.get(tool.name) for tool in CATALOGUE
    }


@pytest.mark.parametrize("era", ERAS)
async def test_prompts_are_listed_with_their_arguments(era: Era) -> None:
    async with world("live", era=era) as made:
        listed = (await made.client.list_prompts()).prompts
    assert [one.name for one in listed] == list(NAMES[1:])
    assert listed[1].model_dump(by_alias=True, exclude_none=True) == {
        "name": "restore-machine",
        "title": "Put a machine back, and keep what was on it",
        "description": "Puts a Paperspace machine back to one of its snapshots without losing what is on it now.",
        "arguments": [
            {"name": "machineId", "description": "the machine's id, as list_machines gives it", "required": True},
            {
                "name": "snapshotId",
                "description": "the snapshot to go back to, as list_snapshots gives it",
                "required": False,
            },
        ],
    }


@pytest.mark.parametrize("era", ERAS)
async def test_a_prompt_is_the_skill_s_text_for_what_the_person_said(era: Era) -> None:
    async with world("live", era=era) as made:
        got = await made.client.get_prompt("before-upgrade", {"machineId": "ps1"})
        assert made.api.sent == []
    (message,) = got.messages
    assert message.role == "user"
    assert message.content.model_dump(exclude_none=True) == {
        "type": "text",
        "text": PROMPTS[0].text({"machineId": "ps1"}),
    }


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("no-such-prompt", {}, 'Unknown prompt: "no-such-prompt"'),
        ("before-upgrade", {}, "before-upgrade: machineId is missing: the machine's id, as list_machines gives it"),
        ("storage-review", {"x": "y"}, 'storage-review: "x" is unknown: there are no arguments'),
    ],
)
async def test_a_wrong_prompt_or_argument_is_invalid_params_and_named(
    name: str, given: dict[str, str], said: str, era: Era
) -> None:
    async with world("live", era=era) as made:
        with pytest.raises(MCPError) as refused:
            await made.client.get_prompt(name, given)
    assert (refused.value.error.code, refused.value.error.message) == (-32602, said)


Served = Literal["skills", "prompts", "resources"]


async def _served(**settings: Any) -> dict[Served, list[str]]:
    async with world("live", **settings) as made:
        listed = await _ask(made.client, "skills/list", PaginatedRequestParams())
        return {
            "skills": [one["frontmatter"]["name"] for one in listed["skills"]],
            "prompts": [one.name for one in (await made.client.list_prompts()).prompts],
            "resources": [
                one.uri
                for one in (await made.client.list_resources()).resources
                if not one.uri.startswith("paperspace:")
            ],
        }


async def test_a_read_only_server_serves_what_it_can_honour() -> None:
    assert await _served(read_only=True) == {
        "skills": ["paperspace-storage", "storage-review"],
        "prompts": ["storage-review"],
        "resources": [URI, "skill://paperspace-storage/SKILL.md", "skill://storage-review/SKILL.md"],
    }


async def test_without_the_tools_whose_results_it_shows_there_is_no_page() -> None:
    assert await _served(toolsets=("storage-providers",)) == {
        "skills": ["paperspace-storage", "rotate-provider-keys"],
        "prompts": ["rotate-provider-keys"],
        "resources": ["skill://paperspace-storage/SKILL.md", "skill://rotate-provider-keys/SKILL.md"],
    }


async def test_what_is_not_served_can_be_had_in_no_way() -> None:
    async with world("live", read_only=True) as made:
        gone = "skill://clean-up-snapshots/SKILL.md"
        assert (await _refused(made.client, "skills/get", _Uri(uri=gone)))[0] == -32602
        folder = _Folder(uri="skill://clean-up-snapshots")
        assert (await _refused(made.client, "resources/directory/read", folder))[0] == -32602
        with pytest.raises(MCPError, match="There is no resource"):
            await made.client.read_resource(gone)
        with pytest.raises(MCPError, match="Unknown prompt"):
            await made.client.get_prompt("clean-up-snapshots", {"keep": "all"})
