"""Finding the issuer and its keys; the keys change, the issuer goes away and comes back, and is never hammered."""

from __future__ import annotations

import asyncio

import pytest

from hosted.issuing import ISSUER, KEYS_AT, METADATA_AT, Web, pair
from paperspace_storage_server.hosted.identity import NotReady
from paperspace_storage_server.hosted.issuer import REFRESHED_EVERY, Issuer, WrongIssuer, metadata_urls
from paperspace_storage_server.http.fetch import NotFetched

pytestmark = pytest.mark.anyio


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


async def found(web: Web, clock: Clock | None = None) -> Issuer:
    issuer = Issuer(ISSUER, web.fetch, clock or Clock())
    await issuer.discover()
    return issuer


def test_metadata_is_looked_for_where_clients_of_mcp_look() -> None:
    assert metadata_urls("https://a.example/realms/one") == [
        "https://a.example/.well-known/oauth-authorization-server/realms/one",
        "https://a.example/.well-known/openid-configuration/realms/one",
        "https://a.example/realms/one/.well-known/openid-configuration",
    ]
    assert metadata_urls("http://127.0.0.1:9000") == [
        "http://127.0.0.1:9000/.well-known/oauth-authorization-server",
        "http://127.0.0.1:9000/.well-known/openid-configuration",
    ]
    assert metadata_urls("https://tenant.auth0.com/")[1] == "https://tenant.auth0.com/.well-known/openid-configuration"


@pytest.mark.parametrize("where", metadata_urls(ISSUER))
async def test_an_issuer_is_found_at_any_of_these_places(where: str) -> None:
    web = Web()
    web.publish(pair())
    web.documents[where] = web.documents.pop(METADATA_AT)
    issuer = await found(web)
    assert issuer.ready
    assert web.asked == [*metadata_urls(ISSUER)[: metadata_urls(ISSUER).index(where) + 1], KEYS_AT]


@pytest.mark.parametrize(
    "named", [ISSUER + "/", "https://login.example.com", "https://evil.example.com", None, [ISSUER]]
)
async def test_metadata_of_another_issuer_is_a_wrong_setting(named: object) -> None:
    web = Web()
    web.publish(pair(), issuer=named)
    with pytest.raises(WrongIssuer, match="names another issuer"):
        await found(web)


@pytest.mark.parametrize(
    "uri", [None, 7, "http://login.example.com/keys", "ftp://x/", "https://", "file:///etc/passwd"]
)
async def test_keys_are_fetched_over_https_or_from_this_machine_only(uri: object) -> None:
    web = Web()
    web.publish(pair(), jwks_uri=uri)
    with pytest.raises(WrongIssuer, match="jwks_uri"):
        await found(web)


async def test_a_redirect_and_a_place_without_metadata_are_wrong_settings() -> None:
    web = Web({METADATA_AT: NotFetched("it redirects (302)", redirected=True)})
    with pytest.raises(WrongIssuer, match="redirects"):
        await found(web)
    with pytest.raises(WrongIssuer, match="publishes no metadata"):
        await found(Web())


async def test_an_issuer_that_cannot_be_reached_is_tried_again_by_whoever_asks() -> None:
    web = Web({METADATA_AT: NotFetched("no answer in 5 s")})
    issuer = Issuer(ISSUER, web.fetch, Clock())
    with pytest.raises(NotReady, match="no answer"):
        await issuer.discover()
    assert not issuer.ready
    web.publish(pair())
    web.documents[KEYS_AT] = NotFetched("it answers 503")
    with pytest.raises(NotReady):
        await issuer.discover()
    web.publish(pair())
    await issuer.discover()
    assert issuer.ready


async def test_a_new_key_is_known_as_soon_as_a_token_names_it() -> None:
    web, clock = Web(), Clock()
    web.publish(pair(kid="one"))
    issuer = await found(web, clock)
    clock.now += 60
    web.publish(pair(kid="one"), pair(kid="two", number=1))
    assert [key.kid for key in await issuer.keys_for("RS256", "two")] == ["two"]
    assert web.asked == [METADATA_AT, KEYS_AT, KEYS_AT]


async def test_a_thousand_unknown_ids_make_one_fetch_in_ten_seconds() -> None:
    web, clock = Web(), Clock()
    web.publish(pair())
    issuer = await found(web, clock)
    web.asked.clear()
    for _ in range(5):
        clock.now += 2.5
        answers = await asyncio.gather(*(issuer.keys_for("RS256", f"made up {n}") for n in range(200)))
        assert answers == [[]] * 200
    assert web.asked == [KEYS_AT]  # 12.5 s after the first: the next may come in 7.5 s
    clock.now += 7.5
    await issuer.keys_for("RS256", "made up")
    assert web.asked == [KEYS_AT, KEYS_AT]


async def test_who_asks_while_keys_are_fetched_waits_for_that_fetch() -> None:
    web, clock = Web(), Clock()
    web.publish(pair())
    issuer = await found(web, clock)
    web.asked.clear()
    clock.now += 60
    web.publish(pair(kid="two"))
    web.slow = asyncio.Event()
    asking = [asyncio.create_task(issuer.keys_for("RS256", "two")) for _ in range(50)]
    gives_up = asyncio.create_task(issuer.keys_for("RS256", "two"))
    await asyncio.sleep(0)
    gives_up.cancel()  # takes nothing from the others
    web.slow.set()
    assert all(len(keys) == 1 for keys in await asyncio.gather(*asking))
    assert web.asked == [KEYS_AT]


async def test_with_the_issuer_away_the_last_keys_go_on() -> None:
    web, clock = Web(), Clock()
    web.publish(pair())
    issuer = await found(web, clock)
    wrongs: list[dict[str, object] | NotFetched] = [NotFetched("no answer in 5 s"), {"keys": []}, {"keys": "none"}, {}]
    for wrong in wrongs:
        clock.now += REFRESHED_EVERY
        web.documents[KEYS_AT] = wrong
        assert [key.kid for key in await issuer.keys_for("RS256", "one")] == ["one"]
        assert await issuer.keys_for("RS256", "two") == []
    assert issuer.generation == 1


async def test_a_withdrawn_key_is_out_after_the_next_refresh_though_no_token_asks_for_one() -> None:
    web, clock = Web(), Clock()
    web.publish(pair(kid="one"), pair(kid="two", number=1))
    issuer = await found(web, clock)
    web.publish(pair(kid="two", number=1))
    clock.now += REFRESHED_EVERY
    await issuer.keys_for("RS256", "two")
    await asyncio.sleep(0)
    assert await issuer.keys_for("RS256", "one") == []
    await issuer.aclose()
