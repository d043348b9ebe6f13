"""What a dialect is made of: operations, each a method, a path and what it answers; knows no HTTP library."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, NamedTuple

from .refusals import Refusal
from .rules import TeamRules


@dataclass(frozen=True, slots=True)
class Call:
    """One authenticated request: whose, which id the path names, its query, its body as parsed JSON."""

    team: TeamRules
    id: str
    query: Mapping[str, str]
    body: object = None


class Answer(NamedTuple):
    """A status and a JSON value; without a body where that is None."""

    status: int
    body: Mapping[str, object] | list[Mapping[str, object]] | None


class Operation(NamedTuple):
    """One operation of the API."""

    method: Literal["GET", "POST", "PUT", "DELETE"]
    path: str
    run: Callable[[Call], Answer]
    takes_body: bool = False


def instant(milliseconds: int) -> str:
    """A time as both descriptions write it: ISO 8601, milliseconds, Z."""
    moment = datetime.fromtimestamp(milliseconds // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{milliseconds % 1000:03d}Z"


def error_body(refusal: Refusal) -> dict[str, object]:
    """The schema Error of live.openapi.yaml; the published description has none, so it serves there too."""
    body: dict[str, object] = {"code": refusal.code, "message": refusal.message}
    if refusal.issues:
        body["issues"] = [
            {"message": f"{issue.path} {issue.message}".strip(), "path": issue.path.split(".") if issue.path else []}
            for issue in refusal.issues
        ]
    return body
