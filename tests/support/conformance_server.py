"""Our own server with the fixtures of the conformance suite added, so that what the suite asks of transport, resources,
prompts and completions runs through our code. Nobody serves this.

    PYTHONPATH=server:tools:tests python -m support.conformance_server --port 8765

The composition, the HTTP application, the middleware and every other method are those of `serve --sandbox`; a name or
an address that is no fixture goes to the server's own method.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Awaitable, Callable, Mapping
from itertools import count
from typing import Any
from urllib.parse import unquote

from mcp.server import Server
from mcp.server.caching import CacheHint
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    CompleteRequestParams,
    CompleteResult,
    Completion,
    CompletionArgument,
    ContentBlock,
    GetPromptRequestParams,
    GetPromptResult,
    InputRequiredResult,
    ListPromptsResult,
    ListResourcesResult,
    ListResourceTemplatesResult,
    PaginatedRequestParams,
    Prompt,
    PromptArgument,
    PromptMessage,
    PromptReference,
    ReadResourceRequestParams,
    Resource,
    ResourceTemplate,
    ResourceTemplateReference,
)
from pydantic import BaseModel

from paperspace_storage_server.__main__ import main
from paperspace_storage_server.calls.service import Services
from paperspace_storage_server.guard.hygiene import Json
from paperspace_storage_server.mcp import server as ours
from paperspace_storage_server.mcp.caller import Context
from paperspace_storage_server.mcp.offers import Offer, list_resources, list_templates, read_resource
from paperspace_storage_server.process.telemetry import Telemetry
from support.conformance_tools import (
    IMAGE,
    NAME,
    PIXEL,
    STRING,
    TOOLS,
    embedded,
    input_required,
    question,
    reply_of,
    say,
)

SNAPSHOTS: Mapping[str, str | None] = {
    "slow_compute": None,
    "failing_job": "sandbox-fail",
    "test_tool_with_task": None,  # once the person has replied
}
"""What takes its time is our own `create_snapshot`, so that its tasks are ours; one name makes it fail."""
_NUMBERS = count()
_MACHINES = CompleteRequestParams(
    ref=ResourceTemplateReference(uri="paperspace://machines/{machineId}/snapshots"),
    argument=CompletionArgument(name="machineId", value=""),
)


# --- resources, through our `offers`


class Resources:
    """`offers.Offer` of the suite's resources."""

    life = CacheHint(ttl_ms=0, scope="private")

    def extend(self, server: Server[Any]) -> None:
        return None

    def resources(self, context: Context) -> list[Resource]:
        return [
            Resource(uri="test://static-text", name="static-text", mime_type="text/plain"),
            Resource(uri="test://static-binary", name="static-binary", mime_type="image/png"),
        ]

    def templates(self, context: Context) -> list[ResourceTemplate]:
        return [ResourceTemplate(uri_template="test://template/{id}/data", name="template", mime_type=_JSON)]

    async def read(self, context: Context, uri: str) -> list[Json] | None:
        if uri == "test://static-text":
            return [{"uri": uri, "mimeType": "text/plain", "text": "A static text."}]
        if uri == "test://static-binary":
            return [{"uri": uri, "mimeType": "image/png", "blob": PIXEL}]
        if uri.startswith("test://template/") and uri.endswith("/data"):
            id = unquote(uri.removeprefix("test://template/").removesuffix("/data"))
            return [{"uri": uri, "mimeType": _JSON, "text": json.dumps({"id": id})}]
        return None


_JSON = "application/json"


# --- prompts and completions

PROMPTS: Mapping[str, tuple[str, ...]] = {
    "test_simple_prompt": (),
    "test_prompt_with_arguments": ("arg1", "arg2"),
    "test_prompt_with_embedded_resource": ("resourceUri",),
    "test_prompt_with_image": (),
    "test_input_required_result_prompt": (),
}
_VALUES = {"arg1": ("test", "testing", "other"), "arg2": ("value",), "resourceUri": ("test://static-text",)}


def _prompted(params: GetPromptRequestParams) -> GetPromptResult | InputRequiredResult:
    given = params.arguments or {}
    if missing := [name for name in PROMPTS[params.name] if name not in given]:
        raise MCPError(INVALID_PARAMS, f"{params.name} needs {', '.join(missing)}")
    content: list[ContentBlock] = [say(", ".join(f"{name}={value!r}" for name, value in given.items()) or "Simple.")]
    if params.name == "test_prompt_with_embedded_resource":
        content.insert(0, embedded(given["resourceUri"]))
    elif params.name == "test_prompt_with_image":
        content.insert(0, IMAGE)
    elif params.name == "test_input_required_result_prompt":
        if "user_context" not in (params.input_responses or {}):
            return input_required({"user_context": question("What context should the prompt use?", context=STRING)})
        content = [say(reply_of(params, "user_context", "context"))]
    return GetPromptResult(messages=[PromptMessage(role="user", content=one) for one in content])


def _listed(name: str) -> Prompt:
    arguments = [PromptArgument(name=one, description="of the suite", required=True) for one in PROMPTS[name]]
    return Prompt(name=name, description="A fixture of the conformance suite.", arguments=arguments)


def _completed(params: CompleteRequestParams) -> CompleteResult:
    found = [one for one in _VALUES[params.argument.name] if one.startswith(params.argument.value)]
    return CompleteResult(completion=Completion(values=found, total=len(found), has_more=False))


# --- joined


def with_fixtures(server: Server[Any]) -> Server[Any]:
    """The server, answering for fixtures first."""
    offers: tuple[Offer, ...] = (Resources(),)

    def own(method: str) -> Callable[[Context, Any], Awaitable[Any]]:
        entry = server.get_request_handler(method)
        assert entry is not None, method
        return entry.handler

    def also(
        method: str, params: type[BaseModel], make: Callable[..., Callable[[Context, Any], Awaitable[Any]]]
    ) -> None:
        server.add_request_handler(method, params, make(own(method)))

    def list_tools(before: Any) -> Any:
        async def handler(context: Context, params: PaginatedRequestParams) -> Json:
            listed = await before(context, params)
            more = [
                {"name": name, "description": "A fixture.", "inputSchema": schema or {"type": "object"}}
                for name, schema in [
                    *((name, one[1]) for name, one in TOOLS.items()),
                    *((name, {}) for name in SNAPSHOTS),
                ]
            ]
            return {**listed, "tools": [*listed["tools"], *more]}

        return handler

    def call_tool(before: Any) -> Any:
        async def handler(context: Context, params: CallToolRequestParams) -> Any:
            asks = params.name == "test_tool_with_task"
            if asks and "user_name" not in (params.input_responses or {}):
                return input_required({"user_name": NAME})
            if params.name in SNAPSHOTS:
                machines = await own("completion/complete")(context, _MACHINES)
                name = SNAPSHOTS[params.name] or f"number {next(_NUMBERS)}"
                if asks:
                    name += f" for {reply_of(params, 'user_name', 'name')}"
                arguments = {"machineId": machines.completion.values[0], "name": name}
                params = CallToolRequestParams(name="create_snapshot", arguments=arguments, _meta=params.meta)
            tool = TOOLS.get(params.name)
            return await (before if tool is None else tool[0])(context, params)

        return handler

    def resources(before: Any) -> Any:
        async def handler(context: Context, params: PaginatedRequestParams | None) -> ListResourcesResult:
            listed = await before(context, params)
            return ListResourcesResult(resources=[*listed.resources, *list_resources(offers, context).resources])

        return handler

    def templates(before: Any) -> Any:
        async def handler(context: Context, params: PaginatedRequestParams | None) -> ListResourceTemplatesResult:
            more = list_templates(offers, context).resource_templates
            listed = (await before(context, params)).resource_templates
            return ListResourceTemplatesResult(resource_templates=[*listed, *more])

        return handler

    def read(before: Any) -> Any:
        async def handler(context: Context, params: ReadResourceRequestParams) -> Any:
            try:
                return await read_resource(offers, context, str(params.uri), str)
            except MCPError:
                return await before(context, params)

        return handler

    def list_prompts(before: Any) -> Any:
        async def handler(context: Context, params: PaginatedRequestParams | None) -> ListPromptsResult:
            return ListPromptsResult(prompts=[*(await before(context, params)).prompts, *map(_listed, PROMPTS)])

        return handler

    def get_prompt(before: Any) -> Any:
        async def handler(context: Context, params: GetPromptRequestParams) -> Any:
            return _prompted(params) if params.name in PROMPTS else await before(context, params)

        return handler

    def complete(before: Any) -> Any:
        async def handler(context: Context, params: CompleteRequestParams) -> CompleteResult:
            if isinstance(params.ref, PromptReference) and params.ref.name in PROMPTS:
                return _completed(params)
            result: CompleteResult = await before(context, params)
            return result

        return handler

    also("tools/list", PaginatedRequestParams, list_tools)
    also("tools/call", CallToolRequestParams, call_tool)
    also("resources/list", PaginatedRequestParams, resources)
    also("resources/templates/list", PaginatedRequestParams, templates)
    also("resources/read", ReadResourceRequestParams, read)
    also("prompts/list", PaginatedRequestParams, list_prompts)
    also("prompts/get", GetPromptRequestParams, get_prompt)
    also("completion/complete", CompleteRequestParams, complete)
    # None of our own tools mirrors an argument in a header, so the server looks no schema up; one of the fixtures does.
    server.get_tool_input_schema = _schema_of
    return server


def _schema_of(name: str) -> Json | None:
    return TOOLS[name][1] if name in TOOLS else None


if __name__ == "__main__":
    build = ours.build_server

    def build_with_fixtures(services: Services, telemetry: Telemetry | None = None) -> Server[Any]:
        return with_fixtures(build(services, telemetry))

    ours.build_server = build_with_fixtures
    main(["serve", "--sandbox", "--transport", "streamable-http", *sys.argv[1:]])
