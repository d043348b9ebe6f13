"""A stand-in for a model, in the four forms in which hosts speak to one: it calls what it is told to, whatever is said.

Loopback only. A conversation's state is read from the conversation: the next call is the one after as many as have a
result in it. Where a host keeps its servers' tools behind a search, the stand-in searches first, as a model would. A
request that offers neither (a title, a summary) is answered with one word.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeAlias

Body: TypeAlias = dict[str, Any]
Arguments: TypeAlias = Callable[[list[str]], Body]
"""The arguments of a call, from the results of those before it."""


@dataclass(frozen=True)
class Step:
    """A call of the tool whose offered name ends so: hosts put a prefix before it, each its own."""

    tool: str
    arguments: Arguments


@dataclass
class Seen:
    """What the host showed to the model."""

    tools: set[str] = field(default_factory=set[str])  # offered, as the host names them
    results: list[str] = field(default_factory=list[str])  # of the longest conversation, in order
    text: str = ""  # all that stood in the requests
    requests: list[str] = field(default_factory=list[str])


@dataclass(frozen=True)
class Turn:
    """A request for the next answer, whatever form it had: the tools, those in a group with its name, and what was
    answered to which call."""

    tools: list[tuple[str, str | None]]
    results: list[tuple[str, str]]


@dataclass(frozen=True)
class Call:
    """One call to answer with."""

    id: str
    name: str
    group: str | None
    arguments: Body


Answer: TypeAlias = Call | str
_DONE = "That is all."
_HEAD = {"type": "message", "id": "msg_1", "role": "assistant", "model": "stand-in"}
_STEP = "step-"
_CHAT_USAGE = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
_SEARCHES = ("ToolSearch", "tool_search")
_BRIDGE = "tool_call"
"""Qwen Code calls what was found by this tool; Claude Code offers it from then on."""


def _text(content: Any) -> str:
    """The text in what may be a string, a list of parts, or a part."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(map(_text, content))  # pyright: ignore[reportUnknownArgumentType]  # parts are of any kind
    if isinstance(content, dict):
        found = next((key for key in ("text", "output", "content") if key in content), None)
        return _text(content[found]) if found else json.dumps(content)
    return ""


def _messages_turn(body: Body) -> Turn:
    blocks = [
        block
        for message in body.get("messages", [])
        if isinstance(message["content"], list)
        for block in message["content"]
        if block.get("type") == "tool_result"
    ]
    results = [(block["tool_use_id"], _text(block.get("content"))) for block in blocks]
    return Turn([(tool["name"], None) for tool in body.get("tools", [])], results)


def _messages_answer(answer: Answer) -> list[tuple[str, Body]]:
    usage = {"input_tokens": 1, "output_tokens": 1}
    start = {**_HEAD, "content": list[Body](), "usage": usage}
    if isinstance(answer, Call):
        block: Body = {"type": "tool_use", "id": answer.id, "name": answer.name, "input": {}}
        delta: Body = {"type": "input_json_delta", "partial_json": json.dumps(answer.arguments)}
    else:
        block, delta = {"type": "text", "text": ""}, {"type": "text_delta", "text": answer}
    reason = "tool_use" if isinstance(answer, Call) else "end_turn"
    events: list[Body] = [
        {"type": "message_start", "message": start},
        {"type": "content_block_start", "index": 0, "content_block": block},
        {"type": "content_block_delta", "index": 0, "delta": delta},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None}, "usage": usage},
        {"type": "message_stop"},
    ]
    return [(event["type"], event) for event in events]


def _messages_whole(answer: Answer) -> Body:
    block: Body = {"type": "text", "text": answer}
    if isinstance(answer, Call):
        block = {"type": "tool_use", "id": answer.id, "name": answer.name, "input": answer.arguments}
    return {
        **_HEAD,
        "content": [block],
        "stop_reason": "tool_use" if isinstance(answer, Call) else "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 1, "output_tokens": 1},
    }


def _chat_turn(body: Body) -> Turn:
    messages = [message for message in body.get("messages", []) if message.get("role") == "tool"]
    results = [(message["tool_call_id"], _text(message.get("content"))) for message in messages]
    tools: list[Body] = body.get("tools") or []
    return Turn([(tool["function"]["name"], None) for tool in tools], results)


def _chat_delta(answer: Answer) -> Body:
    if isinstance(answer, str):
        return {"role": "assistant", "content": answer}
    function = {"name": answer.name, "arguments": json.dumps(answer.arguments)}
    call = {"index": 0, "id": answer.id, "type": "function", "function": function}
    return {"role": "assistant", "content": None, "tool_calls": [call]}


def _chat_frame(kind: str, *choices: Body, **more: Any) -> Body:
    head = {"id": "chat_1", "object": kind, "created": 0, "model": "stand-in"}
    return {**head, "choices": [{"index": 0, **choice} for choice in choices], **more}


def _finish(answer: Answer) -> str:
    return "tool_calls" if isinstance(answer, Call) else "stop"


def _chat_answer(answer: Answer) -> list[tuple[str, Body]]:
    kind = "chat.completion.chunk"
    frames = [
        _chat_frame(kind, {"delta": _chat_delta(answer), "finish_reason": None}),
        _chat_frame(kind, {"delta": {}, "finish_reason": _finish(answer)}),
        _chat_frame(kind, usage=_CHAT_USAGE),  # alone, or Continue takes the frame for nothing else
    ]
    return [("", frame) for frame in frames]


def _chat_whole(answer: Answer) -> Body:
    choice = {"message": _chat_delta(answer), "finish_reason": _finish(answer)}
    return _chat_frame("chat.completion", choice, usage=_CHAT_USAGE)


def _responses_turn(body: Body) -> Turn:
    tools: list[tuple[str, str | None]] = []
    for tool in body.get("tools", []):
        if tool.get("type") == "namespace":
            tools += [(inner["name"], tool["name"]) for inner in tool["tools"]]
        elif "name" in tool:
            tools.append((tool["name"], None))
    outputs = [item for item in body.get("input", []) if str(item.get("type")).endswith("call_output")]
    return Turn(tools, [(item["call_id"], _text(item.get("output"))) for item in outputs])


def _responses_answer(answer: Answer) -> list[tuple[str, Body]]:
    if isinstance(answer, Call):
        item: Body = {"type": "function_call", "id": "fc_1", "call_id": answer.id, "name": answer.name}
        item |= {"arguments": json.dumps(answer.arguments), "status": "completed"}
        item |= {"namespace": answer.group} if answer.group else {}
    else:
        text: Body = {"type": "output_text", "text": answer, "annotations": []}
        item = {"type": "message", "id": "m_1", "role": "assistant", "status": "completed", "content": [text]}
    usage = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
    whole = {"id": "resp_1", "object": "response", "status": "completed", "output": [item], "usage": usage}
    events: list[Body] = [
        {"type": "response.created", "response": {"id": "resp_1", "object": "response", "status": "in_progress"}},
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": whole},
    ]
    return [(event["type"], event) for event in events]


def _gemini_turn(body: Body) -> Turn:
    tools: list[Body] = body.get("tools") or []
    declared: list[Body] = [one for tool in tools for one in tool.get("functionDeclarations", [])]
    parts = [part for content in body.get("contents", []) for part in content.get("parts", [])]
    responses = [part["functionResponse"] for part in parts if "functionResponse" in part]
    results = [
        (one.get("id") or f"{_STEP}{position}", _text(one["response"])) for position, one in enumerate(responses)
    ]
    return Turn([(one["name"], None) for one in declared], results)


def _gemini_whole(answer: Answer) -> Body:
    part: Body = {"text": answer}
    if isinstance(answer, Call):
        part = {"functionCall": {"id": answer.id, "name": answer.name, "args": answer.arguments}}
    usage = {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2}
    candidate = {"index": 0, "finishReason": "STOP", "content": {"role": "model", "parts": [part]}}
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "stand-in"}


class StandIn:
    """What was told to call, and what was seen."""

    def __init__(self, steps: Sequence[Step], patience: float) -> None:
        self.steps, self.patience = steps, patience
        self.seen = Seen()
        self._lock = threading.Lock()

    def answer(self, turn: Turn, body: Body) -> Answer:
        """The next call, where its tool is offered; else a last word."""
        results = [text for call, text in turn.results if call.startswith(_STEP)]
        found = [text for call, text in turn.results if not call.startswith(_STEP)]
        with self._lock:
            self.seen.tools |= {name for name, _ in turn.tools}
            if len(results) >= len(self.seen.results):
                self.seen.results = results
            self.seen.text += json.dumps(body)
        if len(results) >= len(self.steps):
            return _DONE
        step = self.steps[len(results)]
        offered = dict(turn.tools)
        id = f"{_STEP}{len(results)}"
        for name, group in turn.tools:
            if name.endswith(step.tool):
                return Call(id, name, group, step.arguments(results))
        if _BRIDGE in offered and (named := re.search(rf"[\w-]*{step.tool}", "".join(found))):
            return Call(id, _BRIDGE, None, {"name": named[0], "arguments": step.arguments(results)})
        search = next((name for name in _SEARCHES if name in offered), None)
        if search is None or len(found) > len(results):
            return "ok"
        time.sleep(self.patience)  # some go on before a server has started
        return Call(f"find-{len(found)}", search, None, {"query": step.tool.replace("_", " "), "max_results": 5})

    def respond(self, path: str, body: Body) -> tuple[bool, Any]:
        """Whether it is a stream, and the events or the whole of the answer."""
        self.seen.requests.append(path)
        if path.endswith("/count_tokens"):
            return False, {"input_tokens": 1}
        if ":countTokens" in path:
            return False, {"totalTokens": 1}
        if path.endswith("/messages"):
            answer = self.answer(_messages_turn(body), body)
            return (True, _messages_answer(answer)) if body.get("stream") else (False, _messages_whole(answer))
        if path.endswith("/chat/completions"):
            answer = self.answer(_chat_turn(body), body)
            return (True, _chat_answer(answer)) if body.get("stream") else (False, _chat_whole(answer))
        if path.endswith("/responses"):
            return True, _responses_answer(self.answer(_responses_turn(body), body))
        if "enerateContent" in path:
            answer = self.answer(_gemini_turn(body), body)
            stream = ":streamGenerateContent" in path
            return stream, [("", _gemini_whole(answer))] if stream else _gemini_whole(answer)
        return False, {}


@contextmanager
def standing_in(steps: Sequence[Step], patience: float = 0.0) -> Generator[tuple[str, StandIn]]:
    """Its address, and it; it waits for so many seconds before it searches."""
    model = StandIn(steps, patience)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            raw = self.rfile.read(length)
            path = self.path.partition("?")[0]
            body: Body = json.loads(raw) if raw.startswith(b"{") else {}
            stream, answer = model.respond(path, body)
            if stream:
                lines = [f"event: {name}\n" * bool(name) + f"data: {json.dumps(data)}\n\n" for name, data in answer]
                done = "data: [DONE]\n\n" if path.endswith("/chat/completions") else ""
                self._send("".join(lines) + done, "text/event-stream")
            else:
                self._send(json.dumps(answer), "application/json")

        def do_GET(self) -> None:
            model.seen.requests.append(self.path)
            self._send(json.dumps({"object": "list", "data": [], "models": []}), "application/json")

        do_HEAD = do_GET

        def _send(self, text: str, kind: str) -> None:
            content = text.encode()
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            """What came is in `seen`."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", model
    finally:
        server.shutdown()
        server.server_close()
