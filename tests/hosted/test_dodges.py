"""Ways around the gate, the scopes and the teams that people try: none of them sends anything to the API."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
import unicodedata
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path

import pytest

from hosted.issuing import ISSUER, claims, pair
from hosted.test_isolation import BEN, Two, two_teams
from hosted.test_jwt_tokens import FORGED
from paperspace_storage_server.calls.principal import SCOPES, scope_of
from paperspace_storage_server.rest.operations import operations
from paperspace_storage_server.state.store import key_of
from paperspace_storage_tools.catalogue import CATALOGUE
from support.two_teams import ERAS, KEYS, Era, Visitor, result, structured

pytestmark = pytest.mark.anyio
WORDS = ("quokka", "narwhal", *KEYS.values(), "/tmp", "Traceback", "pydantic", "RESEARCH_KEY")


@pytest.fixture
async def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Two]:
    async with two_teams(tmp_path, monkeypatch, auth_team_claim="team") as one:
        one.upstream.sent.clear()
        yield one


def places() -> list[str]:
    return ["/mcp", "/", "/v1/openapi.json", *(f"/v1{one.path}" for one in operations())]


async def test_an_outsider_reaches_nothing_at_any_place_by_any_method_and_learns_no_name(two: Two) -> None:
    good = two.world.token("anna-quokka", "storage:destroy")
    strangers: dict[str, Mapping[str, str]] = {
        "nothing": {},
        "a key of a team": {"Authorization": f"Bearer {KEYS['RESEARCH_KEY']}"},
        "a token in other headers": {"Proxy-Authorization": f"Bearer {good}", "X-Authorization": f"Bearer {good}"},
        "a cookie": {"Cookie": f"access_token={good}; Authorization=Bearer {good}"},
        "basic": {"Authorization": "Basic YW5uYS1xdW9ra2E6eA=="},
        "a comma": {"Authorization": f"Bearer x, Bearer {good}"},
        "a stranger": {"Authorization": f"Bearer {two.world.token('stranger')}"},
        "another issuer's": {"Authorization": f"Bearer {pair(number=1).token(claims(sub='anna-quokka'))}"},
        "said to be forwarded": {
            "X-Forwarded-User": "anna-quokka",
            "X-Remote-User": "anna-quokka",
            "From": "anna-quokka",
        },
    }
    methods = ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "get", "PROPFIND")
    for number, (place, method) in enumerate(itertools.product(places(), methods)):
        for what, headers in list(strangers.items())[number % 3 :: 3]:  # each meets each place
            query = f"?access_token={good}&token={good}" if number % 2 else ""
            answer = await two.world.client.request(method, place + query, headers=headers, content=b"{}")
            assert answer.status_code in (401, 403), (what, place, method)
            shown = answer.text + json.dumps(dict(answer.headers))
            assert not [word for word in WORDS if word in shown], (what, place, method, shown)
    assert two.upstream.sent == []


async def test_forged_tokens_cost_no_request_to_anybody(two: Two) -> None:
    web = two.world.web
    web.asked.clear()
    for name, (forge, _) in FORGED.items():
        token = forge()
        if not token.isascii():
            continue  # no HTTP client sends it
        for place in ("/mcp", "/v1/shared-drives"):
            answer = await two.world.client.get(place, headers={"Authorization": f"Bearer {token}"})
            assert answer.status_code == 401, name
            assert not [word for word in WORDS if word in answer.text], name
    assert two.upstream.sent == []
    assert len(web.asked) <= 1  # the keys, once, for all ids that nobody has


async def test_whether_a_subject_exists_makes_no_difference_to_who_cannot_sign(two: Two) -> None:
    forger = pair(number=1)
    answers = [
        await two.world.client.get("/mcp", headers={"Authorization": f"Bearer {forger.token(claims(sub=subject))}"})
        for subject in ("anna-quokka", "nobody-at-all")
    ]
    assert [(one.status_code, one.text, dict(one.headers)) for one in answers[:1]] == [
        (one.status_code, one.text, dict(one.headers)) for one in answers[1:]
    ]


LIKE_ANNA = {
    "capitals": "Anna-quokka",
    "a dot": "anna-quokka.",
    "a space": "anna-quokka ",
    "a line": "anna-quokka\n",
    "a nul": "anna-quokka\x00",
    "a zero-width space": "anna\u200b-quokka",
    "a soft hyphen": "anna-quok\u00adka",
    "full width": "ａnna-quokka",
    "Cyrillic": "аnna-quokka",
    "a Kelvin sign": "anna-quo\u212aka",
    "another hyphen": "anna\u2010quokka",
    "combining": "anna-quokka\u0301",
    "the issuer before it": f"{ISSUER} anna-quokka",
    "the other issuer's": "https://evil.example.com anna-quokka",
    "a static token's key": "token anna-quokka",
    "a glob": "*",
    "a team": "quokka-research",
}


async def test_who_looks_like_a_member_is_none(two: Two) -> None:
    spelled = {unicodedata.normalize(form, like) for like in LIKE_ANNA.values() for form in ("NFC", "NFD")}
    for subject in {*LIKE_ANNA.values(), *spelled}:
        visitor = two.visitor(subject)
        for refused in (
            await visitor.rpc("modern", "tools/list"),
            await visitor.call("modern", "list_shared_drives", {}),
            await visitor.rest("GET", "/shared-drives"),
        ):
            assert refused.status == 403, subject
            assert not [word for word in WORDS if word in refused.came], subject
    assert two.upstream.sent == []


async def test_no_team_claim_leads_into_a_team_that_one_is_not_in(two: Two) -> None:
    for team in ("quokka-research", "QUOKKA-RESEARCH", "quokka-research ", "narwhal-ops,quokka-research", "*", "../x"):
        refused = await two.visitor("ben-narwhal", claims={"team": team}).rest("GET", "/shared-drives", typed=[team])
        assert refused.status == 403
        assert "You may not act for the team that your token names." in refused.came
    listed = await two.visitor("ben-narwhal", claims={"team": ["quokka-research"]}).rest("GET", "/shared-drives")
    assert (listed.status, two.upstream.keys()) == (200, {BEN})


async def test_rest_asks_for_the_same_scopes_as_the_tools_before_anything_is_sent(two: Two) -> None:
    mine = two.of("ops")
    for operation in operations():
        needed = SCOPES.index(scope_of(operation.tool))
        path = operation.path.replace("{id}", mine.id("drives"))
        for scope in SCOPES[:needed]:
            refused = await two.visitor(scope=scope).rest(operation.method, path, {})
            assert refused.status == 403
            missing = " ".join(SCOPES[SCOPES.index(scope) + 1 : needed + 1])
            assert f'scope="{missing}"' in refused.came
        assert two.upstream.sent == []
        body: object = {} if operation.has_body else None
        enough = await two.visitor(scope=SCOPES[needed]).rest(operation.method, path, body)
        assert "insufficient" not in enough.came
        two.upstream.sent.clear()


HEADERS: tuple[dict[str, str], ...] = (
    {"X-HTTP-Method-Override": "DELETE"},
    {"X-HTTP-Method": "DELETE", "X-Method-Override": "DELETE"},
    {"X-Original-URL": "/v1/snapshots", "X-Rewrite-URL": "/v1/snapshots"},
    {"X-Forwarded-Prefix": "/v1", "X-Forwarded-Host": "evil.example.com", "X-Forwarded-Proto": "http"},
    {"Forwarded": "for=127.0.0.1;host=evil.example.com;proto=http"},
)


async def test_no_header_makes_a_reading_request_write_or_go_elsewhere(two: Two) -> None:
    mine = two.of("ops")
    for headers in HEADERS:
        for path in (f"/shared-drives/{mine.id('drives')}", "/shared-drives"):
            read = await two.visitor(scope="storage:read").rest("GET", path, headers=headers)
            assert read.status == 200
    assert {request.split(" ")[0] for _, request, _ in two.upstream.sent} == {"GET"}
    assert all("evil" not in request for _, request, _ in two.upstream.sent)


async def test_a_proxy_that_is_said_to_be_trusted_changes_neither_who_asks_nor_the_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with two_teams(tmp_path, monkeypatch, trusted_proxies=["127.0.0.1", "10.0.0.0/8"]) as two:
        ben = two.visitor()
        for headers in (
            {"X-Forwarded-Host": "mcp.example.com", "Host": "evil.example.com"},
            {"X-Forwarded-For": "127.0.0.1", "Host": "127.0.0.1:8000"},
        ):
            one = Visitor(ben.client, ben.token, host=headers["Host"])
            assert (await one.rpc("modern", "tools/list")).status == 421


async def test_no_spelling_of_a_path_is_let_past_the_gate(two: Two) -> None:
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "delete_shared_drive"}}
    paths = ("//mcp", "/mcp/", "/MCP", "/mcp;x", "/mcp%2f", "/./mcp", "/v1", "/v1/", "/V1/snapshots", "/healthz/../mcp")
    reader = {"Authorization": f"Bearer {two.world.token('ben-narwhal', 'storage:read')}"}
    for path, method in itertools.product(paths, ("POST", "GET", "DELETE")):
        assert (await two.world.client.request(method, path, json=call)).status_code == 401
        answer = await two.world.client.request(method, path, json=call, headers=reader)
        assert answer.status_code in (307, 400, 403, 404, 405, 406), answer.text
    assert two.upstream.sent == []


@pytest.mark.parametrize("era", ERAS)
async def test_a_list_of_requests_in_one_body_is_none(era: Era, two: Two) -> None:
    ben = two.visitor(scope="storage:read")
    calls = [
        {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": {"name": name, "arguments": {"id": "x"}}}
        for number, name in enumerate(("list_shared_drives", "delete_shared_drive"))
    ]
    versions = {"legacy": "2025-03-26", "modern": "2026-07-28"}  # the one old revision that had batches
    headers = {
        "Accept": "application/json, text/event-stream", "Content-Type": "application/json",
        "MCP-Protocol-Version": versions[era], "Mcp-Method": "tools/call", "Mcp-Name": "list_shared_drives",
    }  # fmt: skip
    for body in (calls, calls[:1], []):
        answer = await ben.send("POST", "/mcp", headers=headers, body=json.dumps(body))
        assert answer.status in (400, 403)
    assert two.upstream.sent == []


async def test_no_stream_is_taken_up_that_somebody_else_has_left(two: Two) -> None:
    anna, ben = two.visitor("anna-quokka"), two.visitor()
    await anna.begin()
    await ben.begin()
    for session, last in (
        (anna.session, "0"),
        (anna.session, "1"),
        ("0" * 32, "1"),
        (ben.session, f"{anna.session}/1"),
    ):
        assert session is not None
        headers = {
            "Accept": "text/event-stream", "Mcp-Session-Id": session, "Last-Event-ID": last,
            "MCP-Protocol-Version": "2025-11-25",
        }  # fmt: skip
        if session == ben.session:  # his own stream stands until the server ends, and is empty
            asyncio.get_running_loop().call_later(0.05, two.world.hosted.ending.told)
        answer = await ben.send("GET", "/mcp", headers=headers, typed=[session])
        assert answer.status == (200 if session == ben.session else 404)
        assert answer.told(two.of("research").words) == set()
        assert "data: {" not in answer.came
    assert (await anna.rpc("legacy", "tools/list")).status == 200


async def test_a_session_cannot_be_ended_or_answered_for_by_another(two: Two) -> None:
    anna, ben = two.visitor("anna-quokka"), two.visitor()
    await anna.begin()
    ben.session = anna.session
    assert anna.session is not None
    ending = {"Mcp-Session-Id": anna.session, "MCP-Protocol-Version": "2025-11-25"}
    assert (await ben.send("DELETE", "/mcp", headers=ending)).status == 404
    answered = {"jsonrpc": "2.0", "id": 0, "result": {"action": "accept", "content": {"confirm": True}}}
    sent = {**ending, "Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
    assert (await ben.send("POST", "/mcp", headers=sent, body=json.dumps(answered))).status == 404
    assert (await anna.rpc("legacy", "tools/list")).status == 200


async def test_reading_never_becomes_more_by_way_of_a_task_or_a_confirmation(two: Two) -> None:
    """Whoever may only read cannot finish what somebody who may destroy has begun."""
    destroys = two.visitor(asks=True)
    mine = two.of("ops")
    given = {"id": mine.id("drives")}
    state = result(await destroys.call("modern", "delete_shared_drive", given))["result"]["requestState"]
    for scope in ("storage:read", "storage:write"):
        reader = two.visitor(scope=scope, asks=True)
        answer = {"action": "accept", "content": {"confirm": True}}
        more = {"requestState": state, "inputResponses": {"confirm": answer}}
        assert (await reader.call("modern", "delete_shared_drive", given, **more)).status == 403
    assert two.of("ops").rows == mine.rows
    assert {request.split(" ")[0] for _, request, _ in two.upstream.sent} == {"GET"}


async def test_a_packed_body_is_not_unpacked(two: Two) -> None:
    import gzip

    bomb = gzip.compress(b" " * 20_000_000, compresslevel=1)
    assert len(bomb) < 200_000
    for coding in ("gzip", "deflate", "br", "zstd"):
        headers = {
            "Authorization": f"Bearer {two.world.token('ben-narwhal')}", "Content-Type": "application/json",
            "Content-Encoding": coding, "Accept": "application/json, text/event-stream",
        }  # fmt: skip
        began = time.process_time()
        answers = [
            await two.world.client.post(path, content=bomb, headers=headers) for path in ("/mcp", "/v1/shared-drives")
        ]
        assert [one.status_code for one in answers] == [400, 400]
        assert time.process_time() - began < 1


@pytest.mark.parametrize("separator", [":", "|", "/", "\n", "\x00", " ", "{", "*", "paperspace-mcp:"])
def test_no_name_makes_a_key_of_the_store_that_is_anothers(separator: str) -> None:
    parts = [
        ("a", "b", "c"),
        (f"a{separator}b", "c"),
        ("a", f"b{separator}c"),
        (f"a{separator}b{separator}c",),
        ("a", "b", f"{separator}c"),
        ("a", "", "b", "c"),
        (f"1{separator}a1{separator}b", "c"),
    ]
    keys = {key_of("idempotency", *one) for one in parts}
    assert len(keys) == len(parts)
    assert all(key.startswith("idempotency:") and key[12:].isalnum() for key in keys)


async def test_every_tool_that_reads_is_served_to_readers_so_that_these_tests_are_about_something(two: Two) -> None:
    reader = two.visitor(scope="storage:read")
    for tool in CATALOGUE:
        if tool.kind == "read" and "id" not in tool.arguments.model_fields:
            structured(await reader.call("modern", tool.name, {}))
    assert two.upstream.keys() == {BEN}
