"""The kinds of values that settings have, and what a field says of itself beside its type."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field

Group: TypeAlias = Literal["api", "selection", "guard", "serving", "hosting", "logs"]
"""What a setting is about; a command offers the flags of whole groups."""

_SECONDS: Final = {"minute": 60, "hour": 3600, "day": 86_400}
_LIMIT: Final = re.compile(rf"(\d{{1,9}})\s*/\s*({'|'.join(_SECONDS)})")


@dataclass(frozen=True, slots=True)
class Shown:
    """How a setting is shown where its type and default do not say it."""

    group: Group
    value: str | None = None  # what stands for its value in `--help`
    default: str | None = None


@dataclass(frozen=True, slots=True)
class Limit:
    """So many in any so many seconds; a count of 0 allows none."""

    count: int
    seconds: int

    def __str__(self) -> str:
        unit = next((unit for unit, seconds in _SECONDS.items() if seconds == self.seconds), f"{self.seconds} s")
        return f"{self.count}/{unit}" if self.count else "0"


def _split(value: object) -> object:
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


def _limit(value: object) -> object:
    if value is None or isinstance(value, Limit):
        return value
    text = str(value).strip().lower()
    if text == "unlimited":
        return None
    if text == "0":
        return Limit(0, _SECONDS["hour"])
    if (found := _LIMIT.fullmatch(text)) is None:
        raise ValueError(f"a number per {', '.join(_SECONDS)}, such as 50/hour, or 0, or unlimited")
    return Limit(int(found[1]), _SECONDS[found[2]])


def _rate(value: object) -> object:
    return None if isinstance(value, str) and value.strip().lower() == "unlimited" else value


def _of_this_user(path: Path) -> Path:
    """No shell has replaced the `~` in a file or in a host's configuration."""
    try:
        return path.expanduser()
    except RuntimeError:
        raise ValueError("a path; `~` stands for no folder here") from None


Comma = BeforeValidator(_split)
Words: TypeAlias = Annotated[list[str], Comma]
SomeWords: TypeAlias = Annotated[list[str], Comma, Field(min_length=1)]
"""Where an empty list would mean "all", it is not taken for "none" in silence."""
PathOf: TypeAlias = Annotated[Path, AfterValidator(_of_this_user)]
LimitOf: TypeAlias = Annotated[Limit | None, BeforeValidator(_limit)]
"""None is unlimited."""
RateOf: TypeAlias = Annotated[Annotated[int, Field(ge=1)] | None, BeforeValidator(_rate)]
"""None is unlimited."""


def safe_url(value: str, example: str) -> SplitResult:
    """The parts of an https URL, or of a plain http one to a loopback address.

    Raises:
        ValueError: saying what was expected.
    """
    from paperspace_storage_server.http.loopback import is_loopback

    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        raise ValueError(f"a URL such as {example}") from None
    odd = value != value.strip() or not value.isascii() or not value.isprintable() or " " in value
    if odd or parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError(f"a URL such as {example}")
    if parts.username is not None or parts.password is not None:
        raise ValueError("a URL without credentials in it")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ValueError("https: plain http is for loopback addresses only")
    return parts
