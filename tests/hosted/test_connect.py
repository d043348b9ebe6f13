"""Handing in a team's key: what the person, their agent, and everybody who is neither of them meets."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
from pydantic import SecretStr

from hosted.issuing import ISSUER, pair
from paperspace_storage_server.calls.principal import Principal
from paperspace_storage_server.calls.service import Service
from paperspace_storage_server.hosting.making import Leaving
from paperspace_storage_server.settings.policy import Policy
from paperspace_storage_server.state.store import key_of
from paperspace_storage_tools.errors import StoreUnavailable
from support.connecting import AUTHORIZE, ORIGIN, PAGE, Api, Browser, ConnectWorld, connect_world
from support.hosted_server import ERAS, Era, result, structured

pytestmark = pytest.mark.anyio

KEY, OTHER = "key-of-carla-0123456789", "key-of-dora-0123456789"
URL_MODE: dict[str, Any] = {"elicitation": {"url": {}}}
ACCEPT: dict[str, Any] = {"inputResponses": {"connect": {"action": "accept"}}}


async def ask(one: ConnectWorld, era: Era, subject: str = "carla", **more: Any) -> httpx.Response:
    """A call of a person's agent whose client can open a page."""
    one.world.capabilities = URL_MODE
    token = one.world.token(subject)
    if era == "legacy" and token not in one.world.sessions:
        await one.world.begin(token)
    return await one.world.rpc(era, token, "tools/call", {"name": "list_shared_drives", "arguments": {}, **more})


async def link_of(one: ConnectWorld, era: Era = "modern", subject: str = "carla") -> str:
    message = result(await ask(one, era, subject))
    if era == "modern":
        asked = message["result"]["inputRequests"]["connect"]["params"]
    else:
        asked = message["error"]["data"]["elicitations"][0]
    url: str = asked["url"]
    return url


async def drives(one: ConnectWorld, subject: str, era: Era = "modern") -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = structured(await one.world.call(era, one.world.token(subject), "list_shared_drives"))[
        "items"
    ]
    return items


# --- what the agent meets


@pytest.mark.parametrize("era", ERAS)
async def test_a_person_without_a_team_is_asked_on_the_page_and_then_their_call_succeeds(
    era: Era, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connect_world(tmp_path, monkeypatch) as one:
        message = result(await ask(one, era))
        if era == "modern":
            assert message["result"]["resultType"] == "input_required"
            assert "requestState" not in message["result"]
            asked = message["result"]["inputRequests"]["connect"]
            assert asked["method"] == "elicitation/create"
            params = asked["params"]
            assert set(params) == {"mode", "message", "url"}
        else:
            assert message["error"]["code"] == -32042
            (params,) = message["error"]["data"]["elicitations"]
            assert set(params) == {"mode", "message", "url", "elicitationId"}
        assert params["mode"] == "url"
        assert params["url"].startswith(f"{PAGE}?for=")
        assert "carla" not in json.dumps(message)
        browser = one.browser()
        page = await browser.get(params["url"])
        assert page.status_code == 200
        assert "carla@example.com" in page.text
        connected = await browser.send("connect", key=KEY)
        assert "is kept" in connected.text
        again = ACCEPT if era == "modern" else {}
        answered = result(await ask(one, era, **again))["result"]
        assert answered["isError"] is False
        assert KEY in one.api.keys
        assert KEY not in json.dumps(answered) + connected.text
        await ask(one, era)
        assert set(one.api.methods) == {"GET"}


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("capabilities", [{}, {"elicitation": {}}, {"elicitation": {"form": {}}}])
async def test_a_client_that_cannot_open_a_page_is_told_where_it_is(
    era: Era, capabilities: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connect_world(tmp_path, monkeypatch) as one:
        one.world.capabilities = capabilities
        answer = result(await one.world.call(era, one.world.token("carla"), "list_shared_drives"))["result"]
        assert answer["isError"] is True
        assert f"open {PAGE}, to sign in there as the person" in answer["content"][0]["text"]
        assert one.api.keys == []


@pytest.mark.parametrize("action", ["decline", "cancel"])
async def test_a_person_who_does_not_want_to_is_told_so_and_nothing_is_sent(
    action: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connect_world(tmp_path, monkeypatch) as one:
        connecting = one.world.hosted.connecting
        assert connecting is not None
        waited: list[float] = []

        async def comes(principal: Principal, seconds: float) -> bool:
            waited.append(seconds)
            return False

        monkeypatch.setattr(connecting.teams, "comes", comes)
        answer = result(await ask(one, "modern", inputResponses={"connect": {"action": action}}))["result"]
        assert waited == []
        assert answer["isError"] is True
        assert PAGE in answer["content"][0]["text"]


async def test_an_accept_without_a_key_is_waited_for_and_is_no_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connect_world(tmp_path, monkeypatch, call_timeout=0.3) as one:
        answer = result(await ask(one, "modern", **ACCEPT))["result"]
        assert answer["isError"] is True
        assert PAGE in answer["content"][0]["text"]
        assert one.api.keys == []


async def test_a_key_that_comes_while_the_call_waits_ends_the_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connect_world(tmp_path, monkeypatch) as one:
        browser = one.browser()
        await browser.get(PAGE)
        connected = one.world.hosted.connecting
        assert connected is not None

        async def meanwhile(seconds: float) -> None:
            await browser.send("connect", key=KEY)

        monkeypatch.setattr(connected.teams, "_sleep", meanwhile)
        answer = result(await ask(one, "modern", **ACCEPT))["result"]
        assert answer["isError"] is False


async def test_a_resource_of_the_team_is_asked_for_in_the_same_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connect_world(tmp_path, monkeypatch) as one:
        one.world.capabilities = URL_MODE
        uri = {"uri": "paperspace://utilization"}
        message = result(await one.world.rpc("modern", one.world.token("carla"), "resources/read", uri))
        assert message["result"]["inputRequests"]["connect"]["params"]["mode"] == "url"
        await one.handed_in("carla", KEY)
        read = result(await one.world.rpc("modern", one.world.token("carla"), "resources/read", uri))
        assert json.loads(read["result"]["contents"][0]["text"])["total"] > 0


async def test_only_reading_tools_exist_for_a_key_that_was_handed_in_unless_the_policy_says_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def tools(one: ConnectWorld) -> set[str]:
        answer = result(await one.world.rpc("modern", one.world.token("carla"), "tools/list"))
        return {tool["name"] for tool in answer["result"]["tools"]}

    async with connect_world(tmp_path, monkeypatch) as one:
        before = await tools(one)
        browser = await one.handed_in("carla", KEY)
        assert await tools(one) == before
        assert not any(name.startswith(("create_", "update_", "delete_", "restore_")) for name in before)
        assert browser.page is not None
        assert "Your agent may only read with it." in browser.page.text
        deletion = await one.world.call("modern", one.world.token("carla"), "delete_shared_drive", id="x", confirm="x")
        assert "Unknown tool" in deletion.text
    more = Policy.model_validate({"read-only": False, "toolsets": ["shared-drives"]})
    async with connect_world(tmp_path, monkeypatch, connect_policy=more) as one:
        found = await tools(one)
        assert "delete_shared_drive" in found
        assert "list_snapshots" not in found
        drive = (await drives(one, "carla"))[0]  # the key of before is still kept
        deletion = await one.world.call(
            "modern", one.world.token("carla"), "delete_shared_drive", id=drive["id"], confirm=drive["name"]
        )
        assert structured(deletion)["deleted"] is True


async def test_two_people_each_have_their_own_team_and_a_member_keeps_the_operators(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connect_world(tmp_path, monkeypatch) as one:
        await one.handed_in("carla", KEY)
        await one.handed_in("dora", OTHER)
        ids = {
            name: {drive["id"] for drive in await drives(one, name)} for name in ("carla", "dora", "anna")
        }  # anna is a member of a team of the file
        assert not ids["carla"] & ids["dora"]
        assert not ids["carla"] & ids["anna"]
        assert one.api.keys[-1] == "key-of-research-0123456789"
        refused = result(
            await one.world.call("modern", one.world.token("dora"), "get_shared_drive", id=min(ids["carla"]))
        )["result"]
        assert refused["isError"] is True


async def test_the_rest_surface_says_where_to_go_and_serves_the_key_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connect_world(tmp_path, monkeypatch) as one:
        header = {"Authorization": f"Bearer {one.world.token('carla')}"}
        refused = await one.world.client.get("/v1/shared-drives", headers=header)
        assert refused.status_code == 403
        assert refused.headers["content-type"] == "application/problem+json"
        assert f"open {PAGE}." in refused.json()["detail"]
        await one.handed_in("carla", KEY)
        assert (await one.world.client.get("/v1/shared-drives", headers=header)).status_code == 200


async def test_who_is_in_two_teams_or_names_a_foreign_one_hands_in_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = (
        '[teams.a]\napi-key-env = "RESEARCH_KEY"\nmembers.subjects = ["carla"]\n'
        '[teams.b]\napi-key-env = "OPS_KEY"\nmembers.subjects = ["carla"]\n'
    )
    async with connect_world(tmp_path, monkeypatch, teams=both, auth_team_claim="org") as one:
        answer = await ask(one, "modern")
        assert answer.status_code == 403
        foreign = one.world.token("dora", org="a")
        assert (await one.world.rpc("modern", foreign, "tools/list")).status_code == 403
        page = await one.browser("carla").get(PAGE)
        assert "You are in more than one team of this server." in page.text
        assert 'name="key"' not in page.text


async def test_an_agent_whose_person_removes_the_key_is_out_with_its_next_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connect_world(tmp_path, monkeypatch) as one:
        browser = await one.handed_in("carla", KEY)
        await drives(one, "carla")
        removed = await browser.send("remove")
        assert "The key is removed" in removed.text
        asked = len(one.api.keys)
        answer = result(await ask(one, "modern"))["result"]
        assert answer["resultType"] == "input_required"
        assert len(one.api.keys) == asked


# --- what the page takes and shows


@pytest.mark.parametrize(
    ("pasted", "told"),
    [
        ("", "Enter the API key of your team."),
        ("   ", "Enter the API key of your team."),
        (f" {KEY}", "There is a space or a line break in it or around it."),
        (f"{KEY}\n", "There is a space or a line break in it or around it."),
        (f"Bearer {KEY}", "Paste the key alone, without the word \u201cBearer\u201d"),
        (f"authorization: {KEY}", "Paste the key alone, without the word"),
        ("k" * 513, "This is too long for a key."),
        ("kéy-of-carla", "There is a character in it that no key has."),
        ("key-\x00-of-carla", "There is a character in it that no key has."),
    ],
)
async def test_what_is_no_key_is_told_so_beside_the_field_and_never_shown_again(
    pasted: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connect_world(tmp_path, monkeypatch) as one:
        browser = one.browser()
        await browser.get(PAGE)
        answer = await browser.send("connect", key=pasted)
        assert answer.status_code == 422
        assert answer.text.count(told) == 2  # in the summary and beside the field
        assert "<title>Error: " in answer.text
        assert 'aria-invalid="true"' in answer.text
        assert 'role="alert"' in answer.text
        if pasted.strip():
            assert pasted.strip() not in answer.text
        assert one.api.keys == []


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("key-refused-0123456789", "Paperspace does not take this key (401)."),
        ("key-broken-0123456789", "The key could not be tried. The API failed (500)"),
    ],
)
async def test_a_key_that_the_api_does_not_take_is_not_kept_and_not_repeated(
    key: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connect_world(tmp_path, monkeypatch) as one:
        browser = one.browser()
        await browser.get(PAGE)
        answer = await browser.send("connect", key=key)
        assert answer.status_code == 422
        assert told in answer.text
        assert key not in answer.text
        assert "You have handed in no key." in answer.text
        assert result(await ask(one, "modern"))["result"]["resultType"] == "input_required"


async def test_a_person_may_try_ten_keys_in_an_hour_over_all_replicas(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connect_world(tmp_path, monkeypatch) as one:
        browser = one.browser()
        await browser.get(PAGE)
        for _ in range(10):
            await browser.send("connect", key="key-refused-0123456789")
        asked = len(one.api.keys)
        assert "You have tried too many keys." in (await browser.send("connect", key=KEY)).text
        assert len(one.api.keys) == asked
        assert "is kept" in (await one.handed_in("dora", OTHER)).page_text


async def test_html_in_the_name_of_a_team_or_a_person_is_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hostile = '"><img src=x onerror=alert(1)>\u202e<b>$csrf'
    async with connect_world(tmp_path, monkeypatch, api=Api(names={KEY: hostile})) as one:
        one.issuer.claims = {"email": f"<script>alert(1)</script>{hostile}"}
        page = (await one.handed_in("carla", KEY)).page_text
        assert "<img" not in page
        assert "<script" not in page
        assert "<b>" not in page
        assert "\u202e" not in page
        assert "&lt;img src=x onerror=alert(1)&gt;" in page
        assert "&lt;b&gt;$csrf" in page
        assert len(hostile) * 3 > page.count("&lt;")


async def test_a_member_of_another_team_sees_nothing_of_it_and_hands_in_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connect_world(tmp_path, monkeypatch) as one:
        browser = one.browser("ben")
        page = await browser.get(PAGE)
        assert "You act for a team of this server already." in page.text
        assert 'name="key"' not in page.text
        assert not re.search("research|ops", page.text)
        sent = await browser.send("connect", key=KEY)
        assert "You have handed in no key." in sent.text
        assert one.api.keys == []


async def test_every_answer_of_the_page_forbids_scripts_frames_caches_and_referrers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connect_world(tmp_path, monkeypatch) as one:
        browser = one.browser()
        answers = [
            await browser.once("GET", PAGE),
            await browser.get(PAGE),
            await browser.once("GET", f"{PAGE}/callback"),
            await browser.once("POST", PAGE),
            await browser.once("PUT", PAGE),
            await browser.once("GET", "/connect"),
        ]
        assert [answer.status_code for answer in answers] == [303, 200, 403, 403, 405, 308]
        assert answers[-1].headers["location"] == PAGE
        for answer in answers:
            policy = answer.headers["content-security-policy"]
            assert policy.startswith("default-src 'none'; style-src 'sha256-")
            assert "form-action 'self'; base-uri 'none'; frame-ancestors 'none'" in policy
            assert answer.headers["cache-control"] == "no-store"
            assert answer.headers["referrer-policy"] == "same-origin"
            assert answer.headers["x-frame-options"] == "DENY"
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert "access-control-allow-origin" not in answer.headers


async def test_cookies_are_bound_to_this_host_and_out_of_reach_of_scripts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connect_world(tmp_path, monkeypatch) as one:
        browser = one.browser()
        first = await browser.once("GET", PAGE)
        back = await browser.once("GET", one.issuer.sign_in(first.headers["location"], "carla"))
        lines = [*first.headers.get_list("set-cookie"), *back.headers.get_list("set-cookie")]
        assert [line.partition("=")[0] for line in lines] == [
            "__Host-connect-sign-in",
            "__Host-connect-sign-in",
            "__Host-connect",
        ]
        for line in lines:
            attributes = {part.strip().lower() for part in line.split(";")[1:]}
            assert {"httponly", "secure", "path=/", "samesite=lax"} <= attributes
            assert not any(part.startswith("domain") for part in attributes)


# --- signing in


async def test_signing_in_asks_the_issuer_with_pkce_state_and_nonce_and_our_own_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connect_world(tmp_path, monkeypatch) as one:
        await one.browser().get(PAGE)
        await one.browser().get(PAGE)
        first, second = one.issuer.asked
        assert set(first) == {
            *("response_type", "client_id", "redirect_uri", "scope", "state", "nonce"),
            *("code_challenge", "code_challenge_method"),
        }
        assert first["redirect_uri"] == f"{PAGE}/callback"
        assert first["scope"] == "openid email"
        assert first["code_challenge_method"] == "S256"
        assert not {first["state"], first["nonce"], first["code_challenge"]} & set(second.values())
        assert "client_secret" not in one.issuer.posted[0][0]


@pytest.mark.parametrize(
    ("changed", "value"),
    [
        ("state", "x" * 43),
        ("state", None),
        ("code", "made-up"),
        ("code", ""),
        ("code", "c" * 5000),
        ("iss", "https://other.example.com"),
        ("iss", None),
        ("error", "access_denied"),
    ],
)
async def test_an_answer_that_is_not_the_one_that_was_asked_for_signs_nobody_in(
    changed: str, value: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connect_world(tmp_path, monkeypatch) as one:
        browser = one.browser()
        begun = await browser.once("GET", PAGE)
        back = one.issuer.sign_in(begun.headers["location"], "carla")
        given: dict[str, str | None] = {name: values[0] for name, values in parse_qs(urlsplit(back).query).items()}
        sent = {name: text for name, text in {**given, changed: value}.items() if text is not None}
        answer = await browser.once("GET", f"{PAGE}/callback?{urlencode(sent)}")
        assert answer.status_code == 403
        assert "You are not signed in" in answer.text
        assert "__Host-connect" not in browser.cookies
        assert (value or "?") not in answer.text


FORGED: dict[str, dict[str, Any]] = {
    "another nonce": {"claims": {"nonce": "x"}},
    "no nonce": {"claims": {"nonce": None}},
    "another audience": {"claims": {"aud": "https://mcp.example.com/mcp"}},
    "two audiences without azp": {"claims": {"aud": ["paperspace-mcp", "other"]}},
    "another azp": {"claims": {"azp": "other"}},
    "another issuer": {"claims": {"iss": "https://other.example.com"}},
    "expired": {"claims": {"exp": 1_700_000_000}},
    "made long ago": {"claims": {"iat": 1_700_000_000}},
    "not made yet": {"claims": {"iat": 4_000_000_000}},
    "no iat": {"claims": {"iat": None}},
    "no exp": {"claims": {"exp": None}},
    "nobody": {"claims": {"sub": ""}},
    "a number for a subject": {"claims": {"sub": 7}},
    "no subject": {"claims": {"sub": None}},
    "an access token": {"header": {"typ": "at+jwt"}},
    "no signature": {"header": {"alg": "none"}},
    "a critical extension": {"header": {"crit": ["x"]}},
    "another key": {"by": pair(kid="one", number=1)},
    "a symmetric key": {"header": {"alg": "HS256"}},
}


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED.keys())
async def test_a_forged_id_token_signs_nobody_in(
    forged: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connect_world(tmp_path, monkeypatch) as one:
        for name, value in forged.items():
            setattr(one.issuer, name, value)
        browser = one.browser()
        answer = await browser.get(PAGE)
        assert answer.status_code == 403
        assert "answer cannot be trusted" in answer.text
        assert "__Host-connect" not in browser.cookies


async def test_an_issuer_that_is_away_signs_nobody_in_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connect_world(tmp_path, monkeypatch) as one:
        one.issuer.away = True
        answer = await one.browser().get(PAGE)
        assert answer.status_code == 403
        assert "could not be checked" in answer.text


async def test_a_sign_in_comes_back_once_and_to_the_browser_that_began_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connect_world(tmp_path, monkeypatch) as one:
        begun = one.browser("mallory")
        back = one.issuer.sign_in((await begun.once("GET", PAGE)).headers["location"], "mallory")
        victim = one.browser("carla")
        planted = await victim.once("GET", back)
        assert planted.status_code == 403
        assert victim.cookies == {}
        await victim.once("GET", PAGE)  # with a sign-in of their own under way
        assert (await victim.once("GET", back)).status_code == 403
        kept = dict(begun.cookies)
        assert (await begun.once("GET", back)).status_code == 303
        begun.cookies = kept
        again = await begun.once("GET", back)
        assert again.status_code == 403
        assert "come back before" in again.text


async def test_a_session_that_was_there_before_signing_in_is_never_taken_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connect_world(tmp_path, monkeypatch) as one:
        browser = one.browser()
        browser.cookies["__Host-connect"] = fixed = "f" * 43
        await browser.get(PAGE)
        assert browser.cookies["__Host-connect"] != fixed
        other = one.browser("mallory")
        other.cookies["__Host-connect"] = fixed
        assert (await other.once("GET", PAGE)).headers["location"].startswith(AUTHORIZE)


# --- links


@pytest.mark.parametrize("era", ERAS)
async def test_a_link_that_another_person_opens_takes_nothing(
    era: Era, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connect_world(tmp_path, monkeypatch) as one:
        link = await link_of(one, era)
        bob = one.browser("bob")
        answer = await bob.get(link)
        assert answer.status_code == 403
        assert "This link is not yours" in answer.text
        assert 'name="key"' not in answer.text
        assert bob.cookies == {}
        await bob.get(PAGE)  # signed in for a reason of their own, all the same
        assert (await bob.get(link)).status_code == 403
        assert (await one.browser("carla").get(link)).status_code == 200  # not spent by it


async def test_a_link_opens_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with connect_world(tmp_path, monkeypatch) as one:
        link = await link_of(one)
        browser = one.browser()
        first = await browser.get(link)
        assert first.status_code == 200
        assert browser.sent_to[-1] == PAGE  # what it carries does not stay in the address
        for again in (browser, one.browser()):
            answer = await again.get(link)
            assert answer.status_code == 410
            assert "This link is over" in answer.text
            assert 'name="key"' not in answer.text


async def test_a_link_ends_after_a_quarter_of_an_hour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with connect_world(tmp_path, monkeypatch) as one:
        links = one.world.hosted.connecting
        assert links is not None
        monkeypatch.setattr("paperspace_storage_server.hosted.connect_links.LASTS", -1.0)
        assert (await one.browser().get(await link_of(one))).status_code == 410


@pytest.mark.parametrize("carried", ["", "x", "A" * 120, "A" * 5000, "../../etc", "https://evil.example.com"])
async def test_a_link_that_is_made_up_is_nobodys(carried: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with connect_world(tmp_path, monkeypatch) as one:
        browser = one.browser()
        answer = await browser.get(f"{PAGE}?{urlencode({'for': carried})}")
        assert answer.status_code == 403
        assert all(where.startswith((PAGE, AUTHORIZE)) for where in browser.sent_to)


# --- forms of others, stolen cookies


@pytest.mark.parametrize("action", ["connect", "remove", "sign-out"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example.com"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "https://mcp.example.com.evil.example"},
        {"Origin": "http://mcp.example.com"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
async def test_a_form_of_another_page_changes_nothing(
    action: str, headers: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connect_world(tmp_path, monkeypatch) as one:
        browser = await one.handed_in("carla", KEY)
        csrf = re.search(r'name="csrf" value="([^"]+)"', browser.page_text)
        assert csrf
        answer = await browser.post({"csrf": csrf[1], "action": action, "key": OTHER}, **headers)
        assert answer.status_code == 403
        assert "Nothing was changed" in answer.text
        await drives(one, "carla")
        assert one.api.keys[-1] == KEY
        assert "is kept" in (await browser.get(PAGE)).text


@pytest.mark.parametrize("csrf", ["", "x", None])
async def test_a_form_without_the_pages_own_token_changes_nothing(
    csrf: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connect_world(tmp_path, monkeypatch) as one:
        browser, mallory = await one.handed_in("carla", KEY), one.browser("mallory")
        await mallory.get(PAGE)
        theirs = re.search(r'name="csrf" value="([^"]+)"', mallory.page_text)
        assert theirs
        answer = await browser.post({"csrf": theirs[1] if csrf is None else csrf, "action": "remove"})
        assert answer.status_code == 403
        await drives(one, "carla")


async def test_a_body_of_a_mebibyte_or_of_another_kind_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connect_world(tmp_path, monkeypatch) as one:
        browser = one.browser()
        await browser.get(PAGE)
        large = await browser.send("connect", key="k" * 1024 * 1024)
        assert large.status_code == 413
        assert "kkkk" not in large.text
        headers = {"Origin": ORIGIN, "Content-Type": "application/json"}
        assert (await browser.once("POST", PAGE, content=b"{}", headers=headers)).status_code == 415
        many = "&".join(f"a{number}=1" for number in range(100))
        headers = {"Origin": ORIGIN, "Content-Type": "application/x-www-form-urlencoded"}
        assert (await browser.once("POST", PAGE, content=many, headers=headers)).status_code == 403
        assert one.api.keys == []


async def test_a_stolen_cookie_is_of_no_use_at_another_replica_once_its_session_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connect_world(tmp_path, monkeypatch) as one, connect_world(tmp_path, monkeypatch) as other:
        browser = await one.handed_in("carla", KEY)
        csrf = re.search(r'name="csrf" value="([^"]+)"', browser.page_text)
        assert csrf
        elsewhere = one.browser()  # the same person, in another browser
        await elsewhere.get(PAGE)
        thief = Browser(other.world.client, other.issuer, "mallory", dict(browser.cookies))
        assert "carla@example.com" in (await thief.once("GET", PAGE)).text  # the two share a store
        await drives(other, "carla")
        await browser.send("remove")
        assert (await thief.once("GET", PAGE)).headers["location"].startswith(AUTHORIZE)
        assert (await thief.post({"csrf": csrf[1], "action": "connect", "key": OTHER})).status_code == 403
        assert (await elsewhere.once("GET", PAGE)).headers["location"].startswith(AUTHORIZE)
        assert result(await ask(other, "modern"))["result"]["resultType"] == "input_required"
        assert (await browser.get(PAGE)).status_code == 200  # signed in anew


async def test_a_host_that_is_not_ours_and_a_crowd_are_turned_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connect_world(tmp_path, monkeypatch) as one:
        browser = one.browser()
        for host in ("evil.example.com", "mcp.example.com.evil.example", "mcp.example.com:8443", ""):
            assert (await browser.once("GET", PAGE, headers={"Host": host})).status_code == 421
        assert (await browser.once("GET", PAGE, headers={"Host": "MCP.example.com:443"})).status_code == 303
        statuses = [(await browser.once("GET", PAGE)).status_code for _ in range(70)]
        assert statuses.count(429) >= 10
        assert statuses[0] == 303


# --- the store


class _Away:
    """A store that answers nothing."""

    def __getattr__(self, name: str) -> Any:
        async def away(*arguments: Any, **more: Any) -> Any:
            raise StoreUnavailable("no answer")

        return away


@pytest.mark.parametrize("era", ERAS)
async def test_with_the_store_away_nothing_is_read_with_a_key_that_was_handed_in(
    era: Era, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connect_world(tmp_path, monkeypatch) as one:
        browser = await one.handed_in("carla", KEY)
        await drives(one, "carla", era)
        connecting = one.world.hosted.connecting
        assert connecting is not None
        present = connecting.page.keys
        for part in (present, connecting.page.sessions, connecting.page.links):
            monkeypatch.setattr(part, "_store", _Away())
        asked = len(one.api.keys)
        answer = result(await ask(one, era))["result"]
        assert answer["isError"] is True
        assert "so nothing was sent. Try again in a minute." in answer["content"][0]["text"]
        header = {"Authorization": f"Bearer {one.world.token('carla')}"}
        assert (await one.world.client.get("/v1/shared-drives", headers=header)).status_code == 503
        assert (await browser.get(PAGE)).status_code == 503
        assert (await browser.post({"csrf": "x", "action": "remove"})).status_code == 503
        assert len(one.api.keys) == asked
        assert await drives(one, "anna")  # the operator's teams read on


async def test_what_is_kept_is_sealed_for_its_person_and_moves_to_the_first_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = "01" * 32, "02" * 32
    place = key_of("connected", f"{ISSUER} carla")

    async def kept(one: ConnectWorld) -> str:
        return await one.world.hosted.services.maker.store.get(place) or ""

    async with connect_world(tmp_path, monkeypatch, state_keys=[old]) as one:
        await one.handed_in("carla", KEY)
        first = await kept(one)
        assert first
        assert KEY not in first
        await one.world.hosted.services.maker.store.put(key_of("connected", f"{ISSUER} dora"), first, 100.0)
        assert result(await ask(one, "modern", "dora"))["result"]["resultType"] == "input_required"
    async with connect_world(tmp_path, monkeypatch, state_keys=[new, old]) as one:
        await drives(one, "carla")
        assert await kept(one) != first
    async with connect_world(tmp_path, monkeypatch, state_keys=[new]) as one:
        await drives(one, "carla")
        assert one.api.keys[-1] == KEY
    async with connect_world(tmp_path, monkeypatch, state_keys=["03" * 32]) as one:
        assert result(await ask(one, "modern"))["result"]["resultType"] == "input_required"


async def test_no_key_no_link_and_no_cookie_is_in_the_log_or_the_audit_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    audit = tmp_path / "audit.jsonl"
    policy = Policy.model_validate({"read-only": False})
    given: dict[str, Any] = {"connect_policy": policy, "audit_file": audit, "log_level": "debug"}
    async with connect_world(tmp_path, monkeypatch, **given) as one:
        link = await link_of(one)
        browser = one.browser()
        await browser.get(link)
        await browser.send("connect", key="key-refused-0123456789")
        await browser.send("connect", key=KEY)
        drive = (await drives(one, "carla"))[0]
        arguments = {"id": drive["id"], "confirm": drive["name"]}
        await one.world.call("modern", one.world.token("carla"), "delete_shared_drive", **arguments)
        lines = [json.loads(line) for line in audit.read_text(encoding="utf-8").splitlines()]
        assert lines[-1]["principal"] == f"{ISSUER} carla"
        assert lines[-1]["team"].endswith(" (handed in)")
        logged = capsys.readouterr().err
        said = logged + audit.read_text(encoding="utf-8")
        for secret in (KEY, "key-refused-0123456789", link.partition("=")[2], browser.cookies["__Host-connect"]):
            assert secret not in said
        assert f"{ISSUER} carla has handed in a key" in logged


async def test_a_service_that_nobody_calls_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with connect_world(tmp_path, monkeypatch) as one:
        connecting = one.world.hosted.connecting
        assert connecting is not None
        teams, now = connecting.teams, [1000.0]
        monkeypatch.setattr(teams, "_clock", lambda: now[0])
        left: list[Service] = []

        def leave(leaving: Leaving, service: Service) -> None:
            left.append(service)  # it would be closed a minute later

        monkeypatch.setattr(Leaving, "leave", leave)
        for name in ("carla", "dora"):
            await one.handed_in(name, f"key-of-{name}-0123456789")
            await drives(one, name)
        now[0] += 899
        await drives(one, "dora")
        assert left == []
        now[0] += 2
        await drives(one, "dora")
        assert [service.settings.api_key for service in left] == [SecretStr(KEY)]
        await drives(one, "carla")  # and is there again when it is needed


async def test_when_all_that_may_stand_open_are_in_use_one_more_is_asked_to_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("paperspace_storage_server.hosting.connected_teams.MOST", 1)
    async with connect_world(tmp_path, monkeypatch) as one:
        await one.handed_in("carla", KEY)
        connecting = one.world.hosted.connecting
        assert connecting is not None
        carla = Principal(f"{ISSUER} carla", f"connect:{ISSUER} carla", frozenset())
        async with connecting.teams.request(carla) as standing:
            assert standing == "connected"
            full = await ask(one, "modern", "dora")
            assert full.status_code == 503
            assert full.headers["retry-after"] == "5"
        assert (await ask(one, "modern", "dora")).status_code == 200


async def test_a_bounded_number_of_services_stands_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("paperspace_storage_server.hosting.connected_teams.MOST", 2)
    async with connect_world(tmp_path, monkeypatch) as one:
        for name in ("carla", "dora", "emil", "carla"):
            await one.handed_in(name, f"key-of-{name}-0123456789")
            await drives(one, name)
        connecting = one.world.hosted.connecting
        assert connecting is not None
        assert len(connecting.teams._people) == 2  # pyright: ignore[reportPrivateUsage]  # how many stand open is what is asked
