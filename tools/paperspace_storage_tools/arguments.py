"""The words arguments are made of: identifiers, names, cursors, sizes. Knows no tool and no API.

Every argument is validated by pydantic before a tool runs. The schema a model reads is written by
`schema.py` from these same types, so what is promised and what is checked are one thing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Literal, cast
from urllib.parse import unquote

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeInt,
    SecretStr,
    model_validator,
)
from pydantic.alias_generators import to_camel

from paperspace_storage_tools.cursors import LONGEST_CURSOR, read
from paperspace_storage_tools.text import has_forbidden

_DOTS = frozenset({".", ".."})
_DECODINGS = 4  # %25252e and deeper: nobody's id
LARGEST_PAGE = 120
"""Items that one request may ask for (live.openapi.yaml, parameter Limit)."""


def check_identifier(value: str) -> str:
    """An id is one path segment: no separators, no dot segments (encoded ones included), nothing invisible.

    Raises:
        ValueError: with a sentence that does not repeat the value.
    """
    if has_forbidden(value) or value != value.strip():
        raise ValueError("an id without spaces around it, control or invisible characters")
    decoded = value
    for _ in range(_DECODINGS):
        if "/" in decoded or "\\" in decoded or decoded in _DOTS:
            raise ValueError("an id as a list tool gives it: one path segment, no slashes, not . or ..")
        decoded, previous = unquote(decoded), decoded
        if decoded == previous:
            return value
    raise ValueError("an id as a list tool gives it, not percent-encoded")


def check_name(value: str) -> str:
    """A name that a person sees as it is: no control, bidirectional, zero-width or tag characters."""
    if has_forbidden(value):
        raise ValueError("text without control, direction-changing or invisible characters")
    if not value.strip():
        raise ValueError("text that is not blank")
    return value


def check_note(value: str) -> str:
    """A note: as a name, but lines and tabs are allowed."""
    if has_forbidden(re.sub(r"[\n\t]", " ", value)):
        raise ValueError("text without control, direction-changing or invisible characters")
    return value


def check_endpoint(value: str) -> str:
    """An S3 endpoint, http or https, that carries no credentials in its URL."""
    if has_forbidden(value) or not re.fullmatch(r"https?://[^\s/?#@]+(?:/[^\s@]*)?", value):
        raise ValueError("a URL such as https://s3.example.com, without credentials in it")
    return value


def check_cursor(value: str) -> str:
    """A cursor as a list handed it out."""
    read(check_name(value))
    return value


def _no_bool(value: object) -> object:
    """pydantic reads True as 1; a model that sends a boolean for a number has confused two arguments."""
    if isinstance(value, bool):
        raise ValueError("a whole number, not a boolean")
    return value


def _said_plainly(value: object) -> object:
    """pydantic reads "off", "n" and 0 as false: too loose for what declines a safety snapshot."""
    if isinstance(value, bool) or value in ("true", "false"):
        return value
    raise ValueError("true or false")


Identifier = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(check_identifier)]
Name = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(check_name)]
Note = Annotated[str, Field(max_length=2000), AfterValidator(check_note)]
Word = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(check_name)]
Cursor = Annotated[
    str, Field(min_length=1, max_length=LONGEST_CURSOR), AfterValidator(check_cursor), Field(description="a nextPage")
]
Endpoint = Annotated[str, Field(max_length=500), AfterValidator(check_endpoint)]
Gigabytes = Annotated[int, Field(ge=1, le=1_000_000), BeforeValidator(_no_bool)]
NameFilter = Annotated[Word, Field(description="exact or glob")]
RegionFilter = Annotated[Word, Field(description="exact or glob")]
Limit = Annotated[int, Field(ge=1, le=LARGEST_PAGE), BeforeValidator(_no_bool)]
Seconds = Annotated[NonNegativeInt, BeforeValidator(_no_bool), Field(description="default 0, useful 30, most 45")]
Confirm = Annotated[str, Field(max_length=300, description="exact name that the person or their rule gives")]
Profile = Annotated[Word, Field(description="keys that the operator keeps")]
Flag = Annotated[bool, BeforeValidator(_said_plainly)]
Secret = Annotated[SecretStr, Field(min_length=1, max_length=4000)]
Order = Literal["asc", "desc"]
OrderBy = Literal["dtCreated", "name"]


class Arguments(BaseModel):
    """Base of every tool's arguments: camelCase or snake_case, never an unknown one."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        defer_build=True,
    )

    @model_validator(mode="before")
    @classmethod
    def _only_what_is_given(cls, given: object) -> object:
        """Without the optional arguments that are null or "": strict schemas of several frameworks make models send
        one of them for what they mean to leave out."""
        if not isinstance(given, Mapping):
            return given
        named = cast("Mapping[str, object]", given)
        if not any(map(is_absent, named.values())):
            return named
        optional = {name for field, one in cls.model_fields.items() if not one.is_required() for name in _both(field)}
        return {name: value for name, value in named.items() if name not in optional or not is_absent(value)}


def is_absent(value: object) -> bool:
    """Whether an optional argument with this value counts as not given."""
    return value is None or value == ""


def _both(field: str) -> tuple[str, str]:
    return field, to_camel(field)


class ById(Arguments):
    id: Identifier


class Paging(Arguments):
    after: Cursor | None = None
    limit: Limit | None = None
