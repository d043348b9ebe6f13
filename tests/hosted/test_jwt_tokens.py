"""Tokens of the issuer: the good ones are taken, and whatever can be forged, bent or borrowed is not."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from hosted.issuing import ISSUER, KEYS_AT, RESOURCE, SigningPair, Web, claims, encoded, pair, rsa_key, signed
from paperspace_storage_server.calls.principal import with_implied
from paperspace_storage_server.hosted.identity import BadToken, Identity, NotReady
from paperspace_storage_server.hosted.issuer import ALGORITHMS, Issuer
from paperspace_storage_server.hosted.jwt_tokens import LARGEST, JwtTokens

pytestmark = pytest.mark.anyio
OURS = pair()
OTHERS = pair(number=1)


async def verifier(*pairs: SigningPair, web: Web | None = None, **settings: Any) -> JwtTokens:
    web = web or Web()
    web.publish(*(pairs or (OURS,)))
    issuer = Issuer(ISSUER, web.fetch)
    await issuer.discover()
    settings.setdefault("audiences", [RESOURCE])
    return JwtTokens(issuer, **settings)


async def refusal(token: str, tokens: JwtTokens | None = None) -> str:
    with pytest.raises(BadToken) as error:
        await (tokens or await verifier()).identify(token)
    return error.value.why


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_a_token_made_for_this_server_says_who_bears_it(algorithm: str) -> None:
    key = pair(algorithm)
    said = claims(email="Anna@Example.com", email_verified=True, groups=["ops", 7])
    assert await (await verifier(key)).identify(key.token(said)) == Identity(
        issuer=ISSUER,
        subject="anna",
        scopes=frozenset({"openid", "storage:read", "storage:write"}),
        expires=said["exp"],
        emails=frozenset({"Anna@Example.com"}),
        groups=frozenset({"ops"}),
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": ["https://other.example.com", RESOURCE]},
        {"nbf": 3},
        {"iat": 3},
        {"exp": 60.5},
        {"jku": "https://evil.example.com", "unknown": {"deep": [1]}},
    ],
)
async def test_what_the_standard_leaves_open_is_taken(changes: dict[str, Any]) -> None:
    at = {name: time.time() + changes[name] for name in ("nbf", "iat", "exp") if name in changes}  # from now on
    assert (await (await verifier()).identify(OURS.token(claims(**changes | at)))).subject == "anna"


async def test_a_type_may_be_written_as_a_whole_media_type() -> None:
    assert (await (await verifier()).identify(OURS.token(claims(), typ="application/AT+JWT"))).subject == "anna"


def _hs256_with_the_public_key() -> str:
    published = OURS.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return _hs256(published)


def _hs256(secret: bytes, kid: str = "one") -> str:
    import hashlib
    import hmac

    content = f"{encoded(json.dumps({'alg': 'HS256', 'typ': 'at+jwt', 'kid': kid}).encode())}." + encoded(
        json.dumps(claims()).encode()
    )
    return f"{content}.{encoded(hmac.new(secret, content.encode(), hashlib.sha256).digest())}"


def _cut(place: int) -> str:
    parts = OURS.token(claims()).split(".")
    parts[place] = ""
    return ".".join(parts)


def _other_claims_under_the_signature() -> str:
    head, _, signature = OURS.token(claims()).split(".")
    return f"{head}.{encoded(json.dumps(claims(sub='root')).encode())}.{signature}"


def _other_spelling_of_the_signature() -> str:
    token = OURS.token(claims())
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return token[:-1] + alphabet[alphabet.index(token[-1]) ^ 1]


def _twice(member: str, first: object, second: object) -> str:
    text = json.dumps(claims(**{member: first}))
    return OURS.token(text[:-1] + f", {json.dumps(member)}: {json.dumps(second)}}}")


NOT_THE_ISSUERS = "the token's signature is not the issuer's"
MALFORMED = "the token is malformed"
NOT_FOR_US = "the token was not made for this server"
WAY = "the token is not signed in a way that counts here"


def _in(seconds: float) -> int:
    return int(time.time() + seconds)


DEEP = "[" * 100_000 + "]" * 100_000

FORGED: dict[str, tuple[Callable[[], str], str]] = {
    "alg none": (lambda: signed({"alg": "none", "typ": "at+jwt", "kid": "one"}, claims(), OURS), WAY),
    "alg none, unsigned": (
        lambda: signed({"alg": "none", "typ": "at+jwt"}, claims(), OURS).rsplit(".", 1)[0] + ".",
        WAY,
    ),
    "alg nOnE": (lambda: OURS.token(claims(), alg="nOnE"), WAY),
    "alg missing": (lambda: signed({"typ": "at+jwt", "kid": "one"}, claims(), OURS), WAY),
    "alg a list": (lambda: OURS.token(claims(), alg=["RS256"]), WAY),
    "HS256 with the public key": (_hs256_with_the_public_key, WAY),
    "HS256 with an empty key": (lambda: _hs256(b""), WAY),
    "an algorithm that the key is not for": (lambda: OURS.token(claims(), alg="PS256"), NOT_THE_ISSUERS),
    "an elliptic algorithm for an RSA key": (lambda: pair("ES256").token(claims()), NOT_THE_ISSUERS),
    "another key": (lambda: OTHERS.token(claims()), NOT_THE_ISSUERS),
    "a key of its own in the header": (lambda: OTHERS.token(claims(), jwk=OTHERS.jwk), NOT_THE_ISSUERS),
    "a key elsewhere (jku)": (
        lambda: OTHERS.token(claims(), jku="https://evil.example.com/keys", x5u="https://evil.example.com/x"),
        NOT_THE_ISSUERS,
    ),
    "claims changed under the signature": (_other_claims_under_the_signature, NOT_THE_ISSUERS),
    "the signature spelled otherwise": (_other_spelling_of_the_signature, MALFORMED),
    "no signature": (lambda: _cut(2), NOT_THE_ISSUERS),
    "no claims": (lambda: _cut(1), MALFORMED),
    "no header": (lambda: _cut(0), MALFORMED),
    "five parts (encrypted)": (lambda: OURS.token(claims()) + ".a.b", MALFORMED),
    "another issuer": (lambda: OURS.token(claims(iss="https://login.example.com/other")), NOT_FOR_US),
    "the issuer with a slash": (lambda: OURS.token(claims(iss=ISSUER + "/")), NOT_FOR_US),
    "the issuer in capitals": (lambda: OURS.token(claims(iss=ISSUER.replace("login", "LOGIN"))), NOT_FOR_US),
    "a list of issuers": (lambda: OURS.token(claims(iss=[ISSUER])), NOT_FOR_US),
    "no issuer": (lambda: OURS.token(claims(iss=None)), MALFORMED),
    "another audience": (lambda: OURS.token(claims(aud="https://other.example.com/mcp")), NOT_FOR_US),
    "the audience with a slash": (lambda: OURS.token(claims(aud=RESOURCE + "/")), NOT_FOR_US),
    "the audience's beginning": (lambda: OURS.token(claims(aud="https://mcp.example.com")), NOT_FOR_US),
    "no audience": (lambda: OURS.token(claims(aud=None)), MALFORMED),
    "an empty list of audiences": (lambda: OURS.token(claims(aud=[])), MALFORMED),
    "an audience of another type": (lambda: OURS.token(claims(aud={RESOURCE: 1})), NOT_FOR_US),
    "an ID token": (lambda: OURS.token(claims(), typ="JWT"), "the token is not of type at+jwt"),
    "no type": (lambda: OURS.token(claims(), typ=None), "the token is not of type at+jwt"),
    "a logout token": (lambda: OURS.token(claims(), typ="logout+jwt"), "the token is not of type at+jwt"),
    "expired": (lambda: OURS.token(claims(exp=_in(-1))), "the token has expired"),
    "expired long ago": (lambda: OURS.token(claims(exp=1)), "the token has expired"),
    "without an end": (lambda: OURS.token(claims(exp=None)), MALFORMED),
    "an end in words": (lambda: OURS.token(claims(exp=str(_in(300)))), MALFORMED),
    "an end that is true": (lambda: OURS.token(claims(exp=True)), "the token has expired"),
    "an end at infinity": (
        lambda: OURS.token(json.dumps(claims()).replace(str(claims()["exp"]), "Infinity")),
        MALFORMED,
    ),
    "an end beyond all numbers": (
        lambda: OURS.token(json.dumps(claims(exp=0)).replace('"exp": 0', '"exp": 1e999')),
        MALFORMED,
    ),
    "not yet": (lambda: OURS.token(claims(nbf=_in(60))), "the token is not valid yet"),
    "issued tomorrow": (lambda: OURS.token(claims(iat=_in(86_400))), "the token is not valid yet"),
    "no subject": (lambda: OURS.token(claims(sub=None)), MALFORMED),
    "an empty subject": (lambda: OURS.token(claims(sub="")), MALFORMED),
    "a subject without an end": (lambda: OURS.token(claims(sub="a" * 256)), MALFORMED),
    "a subject that is a number": (lambda: OURS.token(claims(sub=7)), MALFORMED),
    "a subject twice": (lambda: _twice("sub", "anna", "root"), MALFORMED),
    "an audience twice": (lambda: _twice("aud", "https://other.example.com", RESOURCE), MALFORMED),
    "an algorithm twice": (
        lambda: signed('{"alg":"none","alg":"RS256","typ":"at+jwt","kid":"one"}', claims(), OURS),
        MALFORMED,
    ),
    "a critical extension": (lambda: OURS.token(claims(), crit=["exp"]), MALFORMED),
    "unencoded claims (b64)": (lambda: OURS.token(claims(), b64=False, crit=["b64"]), MALFORMED),
    "a kid that is a path": (lambda: OTHERS.token(claims(), kid="../../../../dev/null"), NOT_THE_ISSUERS),
    "a kid that is SQL": (lambda: OTHERS.token(claims(), kid="x' UNION SELECT 'key"), NOT_THE_ISSUERS),
    "a kid that is a URL": (lambda: OTHERS.token(claims(), kid="https://evil.example.com/key"), NOT_THE_ISSUERS),
    "a kid that is empty": (lambda: OTHERS.token(claims(), kid=""), NOT_THE_ISSUERS),
    "a kid that is huge": (lambda: OURS.token(claims(), kid="k" * 5000), MALFORMED),
    "a kid that is a list": (lambda: OURS.token(claims(), kid=["one"]), MALFORMED),
    "a huge token": (lambda: OURS.token(claims(more="x" * LARGEST)), "the token is too long"),
    "a deep one": (lambda: OURS.token(DEEP[:4000] + DEEP[-4000:]), MALFORMED),
    "an end beyond all times": (lambda: OURS.token(claims(exp=10**400)), MALFORMED),
    "an end that is infinite": (lambda: OURS.token(claims(exp=float("inf"))), MALFORMED),
    "an end that is none": (lambda: OURS.token(claims(exp=float("nan"))), MALFORMED),
    "a beginning beyond all times": (lambda: OURS.token(claims(nbf=float("inf"))), MALFORMED),
    "made beyond all times": (lambda: OURS.token(claims(iat=float("inf"))), MALFORMED),
    "claims that are a list": (lambda: OURS.token("[]"), MALFORMED),
    "claims that are no UTF-8": (lambda: OURS.token(b'{"iss": "\xff"}'), MALFORMED),
    "letters that look alike": (lambda: OURS.token(claims()).replace("a", "а", 1), MALFORMED),  # a Cyrillic one
}


@pytest.mark.parametrize("name", FORGED)
async def test_a_forged_token_is_refused(name: str) -> None:
    forge, why = FORGED[name]
    assert await refusal(forge()) == why


@given(st.text(max_size=200) | st.from_regex(r"\A[A-Za-z0-9_-]{0,60}\.[A-Za-z0-9_-]{0,60}\.[A-Za-z0-9_-]{0,60}\Z"))
async def test_whatever_is_sent_it_lets_nobody_in(token: str) -> None:
    assert await refusal(token, await verifier())


async def test_nothing_is_fetched_but_from_the_issuer() -> None:
    web = Web()
    tokens = await verifier(web=web)
    for name, (forge, _) in FORGED.items():
        with pytest.raises(BadToken):
            await tokens.identify(forge())
        assert all(url.startswith("https://login.example.com/") for url in web.asked), name


async def test_an_unverified_address_is_none() -> None:
    tokens = await verifier()
    for said in ({}, {"email_verified": False}, {"email_verified": "true"}, {"email_verified": 1}):
        identity = await tokens.identify(OURS.token(claims(email="boss@example.com", jti=str(said), **said)))
        assert identity.emails == frozenset()


async def test_two_keys_under_one_id_are_both_tried() -> None:
    twin = SigningPair("one", "RS256", rsa_key(1))
    tokens = await verifier(OURS, twin)
    assert (await tokens.identify(twin.token(claims()))).subject == "anna"
    assert (await tokens.identify(OURS.token(claims()))).subject == "anna"


@pytest.mark.parametrize("blank", ["\u00a0", "\u2003", "\u3000", "\t", "\n", "\x1f", ",", "+", "%20"])
async def test_nothing_but_a_space_divides_scopes(blank: str) -> None:
    said = claims(scope=f"storage:read{blank}storage:destroy")
    identity = await (await verifier()).identify(OURS.token(said))
    assert with_implied(identity.scopes) == frozenset()


@pytest.mark.parametrize(
    "groups", ["staff,research", "research staff", ["staff,research"], [["research"]], {"research": 1}]
)
async def test_a_group_is_a_whole_string_of_the_claim(groups: object) -> None:
    identity = await (await verifier()).identify(OURS.token(claims(groups=groups)))
    assert "research" not in identity.groups


async def test_a_token_without_a_key_id_is_taken_where_there_is_one_key_only() -> None:
    assert (await (await verifier(OURS)).identify(OURS.token(claims(), kid=None))).subject == "anna"
    assert (
        await refusal(OURS.token(claims(), kid=None), await verifier(OURS, pair(kid="two", number=1)))
        == NOT_THE_ISSUERS
    )


async def test_issuers_that_do_not_follow_the_standard_can_be_told_so() -> None:
    """Entra: typ JWT, the client's id as audience, `scp`. Okta: a list of scopes."""
    tokens = await verifier(
        audiences=["api://1234", RESOURCE], typ="JWT", scope_claim="scp", team_claim="https://example.com/team"
    )
    said = {"aud": "api://1234", "scope": None, "https://example.com/team": "research"}
    for scp in ("storage:read other", ["storage:read", "other"]):
        identity = await tokens.identify(OURS.token(claims(scp=scp, **said), typ="JWT"))
        assert (identity.scopes, identity.team) == (frozenset({"storage:read", "other"}), "research")
    assert await refusal(OURS.token(claims(**said)), tokens) == "the token is not of type jwt"


async def test_a_team_claim_that_is_no_name_names_none() -> None:
    tokens = await verifier(team_claim="team")
    for team in ("", ["a"], 7, None):
        assert (await tokens.identify(OURS.token(claims(team=team, jti=str(team))))).team is None


async def test_a_token_that_was_checked_is_not_checked_again_until_it_expires() -> None:
    now = [time.time()]
    tokens = await verifier(clock=lambda: now[0])
    token = OURS.token(claims(exp=int(now[0]) + 100))
    first = await tokens.identify(token)
    assert await tokens.identify(token) is first
    now[0] += 101
    assert await refusal(token, tokens) == "the token has expired"


async def test_when_the_keys_change_what_the_old_ones_signed_is_checked_again() -> None:
    web, now = Web(), [0.0]
    web.publish(OURS)
    issuer = Issuer(ISSUER, web.fetch, lambda: now[0])
    await issuer.discover()
    tokens = JwtTokens(issuer, audiences=[RESOURCE])
    stolen = OURS.token(claims())
    assert (await tokens.identify(stolen)).subject == "anna"
    new = pair(kid="two", number=1)
    web.publish(new)
    now[0] += 10
    assert (await tokens.identify(new.token(claims()))).subject == "anna"
    assert await refusal(stolen, tokens) == NOT_THE_ISSUERS


async def test_as_long_as_no_key_has_come_nobody_can_be_told_apart() -> None:
    issuer = Issuer(ISSUER, Web().fetch)
    with pytest.raises(NotReady):
        await JwtTokens(issuer, audiences=[RESOURCE]).identify(OURS.token(claims()))


async def test_an_issuer_that_publishes_what_it_should_not_is_not_believed() -> None:
    """A secret key, a private one, a short one, one for another use: tokens of none of these count."""
    web = Web()
    web.publish(OURS)
    short = SigningPair("short", "RS256", rsa_key(bits=1024))
    private = json.loads(__import__("jwt").algorithms.RSAAlgorithm.to_jwk(rsa_key(1)))
    encrypting = pair(kid="enc", number=1).jwk
    web.documents[KEYS_AT] = {
        "keys": [
            OURS.jwk,
            {"kty": "oct", "k": encoded(b"secret" * 8), "kid": "oct", "alg": "HS256"},
            {**private, "kid": "private", "key_ops": ["verify"]},
            short.jwk,
            {**encrypting, "use": "enc"},
            {**encrypting, "kid": "ops", "key_ops": ["encrypt"]},
            {**encrypting, "kid": "alg", "alg": "RSA-OAEP"},
            "no key",
            {},
            {"kty": "RSA", "kid": "broken", "n": "!", "e": "AQAB"},
        ]
    }
    issuer = Issuer(ISSUER, web.fetch)
    await issuer.discover()
    tokens = JwtTokens(issuer, audiences=[RESOURCE])
    assert (await tokens.identify(OURS.token(claims()))).subject == "anna"
    assert await refusal(_hs256(b"secret" * 8, kid="oct"), tokens) == WAY
    assert await refusal(short.token(claims()), tokens) == NOT_THE_ISSUERS
    for kid in ("private", "enc", "ops", "alg", "broken"):
        assert await refusal(pair(kid=kid, number=1).token(claims()), tokens) == NOT_THE_ISSUERS
