"""The tools that the conformance suite asks for, with what they answer, ask and need. They know no server.

Where one has a part that is ours, it is used: `McpCaller` for progress and for whether a client can be asked, and the
sealed state that questions travel in.
"""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    AudioContent,
    CallToolRequestParams,
    CallToolResult,
    ContentBlock,
    CreateMessageRequest,
    CreateMessageRequestParams,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    EmbeddedResource,
    GetPromptRequestParams,
    ImageContent,
    InputRequest,
    InputRequiredResult,
    ListRootsRequest,
    SamplingMessage,
    TextContent,
    TextResourceContents,
)

from paperspace_storage_server.guard.hygiene import Json
from paperspace_storage_server.mcp.caller import Context, McpCaller
from paperspace_storage_server.state.seal import NotSealedHere, Sealer, SealExpired

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
SILENCE = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA="
IMAGE = ImageContent(data=PIXEL, mime_type="image/png")
Tool: TypeAlias = Callable[[Context, CallToolRequestParams], Awaitable[CallToolResult | InputRequiredResult]]
_SEALER = Sealer([os.urandom(32)])


def say(text: str) -> TextContent:
    return TextContent(text=text)


def embedded(uri: str) -> EmbeddedResource:
    return EmbeddedResource(resource=TextResourceContents(uri=uri, mime_type="text/plain", text="An embedded text."))


# --- tools


def _answers(*content: ContentBlock) -> Tool:
    async def tool(context: Context, params: CallToolRequestParams) -> CallToolResult:
        return CallToolResult(content=list(content))

    return tool


async def _greets(context: Context, params: CallToolRequestParams) -> CallToolResult:
    return CallToolResult(content=[say(f"Hello, {(params.arguments or {})['name']}!")])


async def _fails(context: Context, params: CallToolRequestParams) -> CallToolResult:
    return CallToolResult(content=[say("This fixture fails, as it should.")], is_error=True)


async def _progress(context: Context, params: CallToolRequestParams) -> CallToolResult:
    caller = McpCaller(context, params, str)  # ours: how a call tells of its progress
    for done in (0, 50, 100):
        await caller.progress(done, 100, f"{done} of 100")
    return CallToolResult(content=[say("done")])


async def _sampling(context: Context, params: CallToolRequestParams) -> CallToolResult:
    prompt = SamplingMessage(role="user", content=say(str((params.arguments or {})["prompt"])))
    answer = await context.session.create_message(  # pyright: ignore[reportDeprecated]  # the scenario asks for it
        [prompt], max_tokens=100, related_request_id=context.request_id
    )
    return CallToolResult(content=[say(f"LLM response: {answer.content}")])


def _elicits(schema: dict[str, object]) -> Tool:
    """Asks as `McpCaller` does in the older era, by a form of its own."""

    async def tool(context: Context, params: CallToolRequestParams) -> CallToolResult:
        message = str((params.arguments or {}).get("message", "Please fill in"))
        reply = await context.session.elicit_form(message, schema, context.request_id)
        return CallToolResult(content=[say(f"action={reply.action}, content={json.dumps(reply.content)}")])

    return tool


async def _needs_sampling(context: Context, params: CallToolRequestParams) -> CallToolResult:
    declared = context.session.client_capabilities
    if declared is None or declared.sampling is None:
        needed: Json = {"requiredCapabilities": {"sampling": {}}}
        raise MCPError(MISSING_REQUIRED_CLIENT_CAPABILITY, "This fixture needs sampling", needed)
    return CallToolResult(content=[say("Sampling is declared.")])


def _object(**properties: Mapping[str, object]) -> dict[str, object]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def question(message: str, **properties: Mapping[str, object]) -> ElicitRequest:
    return ElicitRequest(params=ElicitRequestFormParams(message=message, requested_schema=_object(**properties)))


STRING = {"type": "string"}
NAME = question("What is your name?", name=STRING)
CONFIRM = question("Please confirm", ok={"type": "boolean"})


def _sample(text: str) -> CreateMessageRequest:
    messages = [SamplingMessage(role="user", content=say(text))]
    return CreateMessageRequest(params=CreateMessageRequestParams(messages=messages, max_tokens=50))


def reply_of(params: CallToolRequestParams | GetPromptRequestParams, key: str, name: str) -> str:
    reply = (params.input_responses or {})[key]
    return str((reply.content or {})[name]) if isinstance(reply, ElicitResult) else "?"


def input_required(requests: dict[str, InputRequest], state: dict[str, Any] | None = None) -> InputRequiredResult:
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
            return input_required(requests)
        return CallToolResult(content=[say(f"Replied: {', '.join(str(one) for one in replies.values())}")])

    return tool


async def _with_state(context: Context, params: CallToolRequestParams) -> CallToolResult | InputRequiredResult:
    if _state(params) is None:
        return input_required({"confirm": CONFIRM}, {"round": 1})
    return CallToolResult(content=[say("state-ok")])


async def _several(context: Context, params: CallToolRequestParams) -> CallToolResult | InputRequiredResult:
    if _state(params) is None:
        return input_required({"user_name": NAME, "greeting": _sample("Greet"), "client_roots": ListRootsRequest()}, {})
    return CallToolResult(content=[say("All replies are there.")])


async def _rounds(context: Context, params: CallToolRequestParams) -> CallToolResult | InputRequiredResult:
    state = _state(params)
    if state is None:
        return input_required({"step1": NAME}, {"round": 1})
    if state["round"] == 1:
        state = {"round": 2, "name": reply_of(params, "step1", "name")}
        return input_required({"step2": question("What is your favorite color?", color=STRING)}, state)
    return CallToolResult(content=[say(f"{state['name']} likes {reply_of(params, 'step2', 'color')}.")])


async def _as_declared(context: Context, params: CallToolRequestParams) -> InputRequiredResult:
    declared = context.session.client_capabilities
    possible: dict[str, InputRequest] = {}
    if declared is not None and declared.sampling is not None:
        possible["sample"] = _sample("Say hello")
    if McpCaller(context, params, str).can_ask:  # ours: whether this client can be asked
        possible["ask"] = NAME
    return input_required(possible, {})


_DEFAULTS: dict[str, object] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "default": "John Doe"},
        "age": {"type": "integer", "default": 30},
        "score": {"type": "number", "default": 95.5},
        "status": {"type": "string", "enum": ["active", "inactive"], "default": "active"},
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
    "test_simple_text": (_answers(say("A simple text.")), {}),
    "greet": (_greets, _object(name=STRING)),
    "confirm_delete": (_answers(say("The person is asked before there is a task.")), {}),
    "test_image_content": (_answers(IMAGE), {}),
    "test_audio_content": (_answers(AudioContent(data=SILENCE, mime_type="audio/wav")), {}),
    "test_embedded_resource": (_answers(embedded("test://embedded-resource")), {}),
    "test_multiple_content_types": (_answers(say("Several:"), IMAGE, embedded("test://mixed-content-resource")), {}),
    "test_error_handling": (_fails, {}),
    "test_tool_with_progress": (_progress, {}),
    "test_logging_tool": (_answers(say("Logs are for stderr.")), {}),
    "test_sampling": (_sampling, _object(prompt=STRING)),
    "test_elicitation": (_elicits(_object(response=STRING)), _object(message=STRING)),
    "test_elicitation_sep1034_defaults": (_elicits(_DEFAULTS), {}),
    "test_elicitation_sep1330_enums": (_elicits(_ENUMS), {}),
    "json_schema_2020_12_tool": (_answers(say("A schema of everything.")), _EVERYTHING_OF_2020_12),
    "test_x_mcp_header": (
        _answers(say("The header agrees.")),
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
