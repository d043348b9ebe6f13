"""The page where a key is handed in: what it takes and shows, whose links open it, and the forms of others."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlencode

import pytest

from paperspace_storage_server.hosted import connect_rate
from paperspace_storage_server.hosted.connect_rate import Rate
from support.connecting import AUTHORIZE, KEY, ORIGIN, OTHER, PAGE, Api, Browser, connect_world
from support.hosted_server import ERAS, Era, result

pytestmark = pytest.mark.anyio


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
        assert result(await one.ask("modern"))["result"]["resultType"] == "input_required"


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


# --- links


@pytest.mark.parametrize("era", ERAS)
async def test_a_link_that_another_person_opens_takes_nothing(
    era: Era, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connect_world(tmp_path, monkeypatch) as one:
        link = await one.link(era)
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
        link = await one.link()
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
        monkeypatch.setattr("paperspace_storage_server.hosted.connect_links.LASTS", -1.0)
        assert (await one.browser().get(await one.link())).status_code == 410


@pytest.mark.parametrize("carried", ["", "x", "A" * 120, "A" * 5000, "../../etc", "https://evil.example.com"])
async def test_a_link_that_is_made_up_is_nobodys(carried: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with connect_world(tmp_path, monkeypatch) as one:
        browser = one.browser()
        answer = await browser.get(f"{PAGE}?{urlencode({'for': carried})}")
        assert answer.status_code == 403
        assert all(where.startswith((PAGE, AUTHORIZE)) for where in browser.sent_to)
        assert bool(browser.sent_to) == (len(carried) < 512)  # what is too long for a cookie goes nowhere


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
        await one.drives("carla")
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
        await one.drives("carla")


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
        await other.drives("carla")
        await browser.send("remove")
        assert (await thief.once("GET", PAGE)).headers["location"].startswith(AUTHORIZE)
        assert (await thief.post({"csrf": csrf[1], "action": "connect", "key": OTHER})).status_code == 403
        assert (await elsewhere.once("GET", PAGE)).headers["location"].startswith(AUTHORIZE)
        assert result(await other.ask("modern"))["result"]["resultType"] == "input_required"
        assert (await browser.get(PAGE)).status_code == 200  # signed in anew


def test_addresses_are_counted_apart_all_together_and_in_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    rate = Rate(lambda: now[0])
    assert [rate.take("a") for _ in range(61)] == [True] * 60 + [False]
    assert rate.take("b")
    now[0] += 60
    assert rate.take("a")
    monkeypatch.setattr(connect_rate, "ALL", 3)
    assert [rate.take(name) for name in "cdef"] == [True, True, False, False]
    monkeypatch.setattr(connect_rate, "_MOST_ADDRESSES", 2)
    now[0] += 60
    assert [rate.take(name) for name in "ghi"] == [True, True, True]
    assert len(rate._by_address) == 2  # pyright: ignore[reportPrivateUsage]  # how much is kept is what is asked


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
