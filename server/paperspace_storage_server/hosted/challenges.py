"""How a caller is turned away, so that a client can do something about it: RFC 6750, RFC 9728, RFC 9457."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from starlette.responses import Response

from paperspace_storage_server.calls.principal import SCOPES, Scope

_METADATA = "/.well-known/oauth-protected-resource"
_TITLES = {
    400: "Bad request",
    401: "Not authenticated",
    403: "Not allowed",
    408: "Request too slow",
    413: "Request too large",
    429: "Too many calls",
    431: "Headers too large",
    503: "Not ready",
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer of ours in place of a surface's. `why` is for the caller and holds nothing of anybody else."""

    status: int
    error: str
    why: str
    headers: dict[str, str] = field(default_factory=dict[str, str])

    def response(self, *, problem: bool) -> Response:
        """As OAuth says it, or as problem details where the caller is a program of the REST surface."""
        if problem:
            body: dict[str, object] = {
                "type": f"urn:paperspace-storage-mcp:{self.error.replace('_', '-')}",
                "title": _TITLES[self.status],
                "status": self.status,
                "detail": self.why,
            }
        else:
            body = {"error": self.error, "error_description": self.why}
        return Response(
            json.dumps(body),
            self.status,
            {"Cache-Control": "no-store", **self.headers},
            "application/problem+json" if problem else "application/json",
        )


@dataclass(frozen=True, slots=True)
class Resource:
    """This server as a protected resource. `issuer` is None where there are static tokens alone."""

    url: str | None
    issuer: str | None

    @property
    def metadata_url(self) -> str | None:
        if self.url is None or self.issuer is None:
            return None
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}{_METADATA}{parts.path.rstrip('/')}"

    @property
    def metadata_paths(self) -> frozenset[str]:
        """Where a client may ask for the metadata: the place that RFC 9728 builds, and the bare one that some try."""
        if self.metadata_url is None:
            return frozenset()
        return frozenset({urlsplit(self.metadata_url).path, _METADATA})

    def metadata(self) -> dict[str, object]:
        """The document of RFC 9728. Strings as they were set: clients compare them character by character."""
        return {
            "resource": self.url,
            "authorization_servers": [self.issuer],
            "scopes_supported": list(SCOPES),
            "bearer_methods_supported": ["header"],
            "resource_name": "Paperspace Storage",
        }

    def no_token(self) -> Refusal:
        """401 for a request without a token: no error code, says RFC 6750, for nothing was wrong with one."""
        return Refusal(401, "invalid_token", "A bearer token is needed.", self._challenge(None, None, SCOPES[:1]))

    def bad_token(self, why: str) -> Refusal:
        return Refusal(401, "invalid_token", why, self._challenge("invalid_token", why, SCOPES[:1]))

    def too_little(self, missing: Sequence[Scope]) -> Refusal:
        """403, with all that is missing in one challenge, so that a client steps up once."""
        why = f"This needs the scope {missing[-1]}."
        return Refusal(403, "insufficient_scope", why, self._challenge("insufficient_scope", why, missing))

    def _challenge(self, error: str | None, why: str | None, scopes: Sequence[Scope]) -> dict[str, str]:
        parts = [
            ("error", error),
            ("error_description", why),
            ("scope", " ".join(scopes)),
            ("resource_metadata", self.metadata_url),
        ]
        words = ", ".join(f'{name}="{_quotable(value)}"' for name, value in parts if value)
        return {"WWW-Authenticate": f"Bearer {words}"}


def no_team(why: str) -> Refusal:
    """403 without a challenge: no other token of the same person would help."""
    return Refusal(403, "access_denied", why)


def not_ready(why: str) -> Refusal:
    return Refusal(503, "temporarily_unavailable", why, {"Retry-After": "5"})


def _quotable(value: str) -> str:
    """What RFC 6750 allows in a quoted string."""
    return "".join(c if " " <= c <= "~" and c not in '"\\' else "'" for c in value)
