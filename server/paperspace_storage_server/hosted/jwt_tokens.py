"""Tokens of the issuer: JWTs made for this server (RFC 9068, RFC 8707), checked without asking anybody.

PyJWT checks signature and time; what it leaves to its caller is checked here: the type, one algorithm list, no
member twice, exact issuer, and nothing of the header but `alg`, `kid` and `typ` believed.
"""

from __future__ import annotations

import json
import time
from binascii import Error as NotBase64
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from hashlib import sha256
from typing import Any, cast

import jwt
from jwt.exceptions import (
    ExpiredSignatureError,
    ImmatureSignatureError,
    InvalidAudienceError,
    InvalidIssuerError,
    PyJWTError,
)
from jwt.utils import base64url_decode

from paperspace_storage_server.hosted.identity import BadToken, Identity
from paperspace_storage_server.hosted.issuer import ALGORITHMS, Issuer

LARGEST = 16_384
"""Characters of a token; what is longer is not looked at."""
_LONGEST_KID = 256
_LONGEST_SUBJECT = 255  # as OpenID Connect has it (Core, 2): each is kept for as long as somebody is counted
_LEEWAY = 5.0  # seconds that a clock may be behind the issuer's: for what begins, not for what ends
_MOST_REMEMBERED = 10_000
_NEVER = 1e12

_NOT_MADE_FOR_US = "the token was not made for this server"


class JwtTokens:
    """Checks tokens of one issuer. A token that was checked is remembered until it expires or the keys change."""

    def __init__(
        self,
        issuer: Issuer,
        *,
        audiences: Sequence[str],
        typ: str = "at+jwt",
        scope_claim: str = "scope",
        team_claim: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._issuer = issuer
        self._audiences = list(audiences)
        self._typ = typ.lower()
        self._scope_claim = scope_claim
        self._team_claim = team_claim
        self._clock = clock
        self._checked: OrderedDict[bytes, tuple[int, Identity]] = OrderedDict()

    async def identify(self, token: str) -> Identity:
        """Who it speaks for.

        Raises:
            BadToken: it is none of the issuer's for this server, or its time is over or has not come.
            NotReady: the issuer's keys have not come yet.
        """
        if len(token) > LARGEST:
            raise BadToken("the token is too long")
        place = sha256(token.encode("utf-8", "surrogatepass")).digest()
        if (known := self._checked.get(place)) is not None and known[0] == self._issuer.generation:
            if known[1].expires > self._clock():
                return known[1]
            del self._checked[place]
        identity = await self._check(token)
        self._checked[place] = (self._issuer.generation, identity)
        while len(self._checked) > _MOST_REMEMBERED:
            self._checked.popitem(last=False)
        return identity

    async def _check(self, token: str) -> Identity:
        header, claims = parts_of(token)
        algorithm, kid = self._read(header)
        try:
            await check_signed(self._issuer, token, algorithm, kid, self._audiences, ["exp", "iss", "aud", "sub"])
        except jwt.InvalidSignatureError:
            raise BadToken("the token's signature is not the issuer's") from None
        except ExpiredSignatureError:
            raise BadToken("the token has expired") from None
        except ImmatureSignatureError:
            raise BadToken("the token is not valid yet") from None
        except (InvalidAudienceError, InvalidIssuerError):
            raise BadToken(_NOT_MADE_FOR_US) from None
        except PyJWTError:
            raise BadToken("the token is malformed") from None
        return self._identity(claims)

    def _read(self, header: dict[str, Any]) -> tuple[str, str | None]:
        """Algorithm and key id, of all that a header may say."""
        algorithm, kid, typ = header.get("alg"), header.get("kid"), header.get("typ")
        if algorithm not in ALGORITHMS:
            raise BadToken("the token is not signed in a way that counts here")
        if not isinstance(typ, str) or typ.lower().removeprefix("application/") != self._typ:
            raise BadToken(f"the token is not of type {self._typ}")
        if "crit" in header or not isinstance(kid, str | None) or len(kid or "") > _LONGEST_KID:
            raise BadToken("the token is malformed")
        return str(algorithm), kid

    def _identity(self, claims: dict[str, Any]) -> Identity:
        expires, subject = claims["exp"], claims["sub"]
        if not is_time(expires) or not 0 < len(subject) <= _LONGEST_SUBJECT:
            raise BadToken("the token is malformed")
        if expires <= self._clock():
            raise BadToken("the token has expired")  # the leeway is not for this end
        scopes = _words(claims.get(self._scope_claim))
        return person_in(claims, self._issuer.url, str(subject), float(expires), scopes, self._team_claim)


async def check_signed(
    issuer: Issuer, token: str, algorithm: str, kid: str | None, audiences: Sequence[str], required: Sequence[str]
) -> None:
    """The issuer has signed it, for one of these audiences, and its time has come and is not over.

    Raises:
        PyJWTError: what of this does not hold; `InvalidSignatureError` where it is of no key of the issuer's.
        NotReady: the issuer's keys have not come yet.
    """
    for key in await issuer.keys_for(algorithm, kid):
        with suppress(
            jwt.InvalidSignatureError
        ):  # two keys under one id, which some issuers have while they change them
            jwt.decode(
                token,
                key.public,
                algorithms=[algorithm],
                audience=audiences,
                issuer=issuer.url,
                leeway=_LEEWAY,
                options={"require": list(required)},
            )
            return
    raise jwt.InvalidSignatureError


def person_in(
    claims: dict[str, Any],
    issuer: str,
    subject: str,
    expires: float,
    scopes: frozenset[str],
    team_claim: str | None,
) -> Identity:
    """Who the claims of a token that was checked speak for: what they say of e-mail, groups and team included."""
    email = claims.get("email")
    verified = [email] if isinstance(email, str) and claims.get("email_verified") is True else []
    team = claims.get(team_claim) if team_claim else None
    return Identity(
        issuer=issuer,
        subject=subject,
        scopes=scopes,
        expires=expires,
        emails=frozenset(verified),
        groups=_words(claims.get("groups"), split=False),
        team=team if isinstance(team, str) and team else None,
    )


def parts_of(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims, of which nothing is true yet. Raises `BadToken`."""
    parts = token.split(".")
    if len(parts) != 3 or not token.isascii():
        raise BadToken("the token is malformed")
    try:
        header, claims = (
            json.loads(base64url_decode(part), object_pairs_hook=_once, parse_constant=_no_number) for part in parts[:2]
        )
    except (ValueError, RecursionError, NotBase64):
        raise BadToken("the token is malformed") from None
    if not isinstance(header, dict) or not isinstance(claims, dict):
        raise BadToken("the token is malformed")
    return cast("dict[str, Any]", header), cast("dict[str, Any]", claims)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """No member twice: readers differ in which of the two they take (RFC 7519, 4)."""
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member twice")
    return members


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is no JSON")


def _words(claim: object, *, split: bool = True) -> frozenset[str]:
    """The words of a claim: one string of them (`scope`), or a list of strings (`scp`, `groups`)."""
    if isinstance(claim, str):
        # Spaces alone divide (RFC 6749, 3.3): an issuer may have let pass as one word what other blanks would divide.
        return frozenset(claim.split(" ") if split else (claim,))
    if isinstance(claim, list):
        return frozenset(one for one in cast("list[object]", claim) if isinstance(one, str))
    return frozenset()


def is_time(found: object) -> bool:
    """Seconds that some clock may show; what is far beyond overflows in the end."""
    return isinstance(found, int | float) and not isinstance(found, bool) and 0 <= found < _NEVER
