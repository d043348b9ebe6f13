"""Signing in on the page: this server as a client of the issuer (OpenID Connect, authorization code with PKCE).

What a sign-in needs until it comes back travels in a sealed cookie, so that whoever only begins one costs no memory
anywhere. It comes back to the browser that began it, or not at all: state and nonce are in that cookie.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode

from pydantic import SecretStr

from paperspace_storage_server.hosted.id_tokens import BadIdToken, IdTokens
from paperspace_storage_server.hosted.identity import Identity, NotReady
from paperspace_storage_server.hosted.issuer import Issuer, WrongIssuer, is_safe
from paperspace_storage_server.http.fetch import NotFetched, Post
from paperspace_storage_server.state.seal import NotSealedHere, Sealer, SealExpired
from paperspace_storage_server.state.store import Store, key_of
from paperspace_storage_tools.text import clean

logger = logging.getLogger(__name__)

LASTS: Final = 600.0
"""Seconds that signing in may take."""
_PURPOSE: Final = "connect sign-in"
_LONGEST_CODE: Final = 4096  # characters


class NotSignedIn(Exception):
    """Nobody has signed in; `why` is for the person and repeats nothing that a stranger may have put in a link."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who it was, what they know themselves by, and what a link that they came by carries."""

    identity: Identity
    shown: str
    carried: str | None


@dataclass(frozen=True, slots=True)
class Client:
    """What this server is at the issuer. Without a secret it is a public client."""

    id: str
    secret: SecretStr | None
    redirect_uri: str


class SigningIn:
    """Begins sign-ins, and finishes those that come back."""

    def __init__(
        self, issuer: Issuer, client: Client, tokens: IdTokens, *, post: Post, sealer: Sealer, store: Store
    ) -> None:
        self._issuer = issuer
        self._client = client
        self._tokens = tokens
        self._post = post
        self._sealer = sealer
        self._store = store

    def begin(self, carried: str | None) -> tuple[str, str]:
        """Where to send the browser, and the cookie that has to come back with it.

        Raises:
            NotReady: the issuer has not been found yet.
        """
        if not self._issuer.ready:
            raise NotReady("the issuer has not been reached yet")
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        asked = {
            "response_type": "code",
            "client_id": self._client.id,
            "redirect_uri": self._client.redirect_uri,
            "scope": " ".join(self._scopes()),
            "state": state,
            "nonce": nonce,
            "code_challenge": _encoded(hashlib.sha256(verifier.encode()).digest()),
            "code_challenge_method": "S256",
        }
        kept = {"state": state, "nonce": nonce, "verifier": verifier, "carried": carried}
        where = str(self._issuer.metadata["authorization_endpoint"])
        url = f"{where}{'&' if '?' in where else '?'}{urlencode(asked)}"
        return url, self._sealer.seal(_PURPOSE, (self._issuer.url,), {**kept}, LASTS)

    async def finish(self, cookie: str, given: Mapping[str, str]) -> SignedIn:
        """Who came back with the browser that began it.

        Raises:
            NotSignedIn: nobody, or in another browser, too late, or twice.
            NotReady: the issuer cannot be asked.
            StoreUnavailable: nobody can say whether it came back before.
        """
        try:
            opened = self._sealer.open(cookie, _PURPOSE, (self._issuer.url,))
        except (NotSealedHere, SealExpired):
            raise NotSignedIn("It took too long, or it was begun in another browser.") from None
        kept = opened.content
        if not hmac.compare_digest(given.get("state", "").encode(), str(kept["state"]).encode()):
            raise NotSignedIn("It was begun in another browser or in another tab.")
        self._look_at_issuer(given.get("iss"))
        code = given.get("code", "")
        if "error" in given or not code or len(code) > _LONGEST_CODE:
            raise NotSignedIn("The sign-in page did not let you in.")
        if not await self._store.add(key_of("used", opened.id), "1", opened.left):
            raise NotSignedIn("It has come back before.")
        token = await self._exchange(code, str(kept["verifier"]))
        try:
            identity, claims = await self._tokens.check(token, str(kept["nonce"]))
        except BadIdToken as error:
            logger.warning("An ID token of the issuer was refused: %s", error)
            raise NotSignedIn("The sign-in page's answer cannot be trusted.") from None
        carried = kept["carried"]
        return SignedIn(identity, _shown(claims), None if carried is None else str(carried))

    def check_issuer(self) -> None:
        """Whether anybody can sign in there. Raises: WrongIssuer."""
        for name in ("authorization_endpoint", "token_endpoint"):
            if not is_safe(self._issuer.metadata.get(name)):
                raise WrongIssuer(f"its metadata has no `{name}` with https, which PAPERSPACE_MCP_CONNECT needs")

    def _scopes(self) -> list[str]:
        supported = self._issuer.metadata.get("scopes_supported")
        return ["openid", *(["email"] if isinstance(supported, list) and "email" in supported else [])]

    def _look_at_issuer(self, said: str | None) -> None:
        """RFC 9207: an answer of another issuer must not be taken for this one's."""
        must = self._issuer.metadata.get("authorization_response_iss_parameter_supported") is True
        if said != self._issuer.url and (must or said is not None):
            raise NotSignedIn("The answer comes from another sign-in page.")

    async def _exchange(self, code: str, verifier: str) -> str:
        """The ID token for the code (RFC 6749, 4.1.3)."""
        fields = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._client.redirect_uri,
            "code_verifier": verifier,
        }
        headers: dict[str, str] = {}
        secret = self._client.secret
        ways = self._issuer.metadata.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        if secret is not None and isinstance(ways, list) and "client_secret_basic" in ways:
            pair = f"{quote(self._client.id, safe='')}:{quote(secret.get_secret_value(), safe='')}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode('ascii')}"
        else:
            fields["client_id"] = self._client.id
            if secret is not None:
                fields["client_secret"] = secret.get_secret_value()
        try:
            answer = await self._post(str(self._issuer.metadata["token_endpoint"]), fields, headers)
        except NotFetched as error:
            logger.warning("The issuer gave no tokens for a code: %s", error)
            raise NotSignedIn("The sign-in page's answer could not be checked.") from None
        token: object = answer.get("id_token")
        if not isinstance(token, str):
            logger.warning("The issuer answered a code without an ID token")
            raise NotSignedIn("The sign-in page's answer does not say who you are.")
        return token


def _shown(claims: Mapping[str, Any]) -> str:
    """What a person knows themselves by, cleaned and short."""
    for name in ("email", "preferred_username", "name", "sub"):
        found: object = claims.get(name)
        if isinstance(found, str) and (text := clean(found).strip()):
            return text if len(text) <= 100 else f"{text[:99]}\u2026"
    return "somebody"


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode("ascii").rstrip("=")
