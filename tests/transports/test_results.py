"""A tool's result on its way out: spelled once, and still what the protocol and the SDK would have made of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp_types import ErrorData, JSONRPCError, JSONRPCResponse
from mcp_types.methods import serialize_server_result

from paperspace_storage_server.mcp.results import Spelled, encoded
from support.stdio_server import HELLO, answer, line, running, send

ENVELOPE = {"protocolVersion": "2026-07-28", "clientInfo": {"name": "t", "version": "1"}, "clientCapabilities": {}}
META = {f"io.modelcontextprotocol/{name}": value for name, value in ENVELOPE.items()}

_CHARACTERS = st.characters(exclude_categories=["Cs"])
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(_CHARACTERS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(_CHARACTERS, max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(st.sampled_from(["name", "items", "notice"]), json_values),
    st.integers(0, 10**9) | st.text(_CHARACTERS),
    st.dictionaries(st.sampled_from(["resultType", "isError", "_meta"]), json_values),
)
def test_a_spelled_result_is_written_as_the_sdk_would_write_it(
    structured: dict[str, Any], id: int | str, rest: dict[str, Any]
) -> None:
    text = json.dumps(structured, ensure_ascii=False, separators=(",", ":"))
    content = [{"type": "text", "text": text}]

    def message(result: dict[str, object]) -> JSONRPCResponse:
        return JSONRPCResponse(jsonrpc="2.0", id=id, result={**rest, "content": content, "structuredContent": result})

    written = encoded(message(Spelled(text)))
    assert json.loads(written) == json.loads(encoded(message(structured)))
    assert b"\n" not in written
    assert b"\r" not in written


def test_what_is_no_result_of_a_tool_is_written_as_it_is() -> None:
    assert json.loads(encoded(JSONRPCResponse(jsonrpc="2.0", id=1, result={"tools": []}))) == {
        "jsonrpc": "2.0",
        "id": 1,
        "result": {"tools": []},
    }
    error = JSONRPCError(jsonrpc="2.0", id=None, error=ErrorData(code=-32700, message="no"))
    assert json.loads(encoded(error)) == {"jsonrpc": "2.0", "id": None, "error": {"code": -32700, "message": "no"}}


@pytest.mark.parametrize("version", ["2025-11-25", "2026-07-28"])
def test_over_pipes_a_result_has_the_envelope_of_its_era_and_its_text_is_its_structure(version: str) -> None:
    modern = version == "2026-07-28"
    meta = {"_meta": META} if modern else {}
    with running() as process:
        send(process, b"" if modern else HELLO)
        send(process, line("tools/call", 1, name="list_snapshots", arguments={"limit": 3}, **meta))
        listed = answer(process, 1)["result"]
        send(process, line("tools/call", 2, name="get_shared_drive", arguments={"id": "nowhere"}, **meta))
        failed = answer(process, 2)["result"]
    structured = listed["structuredContent"]
    assert len(structured["items"]) == 3
    spelled = json.dumps(structured, ensure_ascii=False, separators=(",", ":"))
    assert listed["content"] == [{"type": "text", "text": spelled}]
    assert listed["isError"] is False
    assert (failed["isError"], list(failed.get("structuredContent", []))) == (True, [])
    assert failed["content"][0]["text"].startswith("No shared drive")
    for result in (listed, failed):
        assert result.get("resultType") == ("complete" if modern else None)
        assert ("_meta" in result) == modern
        assert serialize_server_result("tools/call", version, result) == result
