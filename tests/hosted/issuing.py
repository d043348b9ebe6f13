"""An issuer of the tests' own: keys, documents, tokens good and forged. Nothing here checks anything."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import get_default_algorithms

from paperspace_storage_server.http.fetch import NotFetched

ISSUER = "https://login.example.com/realm"
RESOURCE = "https://mcp.example.com/mcp"
METADATA_AT = "https://login.example.com/.well-known/oauth-authorization-server/realm"
KEYS_AT = "https://login.example.com/realm/keys"


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


@dataclass(frozen=True)
class SigningPair:
    """A key pair of an issuer, or of somebody else."""

    kid: str | None
    algorithm: str
    private: Any

    @property
    def jwk(self) -> dict[str, Any]:
        """What an issuer publishes of it."""
        jwk: dict[str, Any] = json.loads(get_default_algorithms()[self.algorithm].to_jwk(self.private.public_key()))
        jwk.pop("key_ops", None)
        return {**jwk, "use": "sig", "alg": self.algorithm, **({} if self.kid is None else {"kid": self.kid})}

    def token(self, claims: Mapping[str, Any] | str | bytes, **header: Any) -> str:
        """Signed with this key, whatever header and claims say; a header of None is left out."""
        head = {"alg": self.algorithm, "typ": "at+jwt", "kid": self.kid, **header}
        return signed({name: value for name, value in head.items() if value is not None}, claims, self)


@cache
def rsa_key(number: int = 0, bits: int = 2048) -> Any:
    """Made once each: they take a tenth of a second."""
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def pair(algorithm: str = "RS256", kid: str | None = "one", number: int = 0) -> SigningPair:
    if algorithm.startswith("ES"):
        curve = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}[algorithm]
        return SigningPair(kid, algorithm, ec.generate_private_key(curve))
    if algorithm == "EdDSA":
        return SigningPair(kid, algorithm, ed25519.Ed25519PrivateKey.generate())
    return SigningPair(kid, algorithm, rsa_key(number))


def signed(header: Mapping[str, Any] | str, claims: Mapping[str, Any] | str | bytes, by: SigningPair) -> str:
    head = header if isinstance(header, str) else json.dumps(header)
    body = claims if isinstance(claims, bytes) else (claims if isinstance(claims, str) else json.dumps(claims)).encode()
    content = f"{encoded(head.encode())}.{encoded(body)}"
    signature = get_default_algorithms()[by.algorithm].sign(content.encode(), by.private)
    return f"{content}.{encoded(signature)}"


def claims(**changes: Any) -> dict[str, Any]:
    """What a good token says, with these changes; a claim of None is left out."""
    now = int(time.time())
    good = {
        "iss": ISSUER,
        "aud": RESOURCE,
        "sub": "anna",
        "client_id": "client-1",
        "iat": now,
        "exp": now + 300,
        "jti": "token-1",
        "scope": "openid storage:read storage:write",
    }
    return {name: value for name, value in {**good, **changes}.items() if value is not None}


@dataclass
class Web:
    """What `fetch_json` would find: documents by URL, or what goes wrong there. Counts what is asked."""

    documents: dict[str, dict[str, object] | NotFetched] = field(
        default_factory=dict[str, "dict[str, object] | NotFetched"]
    )
    asked: list[str] = field(default_factory=list[str])
    slow: asyncio.Event | None = None

    async def fetch(self, url: str) -> dict[str, object] | None:
        self.asked.append(url)
        if self.slow is not None:
            await self.slow.wait()
        found = self.documents.get(url)
        if isinstance(found, NotFetched):
            raise found
        return found

    def publish(self, *pairs: SigningPair, **metadata: object) -> None:
        self.documents[METADATA_AT] = {"issuer": ISSUER, "jwks_uri": KEYS_AT, **metadata}
        self.documents[KEYS_AT] = {"keys": [one.jwk for one in pairs]}
