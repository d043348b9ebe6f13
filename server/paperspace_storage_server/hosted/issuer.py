"""The issuer: where it publishes its keys, and which they are at the moment. Knows no token.

With the issuer away the last keys go on. An unknown key id asks for new ones at most once in ten seconds, so that
nobody can make this server hammer the issuer with made-up ids.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWK
from jwt.exceptions import PyJWTError

from paperspace_storage_server.hosted.identity import NotReady
from paperspace_storage_server.http.fetch import Fetch, NotFetched
from paperspace_storage_server.http.loopback import is_loopback

if TYPE_CHECKING:
    from jwt.algorithms import AllowedPublicKeys

logger = logging.getLogger(__name__)

AT_MOST_EVERY = 10.0
"""Seconds between two fetches of keys, whatever is asked for."""
REFRESHED_EVERY = 300.0
"""Seconds after which a key that the issuer has withdrawn is no longer taken, if the issuer is there."""
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""What a token may be signed with. None of them can be made with what the issuer publishes."""
_MOST_KEYS = 64
_SHORTEST_RSA = 2048  # bits
_OF_KIND: dict[tuple[object, object], frozenset[str]] = {
    ("RSA", None): frozenset(one for one in ALGORITHMS if one.startswith(("RS", "PS"))),
    ("EC", "P-256"): frozenset({"ES256"}),
    ("EC", "P-384"): frozenset({"ES384"}),
    ("EC", "P-521"): frozenset({"ES512"}),
    ("OKP", "Ed25519"): frozenset({"EdDSA"}),
}


class WrongIssuer(Exception):
    """What answers there is not this issuer, and will not be: a mistake in the settings."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class Issuer:
    """One issuer, found by its metadata (RFC 8414, OpenID Connect Discovery 1.0), and its keys."""

    def __init__(self, url: str, fetch: Fetch, clock: Callable[[], float] = time.monotonic) -> None:
        self.url = url
        self.generation = 0
        """Counts the sets of keys: what was checked under an earlier one has to be checked again."""
        self.metadata: dict[str, object] = {}
        self._fetch = fetch
        self._clock = clock
        self._published: dict[str, object] | None = None
        self._keys: list[SigningKey] = []
        self._tried: float | None = None
        self._renewing: asyncio.Task[None] | None = None

    @property
    def ready(self) -> bool:
        """Whether there are keys to check tokens with."""
        return bool(self._keys)

    async def discover(self) -> None:
        """Find the issuer and its keys.

        Raises:
            NotReady: it cannot be reached, or has no usable keys; try again.
            WrongIssuer: it is another one, redirects, or publishes no metadata.
        """
        for where in metadata_urls(self.url):
            try:
                found = await self._fetch(where)
            except NotFetched as error:
                if error.redirected:
                    raise WrongIssuer(
                        f"{where} redirects; name the issuer that it leads to, if that is yours"
                    ) from None
                raise NotReady(f"the issuer's metadata cannot be read: {error}") from None
            if found is None:
                continue
            if found.get("issuer") != self.url:
                raise WrongIssuer("its metadata names another issuer; write it exactly as its `issuer` says")
            if not is_safe(found.get("jwks_uri")):
                raise WrongIssuer("its metadata has no `jwks_uri` with https")
            self.metadata = found
            await self._renew()
            if not self._keys:
                raise NotReady("the issuer's keys cannot be read")
            return
        raise WrongIssuer("it publishes no metadata (RFC 8414 or OpenID Connect)")

    async def keys_for(self, algorithm: str, kid: str | None) -> list[SigningKey]:
        """The keys that may have signed; empty where there is none, also after asking the issuer again.

        Raises:
            NotReady: no keys have come yet.
        """
        if not self.metadata:
            raise NotReady("the issuer has not been reached yet")
        now = self._clock()
        if self._tried is None or now - self._tried >= REFRESHED_EVERY:
            self._renew_soon()  # in the background: the present keys are good until the new ones are there
        keys = self._matching(algorithm, kid)
        if not keys and (self._renewing or self._tried is None or now - self._tried >= AT_MOST_EVERY):
            await asyncio.shield(self._renew_soon())
            keys = self._matching(algorithm, kid)
        if not self._keys:
            raise NotReady("the issuer's keys cannot be read")
        return keys

    async def aclose(self) -> None:
        if self._renewing is not None:
            self._renewing.cancel()

    def _matching(self, algorithm: str, kid: str | None) -> list[SigningKey]:
        keys = [key for key in self._keys if algorithm in key.algorithms and kid in (None, key.kid)]
        return keys if kid is not None or len(keys) == 1 else []  # without an id it must be plain which is meant

    def _renew_soon(self) -> asyncio.Task[None]:
        """One fetch at a time, whoever asks."""
        if self._renewing is None:
            self._renewing = asyncio.create_task(self._renew())
        return self._renewing

    async def _renew(self) -> None:
        self._tried = self._clock()
        try:
            found = await self._fetch(str(self.metadata["jwks_uri"]))
            keys = usable_keys(found or {})
            if not keys:
                raise NotFetched("there is no usable key in it")
        except NotFetched as error:
            logger.warning("The issuer's keys could not be renewed, the last ones go on: %s", error)
        else:
            if found != self._published:
                logger.info("The issuer has other keys than before: %d of them", len(keys))
                self._published, self._keys = found, keys
                self.generation += 1
        finally:
            self._renewing = None


def metadata_urls(issuer: str) -> list[str]:
    """Where the metadata of an issuer may be, in the order in which clients of MCP look."""
    parts = urlsplit(issuer)
    origin, path = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
    urls = [f"{origin}/.well-known/{name}{path}" for name in ("oauth-authorization-server", "openid-configuration")]
    return [*urls, f"{origin}{path}/.well-known/openid-configuration"] if path else urls


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A public key of the issuer, and which algorithms it may be used with: the key says it, not a token."""

    kid: str | None
    algorithms: frozenset[str]
    public: AllowedPublicKeys


def usable_keys(document: dict[str, object]) -> list[SigningKey]:
    """The public keys of a JWKS (RFC 7517) that tokens may be checked with; the rest is passed over."""
    found = document.get("keys")
    if not isinstance(found, list):
        return []
    keys = (_key_of(one) for one in cast("list[object]", found)[:_MOST_KEYS])
    return [key for key in keys if key is not None]


def _key_of(found: object) -> SigningKey | None:
    if not isinstance(found, dict):
        return None
    jwk = cast("dict[str, object]", found)
    kid, operations = jwk.get("kid"), jwk.get("key_ops", ["verify"])
    if not isinstance(kid, str | None) or not isinstance(operations, list) or "verify" not in operations:
        return None
    if jwk.get("use", "sig") != "sig" or "d" in jwk:  # a private key that is published is nobody's any more
        return None
    algorithms = _OF_KIND.get((jwk.get("kty"), jwk.get("crv")), frozenset())
    if "alg" in jwk:
        algorithms &= {str(jwk["alg"])}
    if not algorithms:
        return None
    try:
        public = PyJWK(jwk, min(algorithms)).key
    except (PyJWTError, ValueError, TypeError):
        return None
    if isinstance(public, RSAPublicKey) and public.key_size < _SHORTEST_RSA:
        return None
    return SigningKey(kid, algorithms, cast("AllowedPublicKeys", public))


def is_safe(url: object) -> bool:
    """An https URL, or a plain http one to this machine."""
    if not isinstance(url, str):
        return False
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return False
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host or "")))
