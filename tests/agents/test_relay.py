"""The relay of evals/ as a process: what passes is written down, and questions are answered, unseen by the agent."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from evals import ROOT
from evals.seen import Call, seen_in

_SERVER = """
import json, os, sys
def told():
    return json.loads(sys.stdin.readline() or "null")
while message := told():
    if message["method"] == "initialize":
        result = {"declared": message["params"]["capabilities"], "key": os.environ["PAPERSPACE_API_KEY"]}
    else:
        form = {"type": "object", "properties": {"confirm": {"type": "boolean"}}}
        params = {"message": message["params"]["arguments"]["ask"], "requestedSchema": form}
        print(json.dumps({"id": "q", "method": "elicitation/create", "params": params}), flush=True)
        result = {"content": [{"type": "text", "text": json.dumps(told()["result"])}]}
    print(json.dumps({"id": message["id"], "result": result}), flush=True)
"""


def _talked(folder: Path, yes_to: list[str] | None, *messages: dict[str, Any]) -> list[Any]:
    """What the agent got, message by message."""
    told = {"server": [sys.executable, "-c", _SERVER], "env": {"PAPERSPACE_API_KEY": "k"}, "yes_to": yes_to}
    (folder / "run.json").write_text(json.dumps(told))
    command = [sys.executable, str(ROOT / "evals" / "relay.py"), str(folder)]
    got: list[Any] = []
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as relay:
        assert relay.stdin is not None
        assert relay.stdout is not None
        for message in messages:
            relay.stdin.write(json.dumps(message).encode() + b"\n")
            relay.stdin.flush()
            got.append(json.loads(relay.stdout.readline()))
        relay.stdin.close()
        assert relay.stdout.read() == b""
        assert relay.wait(timeout=30) == 0
    return got


def _hello(**declared: object) -> dict[str, Any]:
    return {"id": 1, "method": "initialize", "params": {"capabilities": declared}}


def _call(id: int, ask: str) -> dict[str, Any]:
    return {"id": id, "method": "tools/call", "params": {"name": "delete", "arguments": {"ask": ask}}}


def test_the_person_answers_by_name_and_the_agent_sees_neither_question_nor_reply(tmp_path: Path) -> None:
    got = _talked(tmp_path, ["old"], _hello(roots={}), _call(2, 'Delete "old"?'), _call(3, 'Delete "other"?'))
    yes, no = '{"action": "accept", "content": {"confirm": true}}', '{"action": "decline"}'
    assert got == [
        {"id": 1, "result": {"declared": {"roots": {}, "elicitation": {}}, "key": "k"}},
        {"id": 2, "result": {"content": [{"type": "text", "text": yes}]}},
        {"id": 3, "result": {"content": [{"type": "text", "text": no}]}},
    ]
    seen = seen_in((tmp_path / "record.jsonl").read_text().splitlines())
    assert seen.asked == ('Delete "old"? -> yes', 'Delete "other"? -> no')
    assert seen.calls == (
        Call("delete", {"ask": 'Delete "old"?'}, yes, failed=False),
        Call("delete", {"ask": 'Delete "other"?'}, no, failed=False),
    )


def test_without_a_person_nobody_can_be_asked_whatever_the_agent_declares(tmp_path: Path) -> None:
    assert _talked(tmp_path, None, _hello(elicitation={})) == [{"id": 1, "result": {"declared": {}, "key": "k"}}]


def test_the_later_era_is_refused_by_the_relay_itself(tmp_path: Path) -> None:
    got = _talked(tmp_path, None, {"id": 7, "method": "server/discover"}, _hello())
    assert got[0] == {"jsonrpc": "2.0", "id": 7, "error": {"code": -32601, "message": "Method not found"}}
    assert got[1]["id"] == 1


def test_a_server_that_leaves_ends_the_relay(tmp_path: Path) -> None:
    told: dict[str, object] = {"server": [sys.executable, "-c", "raise SystemExit(3)"], "env": {}, "yes_to": None}
    (tmp_path / "run.json").write_text(json.dumps(told))
    command = [sys.executable, str(ROOT / "evals" / "relay.py"), str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as relay:
        assert relay.wait(timeout=30) == 1
