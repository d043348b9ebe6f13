"""Tasks: the extension `io.modelcontextprotocol/tasks` (SEP-2663) for operations on snapshots that outlast their call.

After `specification/draft/tasks.md` of modelcontextprotocol/ext-tasks. Nothing is kept here: the id of a task carries,
sealed, all that its answer needs, so that any process can give it, a restarted one too. How far the operation is, the
API's machine event tells.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, cast

from mcp.server import Server
from mcp.shared.exceptions import MCPError
from mcp.shared.inbound import MCP_NAME_HEADER, decode_header_value
from mcp_types import (
    HEADER_MISMATCH,
    INVALID_PARAMS,
    METHOD_NOT_FOUND,
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    RequestParams,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from starlette.requests import Request

from paperspace_storage_server.calls.outcome import Outcome
from paperspace_storage_server.calls.service import Service
from paperspace_storage_server.guard.hygiene import Json
from paperspace_storage_server.mcp.caller import Context, reading
from paperspace_storage_server.mcp.offers import COMPLETE, modern_only
from paperspace_storage_tools.errors import EventFailed, Refused, describe
from paperspace_storage_tools.tool import AnyTool

EXTENSION: Final = "io.modelcontextprotocol/tasks"
TTL: Final = 86_400.0
"""Seconds for which a task can be asked about."""
POLL: Final = 2_000
"""Milliseconds between two looks that suffice: the shortest operation takes some seconds."""
_FOLLOWED_BY: Final = "get_machine_event"
_PURPOSE: Final = "task"
_CANNOT_CANCEL: Final = "The API cannot cancel it."
_FINISHED: Final = ("done", "error", "cancelled")  # any other state, a new one of the API's too, goes on
_WORDS: Final = {
    "create_snapshot": "Snapshot {}",
    "delete_snapshot": "Deletion of snapshot {}",
    "restore_snapshot": "Restore of snapshot {}",
}


class _TaskId(RequestParams):
    task_id: str


class _Answers(_TaskId):
    input_responses: dict[str, Any]


class Tasks:
    """What `tools/call` answers a client that declares the extension, and the three methods of a task."""

    def __init__(self, service_of: Callable[[Context], Service]) -> None:
        self._service_of = service_of

    def extend(self, server: Server[Any]) -> None:
        server.extensions[EXTENSION] = {}
        server.add_request_handler("tasks/get", _TaskId, self._get)
        server.add_request_handler("tasks/update", _Answers, self._update)
        server.add_request_handler("tasks/cancel", _TaskId, self._cancel)

    def wanted(self, context: Context, tool: AnyTool, given: Json) -> bool:
        """Whether this call may be answered with a task: then its tool need not wait."""
        return (
            tool.name in _WORDS
            and given.get("waitSeconds", given.get("wait_seconds")) != 0
            and _FOLLOWED_BY in self._service_of(context).tools
            and _declared(context)
        )

    def of(self, context: Context, tool: AnyTool, outcome: Outcome) -> Json | None:
        """The new task, where the operation goes on; None where its outcome is all there is to say."""
        result = outcome.structured
        event = cast("Json | None", result.get("event")) if result is not None else None
        if result is None or event is None or event["state"] in _FINISHED:
            return None
        service = self._service_of(context)
        created = service.team.upstream.now()
        kept = {name: value for name, value in result.items() if name != "event"}
        content = {"tool": tool.name, "result": kept, "event": event["id"], "created": created}
        id = service.process.sealer().seal(_PURPOSE, _owner(service), cast("Any", content), TTL)
        return {"resultType": "task", **_task(id, created, event), **_working(tool.name, kept, event)}

    async def _get(self, context: Context, params: _TaskId) -> Json:
        service, task = self._opened(context, params, "tasks/get")
        tool, result, created = cast("str", task["tool"]), cast("Json", task["result"]), cast("float", task["created"])
        following = service.tools[_FOLLOWED_BY]
        outcome = await service.call(following, {"id": task["event"]}, reading(context))
        event = outcome.structured
        if event is None:
            return {"resultType": COMPLETE, **_unread(params.task_id, created, service, tool, result, task, outcome)}
        made = {"resultType": COMPLETE, **_task(params.task_id, created, event)}
        if event["state"] not in _FINISHED:
            return {**made, **_working(tool, result, event)}
        if event["state"] == "done":
            done = {**result, "event": event, **({"status": "done"} if "status" in result else {})}
            final, text = service.team.hygiene.result(done)
            return {**made, **_completed(text, final)}
        what = _what(tool, result)
        failure = EventFailed(what, str(event["id"]), str(event["state"]), cast("str | None", event.get("error")))
        return {**made, **_completed(service.team.hygiene.failure(describe(failure, write=True)))}

    async def _update(self, context: Context, params: _Answers) -> Json:
        """No task of ours asks for anything: answers that nobody asked for are ignored, as the extension says."""
        self._opened(context, params, "tasks/update")
        return {"resultType": COMPLETE}

    async def _cancel(self, context: Context, params: _TaskId) -> Json:
        """Acknowledged, and nothing more: the API has no way to stop an operation, as each `statusMessage` says."""
        self._opened(context, params, "tasks/cancel")
        return {"resultType": COMPLETE}

    def _opened(self, context: Context, params: _TaskId, method: str) -> tuple[Service, dict[str, Any]]:
        """The task's service and what its id carries.

        Raises:
            MCPError: the client did not declare the extension, a header names another task, or the id is none of this
                team's, or too old.
        """
        from paperspace_storage_server.state.seal import NotSealedHere, SealExpired

        modern_only(context, method)
        _check_header(context, params.task_id)
        if not _declared(context):
            needed: Json = {"requiredCapabilities": {"extensions": {EXTENSION: {}}}}
            raise MCPError(MISSING_REQUIRED_CLIENT_CAPABILITY, "Missing required client capability", needed)
        service = self._service_of(context)
        if service.team.upstream.dialect == "published":
            raise MCPError(METHOD_NOT_FOUND, "Method not found", method)
        try:
            opened = service.process.sealer().open(params.task_id, _PURPOSE, _owner(service))
        except SealExpired:
            raise MCPError(INVALID_PARAMS, "Failed to retrieve task: Task has expired") from None
        except NotSealedHere:
            raise MCPError(INVALID_PARAMS, "Failed to retrieve task: Task not found") from None
        if _FOLLOWED_BY not in service.tools:
            raise MCPError(INVALID_PARAMS, "Failed to retrieve task: Task not found")
        return service, cast("dict[str, Any]", opened.content)


def _check_header(context: Context, task_id: str) -> None:
    """Over HTTP the id stands in `Mcp-Name` too, for what routes requests. The SDK compares it for the methods that it
    knows; a header that is not there has misled nobody."""
    request: object = context.request
    header = request.headers.get(MCP_NAME_HEADER) if isinstance(request, Request) else None
    if header is not None and decode_header_value(header) != task_id:
        raise MCPError(
            HEADER_MISMATCH, f"{MCP_NAME_HEADER} header does not match the request body's 'taskId' parameter"
        )


def _declared(context: Context) -> bool:
    """Whether the client declares the extension, as it must in each request of the 2026 era. In the older era some
    declare it too, and could not read a task."""
    capabilities = context.session.client_capabilities
    declared = capabilities is not None and EXTENSION in (capabilities.extensions or {})
    return declared and context.protocol_version in MODERN_PROTOCOL_VERSIONS


def _owner(service: Service) -> tuple[str, ...]:
    return (service.team.upstream.team,)


def _what(tool: str, result: Json) -> str:
    return _WORDS[tool].format(result["id"])


def _task(id: str, created: float, event: Json) -> Json:
    """What every answer about a task has in common."""
    at = _instant(created)
    try:
        said = str(event.get("dtFinished") or event.get("dtStarted"))
        updated = _instant(datetime.fromisoformat(said).timestamp())
    except (ValueError, OverflowError):  # the API gives none, or not one that is a date
        updated = at
    return {"taskId": id, "createdAt": at, "lastUpdatedAt": updated, "ttlMs": int(TTL * 1000), "pollIntervalMs": POLL}


def _working(tool: str, result: Json, event: Json) -> Json:
    return {"status": "working", "statusMessage": f"{_what(tool, result)}: {event['state']}. {_CANNOT_CANCEL}"}


def _completed(text: str, structured: Json | None = None) -> Json:
    """A task whose tool has an answer, be it an error of the tool's: `failed` is for errors of the protocol alone."""
    result: Json = {
        "resultType": COMPLETE,  # it is whole in itself, and clients read it as the answer of `tools/call`
        "content": [{"type": "text", "text": text}],
        "isError": structured is None,
    }
    if structured is not None:
        result["structuredContent"] = structured
    return {"status": "completed", "result": result}


def _unread(
    id: str, created: float, service: Service, tool: str, result: Json, task: dict[str, Any], outcome: Outcome
) -> Json:
    """The event cannot be read: for good, where the API no longer knows it, else for the moment."""
    made = {**_task(id, created, {}), "lastUpdatedAt": _instant(service.team.upstream.now())}
    failure = outcome.failure
    if isinstance(failure, Refused) and failure.status == 404:
        text = f"{_what(tool, result)} was accepted, and the API no longer knows its event {task['event']}."
        return {**made, **_completed(service.team.hygiene.failure(f"{text} Look at the present state."))}
    message = service.team.hygiene.failure(f"{_what(tool, result)}: its state cannot be read now. {outcome.text}")
    return {**made, "status": "working", "statusMessage": f"{message} {_CANNOT_CANCEL}"}


def _instant(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
