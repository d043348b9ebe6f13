"""ID tokens (OpenID Connect Core 1.0, 3.1.3.7): who has just signed in at the issuer, for this client and this time.

Not to be taken for an access token, nor the other way round: audience, type and nonce keep them apart.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable
from typing import Any, cast

from jwt.exceptions import InvalidSignatureError, PyJWTError

from paperspace_storage_server.hosted.identity import BadToken, Identity
from paperspace_storage_server.hosted.issuer import ALGORITHMS, Issuer
from paperspace_storage_server.hosted.jwt_tokens import LARGEST, check_signed, is_time, parts_of, person_in

_OLDEST = 600.0  # seconds since it was made: it is fetched right after signing in
_LONGEST_KID = 256


class BadIdToken(Exception):
    """It does not say who signed in; the reason is for the log."""


class IdTokens:
    """Checks those of one issuer for one client."""

    def __init__(
        self,
        issuer: Issuer,
        client_id: str,
        team_claim: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._issuer = issuer
        self._client_id = client_id
        self._team_claim = team_claim
        self._clock = clock

    async def check(self, token: str, nonce: str) -> tuple[Identity, dict[str, Any]]:
        """Who signed in, and what else is said of them.

        Raises:
            BadIdToken.
            NotReady: the issuer's keys have not come yet.
        """
        if len(token) > LARGEST:
            raise BadIdToken("it is too long")
        try:
            header, claims = parts_of(token)
        except BadToken:
            raise BadIdToken("it is malformed") from None
        algorithm, kid, typ = header.get("alg"), header.get("kid"), header.get("typ", "JWT")
        if algorithm not in ALGORITHMS or "crit" in header:
            raise BadIdToken("it is not signed in a way that counts here")
        if not isinstance(typ, str) or typ.lower() != "jwt":
            raise BadIdToken("it is of another type")
        times = claims.get("exp"), claims.get("iat")
        if not isinstance(kid, str | None) or len(kid or "") > _LONGEST_KID or not all(map(is_time, times)):
            raise BadIdToken("it is malformed")
        await self._verify(token, str(algorithm), kid)
        self._look_at(claims, nonce)
        subject, expires = claims["sub"], float(claims["exp"])
        return person_in(claims, self._issuer.url, subject, expires, frozenset(), self._team_claim), claims

    async def _verify(self, token: str, algorithm: str, kid: str | None) -> None:
        required = ["exp", "iat", "iss", "aud", "sub", "nonce"]
        try:
            await check_signed(self._issuer, token, algorithm, kid, [self._client_id], required)
        except InvalidSignatureError:
            raise BadIdToken("its signature is not the issuer's") from None
        except PyJWTError as error:
            raise BadIdToken(type(error).__name__) from None

    def _look_at(self, claims: dict[str, Any], nonce: str) -> None:
        """What PyJWT leaves to its caller."""
        audience: object = claims["aud"]
        several = isinstance(audience, list) and len(cast("list[object]", audience)) > 1
        if (several or "azp" in claims) and claims.get("azp") != self._client_id:
            raise BadIdToken("it was made for another client")
        said = claims["nonce"]
        if not isinstance(said, str) or not hmac.compare_digest(said.encode("utf-8", "surrogatepass"), nonce.encode()):
            raise BadIdToken("it answers another sign-in")
        now = self._clock()
        if claims["exp"] <= now or claims["iat"] < now - _OLDEST:
            raise BadIdToken("it is too old")
        if not isinstance(claims["sub"], str) or not claims["sub"]:
            raise BadIdToken("it names nobody")
