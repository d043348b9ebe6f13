"""What a failure is in HTTP: the one place that turns one into a status, and into problem details (RFC 9457)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from math import ceil
from typing import Literal

from starlette.responses import Response

from paperspace_storage_tools import errors
from paperspace_storage_tools.errors import Failure

Changed = Literal["nothing", "unknown", "partly"]
_TYPE = "urn:paperspace-storage-mcp:"

_STATUSES: dict[type[Failure], int] = {
    errors.InvalidArguments: 400,
    errors.UnknownProfile: 400,
    errors.CannotBeRecorded: 400,
    errors.ProfilePinned: 403,
    errors.Protected: 403,
    errors.NotConnected: 403,
    errors.ProtectionUnknown: 403,
    errors.CannotBeShown: 409,
    errors.NotConfirmed: 428,
    errors.OverAllowance: 429,
    errors.RateLimited: 429,
    errors.FailedInside: 500,
    errors.Unsupported: 501,
    errors.NoKey: 502,
    errors.Malformed: 502,
    errors.ServerTrouble: 502,
    errors.Unreachable: 502,
    errors.OutcomeUnknown: 502,
    errors.EventFailed: 502,
    errors.AuditUnwritable: 503,
    errors.StoreUnavailable: 503,
    errors.ConnectedKeyUnavailable: 503,
    errors.TimedOut: 504,
    errors.Cancelled: 504,  # nobody is left to read it
}
_REFUSED = {400: 400, 404: 404, 408: 504, 409: 409, 412: 409, 413: 413, 422: 422}
"""By the API's own status. Any other is 502: a key that it refuses (401, 403) is ours, not the caller's."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One failure as HTTP says it."""

    status: int
    type: str
    detail: str
    changed: Changed | None = None
    headers: Mapping[str, str] | None = None

    def response(self) -> Response:
        body: dict[str, object] = {
            "type": _TYPE + self.type,
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
        }
        if self.changed is not None:
            body["changed"] = self.changed
        headers = {"Cache-Control": "no-store", **(self.headers or {})}
        return Response(json.dumps(body, ensure_ascii=False), self.status, headers, "application/problem+json")


def problem_of(failure: Failure, text: str, *, write: bool) -> Problem:
    """The problem that a call's failure is. `text` is the failure's text, cleaned and masked; no field of it is used
    that was not made here."""
    headers: dict[str, str] = {}
    wait = failure.retry_after if isinstance(failure, errors.RateLimited) else None
    if isinstance(failure, errors.OverAllowance):
        wait = failure.wait
    if wait is not None:
        headers["Retry-After"] = str(max(1, ceil(wait)))
    if isinstance(failure, errors.NotConfirmed):
        text += " Over REST: in the header Confirm-Name, percent-encoded."
    kind = type(failure.cause if isinstance(failure, errors.SafetySnapshotKept) else failure)
    return Problem(status_of(failure), _hyphened(kind.__name__), text, changed_by(failure) if write else None, headers)


def status_of(failure: Failure) -> int:
    if isinstance(failure, errors.SafetySnapshotKept):
        return status_of(failure.cause)
    if isinstance(failure, errors.Refused):
        return _REFUSED.get(failure.status, 502)
    return _STATUSES[type(failure)]


def changed_by(failure: Failure) -> Changed:
    """What a write that failed has changed."""
    if isinstance(failure, errors.SafetySnapshotKept):
        return "partly"
    if failure.changed != "said":
        return failure.changed
    return "nothing" if isinstance(failure, errors.InvalidArguments) else "unknown"


def _hyphened(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", name).lower()
