"""Our own server with the fixtures of the conformance suite added, so that what the suite asks of transport, resources,
prompts and completions runs through our code. Nobody serves this.

    PYTHONPATH=server:tools python tests/clients/conformance_fixtures.py --port 8765

The composition, the HTTP application, the middleware and every other method are those of `serve --sandbox`; a name or
an address that is no fixture goes to the server's own method.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from itertools import count
from typing import Any, TypeAlias
from urllib.parse import unquote

from mcp.server import Server
from mcp.server.caching import CacheHint
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    AudioContent,
    CallToolRequestParams,
    CallToolResult,
    CompleteRequestParams,
    CompleteResult,
    Completion,
    ContentBlock,
    CreateMessageRequest,
    CreateMessageRequestParams,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    EmbeddedResource,
    GetPromptRequestParams,
    GetPromptResult,
    ImageContent,
    InputRequest,
    InputRequiredResult,
    ListPromptsResult,
    ListResourcesResult,
    ListResourceTemplatesResult,
    ListRootsRequest,
    PaginatedRequestParams,
    Prompt,
    PromptArgument,
    PromptMessage,
    PromptReference,
    ReadResourceRequestParams,
    Resource,
    ResourceTemplate,
    SamplingMessage,
    TextContent,
    TextResourceContents,
)
from pydantic import BaseModel

from paperspace_storage_server.__main__ import main
from paperspace_storage_server.calls.service import Services
from paperspace_storage_server.guard.hygiene import Json
from paperspace_storage_server.mcp import server as ours
from paperspace_storage_server.mcp.caller import Context, McpCaller
from paperspace_storage_server.mcp.offers import Offer, list_resources, list_templates, read_resource
from paperspace_storage_server.process.telemetry import Telemetry
from paperspace_storage_server.state.seal import NotSealedHere, Sealer, SealExpired

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
SILENCE = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA="
IMAGE = ImageContent(data=PIXEL, mime_type="image/png")
Tool: TypeAlias = Callable[[Context, CallToolRequestParams], Awaitable[CallToolResult | InputRequiredResult]]
_SEALER = Sealer([os.urandom(32)])


def _text(text: str) -> TextContent:
    return TextContent(text=text)


def _embedded(uri: str) -> EmbeddedResource:
    return EmbeddedResource(resource=TextResourceContents(uri=uri, mime_type="text/plain", text="An embedded text."))


# --- tools


def _answers(*content: ContentBlock) -> Tool:
    async def tool(context: Context, params: CallToolRequestParams) -> CallToolResult:
        return CallToolResult(content=list(content))

    return tool


async def _greets(context: Context, params: CallToolRequestParams) -> CallToolResult:
    return CallToolResult(content=[_text(f"Hello, {(params.arguments or {})['name']}!")])


async def _fails(context: Context, params: CallToolRequestParams) -> CallToolResult:
    return CallToolResult(content=[_text("This fixture fails, as it should.")], is_error=True)


async def _progress(context: Context, params: CallToolRequestParams) -> CallToolResult:
    caller = McpCaller(context, params, str)  # ours: how a call tells of its progress
    for done in (0, 50, 100):
        await caller.progress(done, 100, f"{done} of 100")
    return CallToolResult(content=[_text("done")])


async def _sampling(context: Context, params: CallToolRequestParams) -> CallToolResult:
    prompt = SamplingMessage(role="user", content=_text(str((params.arguments or {})["prompt"])))
    answer = await context.session.create_message(  # pyright: ignore[reportDeprecated]  # the scenario asks for it
        [prompt], max_tokens=100, related_request_id=context.request_id
    )
    return CallToolResult(content=[_text(f"LLM response: {answer.content}")])


def _elicits(schema: dict[str, object]) -> Tool:
    """Asks as `McpCaller` does in the older era, by a form of its own."""

    async def tool(context: Context, params: CallToolRequestParams) -> CallToolResult:
        message = str((params.arguments or {}).get("message", "Please fill in"))
        reply = await context.session.elicit_form(message, schema, context.request_id)
        return CallToolResult(content=[_text(f"action={reply.action}, content={json.dumps(reply.content)}")])

    return tool


async def _needs_sampling(context: Context, params: CallToolRequestParams) -> CallToolResult:
    declared = context.session.client_capabilities
    if declared is None or declared.sampling is None:
        needed: Json = {"requiredCapabilities": {"sampling": {}}}
        raise MCPError(MISSING_REQUIRED_CLIENT_CAPABILITY, "This fixture needs sampling", needed)
    return CallToolResult(content=[_text("Sampling is declared.")])


def _object(**properties: Mapping[str, object]) -> dict[str, object]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _ask(message: str, **properties: Mapping[str, object]) -> ElicitRequest:
    return ElicitRequest(params=ElicitRequestFormParams(message=message, requested_schema=_object(**properties)))


STRING = {"type": "string"}
NAME = _ask("What is your name?", name=STRING)
CONFIRM = _ask("Please confirm", ok={"type": "boolean"})


def _sample(text: str) -> CreateMessageRequest:
    messages = [SamplingMessage(role="user", content=_text(text))]
    return CreateMessageRequest(params=CreateMessageRequestParams(messages=messages, max_tokens=50))


def _field(params: CallToolRequestParams | GetPromptRequestParams, key: str, name: str) -> str:
    reply = (params.input_responses or {})[key]
    return str((reply.content or {})[name]) if isinstance(reply, ElicitResult) else "?"


def _required(requests: dict[str, InputRequest], state: dict[str, Any] | None = None) -> InputRequiredResult:
    """State travels sealed, as our questions do between replicas."""
    sealed = None if state is None else _SEALER.seal("conformance", (), state, 60)
    return InputRequiredResult(input_requests=requests, request_state=sealed)


def _state(params: CallToolRequestParams) -> Mapping[str, Any] | None:
    if params.request_state is None:
        return None
    try:
        return _SEALER.open(params.request_state, "conformance", ()).content
    except (NotSealedHere, SealExpired):
        raise MCPError(INVALID_PARAMS, "This requestState is none of ours") from None


def _asks(**requests: InputRequest) -> Tool:
    """Once more where a reply is missing, whatever else is there."""

    async def tool(context: Context, params: CallToolRequestParams) -> CallToolResult | InputRequiredResult:
        replies = params.input_responses or {}
        if any(key not in replies for key in requests):
            return _required(requests)
        return CallToolResult(content=[_text(f"Replied: {', '.join(str(one) for one in replies.values())}")])

    return tool


async def _with_state(context: Context, params: CallToolRequestParams) -> CallToolResult | InputRequiredResult:
    if _state(params) is None:
        return _required({"confirm": CONFIRM}, {"round": 1})
    return CallToolResult(content=[_text("state-ok")])


async def _several(context: Context, params: CallToolRequestParams) -> CallToolResult | InputRequiredResult:
    if _state(params) is None:
        return _required({"user_name": NAME, "greeting": _sample("Greet"), "client_roots": ListRootsRequest()}, {})
    return CallToolResult(content=[_text("All replies are there.")])


async def _rounds(context: Context, params: CallToolRequestParams) -> CallToolResult | InputRequiredResult:
    state = _state(params)
    if state is None:
        return _required({"step1": NAME}, {"round": 1})
    if state["round"] == 1:
        state = {"round": 2, "name": _field(params, "step1", "name")}
        return _required({"step2": _ask("What is your favorite color?", color=STRING)}, state)
    return CallToolResult(content=[_text(f"{state['name']} likes {_field(params, 'step2', 'color')}.")])


async def _as_declared(context: Context, params: CallToolRequestParams) -> InputRequiredResult:
    declared = context.session.client_capabilities
    possible: dict[str, InputRequest] = {}
    if declared is not None and declared.sampling is not None:
        possible["sample"] = _sample("Say hello")
    if McpCaller(context, params, str).can_ask:  # ours: whether this client can be asked
        possible["ask"] = NAME
    return _required(possible, {})


_WORDS = ("active", "inactive", "pending")
_DEFAULTS: dict[str, object] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "default": "John Doe"},
        "age": {"type": "integer", "default": 30},
        "score": {"type": "number", "default": 95.5},
        "status": {"type": "string", "enum": list(_WORDS), "default": "active"},
        "verified": {"type": "boolean", "default": True},
    },
}
_ENUMS: dict[str, object] = {
    "type": "object",
    "properties": {
        "untitledSingle": {"type": "string", "enum": ["option1", "option2", "option3"]},
        "titledSingle": {"type": "string", "oneOf": [{"const": f"v{n}", "title": f"Number {n}"} for n in "123"]},
        "legacyEnum": {"type": "string", "enum": ["opt1", "opt2"], "enumNames": ["Number 1", "Number 2"]},
        "untitledMulti": {"type": "array", "items": {"type": "string", "enum": ["option1", "option2", "option3"]}},
        "titledMulti": {
            "type": "array",
            "items": {"anyOf": [{"const": f"v{n}", "title": f"Number {n}"} for n in "123"]},
        },
    },
}
_EVERYTHING_OF_2020_12: dict[str, object] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": STRING, "city": STRING},
        }
    },
    "properties": {
        "name": STRING,
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": STRING,
        "email": STRING,
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}

TOOLS: Mapping[str, tuple[Tool, dict[str, object]]] = {
    "test_simple_text": (_answers(_text("A simple text.")), {}),
    "greet": (_greets, _object(name=STRING)),
    "confirm_delete": (_answers(_text("The person is asked before there is a task.")), {}),
    "test_image_content": (_answers(IMAGE), {}),
    "test_audio_content": (_answers(AudioContent(data=SILENCE, mime_type="audio/wav")), {}),
    "test_embedded_resource": (_answers(_embedded("test://embedded-resource")), {}),
    "test_multiple_content_types": (_answers(_text("Several:"), IMAGE, _embedded("test://mixed-content-resource")), {}),
    "test_error_handling": (_fails, {}),
    "test_tool_with_progress": (_progress, {}),
    "test_logging_tool": (_answers(_text("Logs are for stderr.")), {}),
    "test_sampling": (_sampling, _object(prompt=STRING)),
    "test_elicitation": (_elicits(_object(response=STRING)), _object(message=STRING)),
    "test_elicitation_sep1034_defaults": (_elicits(_DEFAULTS), {}),
    "test_elicitation_sep1330_enums": (_elicits(_ENUMS), {}),
    "json_schema_2020_12_tool": (_answers(_text("A schema of everything.")), _EVERYTHING_OF_2020_12),
    "test_x_mcp_header": (
        _answers(_text("The header agrees.")),
        {"type": "object", "properties": {"region": {"type": "string", "x-mcp-header": "Region"}}},
    ),
    "test_missing_capability": (_needs_sampling, {}),
    "test_streaming_elicitation": (_asks(user_name=NAME), {}),
    "test_input_required_result_elicitation": (_asks(user_name=NAME), {}),
    "test_input_required_result_sampling": (_asks(capital_question=_sample("What is the capital of France?")), {}),
    "test_input_required_result_list_roots": (_asks(client_roots=ListRootsRequest()), {}),
    "test_input_required_result_request_state": (_with_state, {}),
    "test_input_required_result_tampered_state": (_with_state, {}),
    "test_input_required_result_multiple_inputs": (_several, {}),
    "test_input_required_result_multi_round": (_rounds, {}),
    "test_input_required_result_capabilities": (_as_declared, {}),
}

SNAPSHOTS: Mapping[str, str | None] = {
    "slow_compute": None,
    "failing_job": "sandbox-fail",
    "test_tool_with_task": None,  # once the person has replied
}
"""What takes its time is our own `create_snapshot`, so that its tasks are ours; one name makes it fail."""
_NUMBERS = count()


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
    content: list[ContentBlock] = [_text(", ".join(f"{name}={value!r}" for name, value in given.items()) or "Simple.")]
    if params.name == "test_prompt_with_embedded_resource":
        content.insert(0, _embedded(given["resourceUri"]))
    elif params.name == "test_prompt_with_image":
        content.insert(0, IMAGE)
    elif params.name == "test_input_required_result_prompt":
        if "user_context" not in (params.input_responses or {}):
            return _required({"user_context": _ask("What context should the prompt use?", context=STRING)})
        content = [_text(_field(params, "user_context", "context"))]
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
                return _required({"user_name": NAME})
            if params.name in SNAPSHOTS:
                machines = await before(context, CallToolRequestParams(name="list_machines", arguments={"limit": 1}))
                (machine,) = machines["structuredContent"]["items"]
                name = SNAPSHOTS[params.name] or f"number {next(_NUMBERS)}"
                if asks:
                    name += f" for {_field(params, 'user_name', 'name')}"
                arguments = {"machineId": machine["id"], "name": name}
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
    return server


if __name__ == "__main__":
    build = ours.build_server

    def build_with_fixtures(services: Services, telemetry: Telemetry | None = None) -> Server[Any]:
        return with_fixtures(build(services, telemetry))

    ours.build_server = build_with_fixtures
    main(["serve", "--sandbox", "--transport", "streamable-http", *sys.argv[1:]])
