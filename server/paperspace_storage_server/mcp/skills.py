"""The Agent Skills over MCP: the extension `io.modelcontextprotocol/skills`, and their files as `skill://` resources.

After `specification/stable/skills` of modelcontextprotocol/ext-skills, which binds the extension to the revision
2026-07-28: its methods exist there only. The files are ordinary resources in either era. A skill that needs a tool
which the caller does not have is not served.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from mcp.server import Server
from mcp.server.caching import CacheHint
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, PaginatedRequestParams, RequestParams, Resource, ResourceTemplate

from paperspace_storage_server.guard.hygiene import Json
from paperspace_storage_server.mcp.caller import Context
from paperspace_storage_server.mcp.offers import COMPLETE, LIST_LIFE, Selected, first_page, life, modern_only

if TYPE_CHECKING:
    from collections.abc import Sequence

    from paperspace_storage_tools.skills import Skill, SkillFile

EXTENSION: Final = "io.modelcontextprotocol/skills"
_SCHEME: Final = "skill://"
_MARKDOWN: Final = "text/markdown"
_FOLDER: Final = "inode/directory"


class _Uri(RequestParams):
    uri: str


class _Folder(PaginatedRequestParams):
    uri: str


class Skills:
    """`offers.Offer` of the skills that can be carried out with the caller's tools."""

    life = LIST_LIFE  # of a file, which is the same for all who have it

    def __init__(self, selected: Selected, listing: CacheHint = LIST_LIFE) -> None:
        """`listing` is the life of what depends on who asks."""
        self._selected = selected
        self._listing = listing

    def extend(self, server: Server[Any]) -> None:
        server.extensions[EXTENSION] = {"directoryRead": True}
        server.add_request_handler("skills/list", PaginatedRequestParams, self._list)
        server.add_request_handler("skills/get", _Uri, self._get)
        server.add_request_handler("resources/directory/read", _Folder, self._read_folder)

    def templates(self, context: Context) -> list[ResourceTemplate]:
        return []

    def resources(self, context: Context) -> list[Resource]:
        return [_resource(skill, skill.files[0]) for skill in self._served(context)]

    async def read(self, context: Context, uri: str) -> list[Json] | None:
        for skill in self._served(context):
            for file in skill.files:
                if uri == _uri(skill, file):
                    return [{"uri": uri, "mimeType": _MARKDOWN, "text": file.text}]
        return None

    async def _list(self, context: Context, params: PaginatedRequestParams) -> Json:
        modern_only(context, "skills/list")
        first_page(params.cursor)
        entries = [_entry(skill) for skill in self._served(context)]
        return {"resultType": COMPLETE, "skills": entries, **life(self._listing)}

    async def _get(self, context: Context, params: _Uri) -> Json:
        modern_only(context, "skills/get")
        for skill in self._served(context):
            if params.uri == _uri(skill, skill.files[0]):
                return {"resultType": COMPLETE, "skill": _entry(skill), **life(self._listing)}
        raise MCPError(INVALID_PARAMS, f"No skill is served at {_shown(params.uri)}", {"uri": params.uri[:2000]})

    async def _read_folder(self, context: Context, params: _Folder) -> Json:
        modern_only(context, "resources/directory/read")
        first_page(params.cursor)
        for skill in self._served(context):
            root = f"{_SCHEME}{skill.name}/"
            if not f"{params.uri}/".startswith(root):
                continue
            if children := _children(skill, f"{params.uri}/".removeprefix(root)):
                listed = [one.model_dump(mode="json", by_alias=True, exclude_none=True) for one in children]
                return {"resultType": COMPLETE, "resources": listed}
        raise MCPError(INVALID_PARAMS, f"{_shown(params.uri)} is not a directory resource", {"uri": params.uri[:2000]})

    def _served(self, context: Context) -> Sequence[Skill]:
        from paperspace_storage_tools.skills import honoured  # read from disk only when somebody asks

        return honoured(self._selected(context))


def _uri(skill: Skill, file: SkillFile) -> str:
    return f"{_SCHEME}{skill.name}/{file.path}"


def _entry(skill: Skill) -> Json:
    """A skill as the extension lists it: its frontmatter as it stands, and every file with digest and size."""
    return {
        "uri": _uri(skill, skill.files[0]),
        "frontmatter": skill.frontmatter,
        "resources": [
            {"uri": _uri(skill, file), "digest": f"sha256:{file.digest}", "size": file.size} for file in skill.files
        ],
    }


def _resource(skill: Skill, file: SkillFile) -> Resource:
    entry = file is skill.files[0]
    return Resource(
        uri=_uri(skill, file),
        name=skill.name if entry else file.path.rsplit("/", 1)[-1],
        title=skill.title if entry else None,
        description=skill.description if entry else None,
        mime_type=_MARKDOWN,
        size=file.size,
    )


def _children(skill: Skill, prefix: str) -> list[Resource]:
    """What stands directly in a folder of the skill; nothing where there is no such folder."""
    found: dict[str, Resource] = {}
    for file in skill.files:
        if not file.path.startswith(prefix):
            continue
        name, inner, _ = file.path.removeprefix(prefix).partition("/")
        uri = f"{_SCHEME}{skill.name}/{prefix}{name}"
        found[name] = Resource(uri=uri, name=name, mime_type=_FOLDER) if inner else _resource(skill, file)
    return list(found.values())


def _shown(uri: str) -> str:
    return uri[:200] if uri.isprintable() else "this URI"
