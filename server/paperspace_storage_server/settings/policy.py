"""What one team may have done, where a server has many: parsed here, applied elsewhere."""

from __future__ import annotations

import tomllib
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, ValidationError

from paperspace_storage_server.settings.fields import Comma, LimitOf, Words
from paperspace_storage_tools.tool import Toolset


class Policy(BaseModel):
    """A table `{ read-only, toolsets, protect, max-destructive, confirm }`. What it leaves out is None: of it and the
    process's own setting the stricter counts."""

    model_config = ConfigDict(
        alias_generator=lambda name: name.replace("_", "-"),
        defer_build=True,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        populate_by_name=True,
    )

    read_only: bool | None = None
    toolsets: Annotated[list[Toolset], Comma, Field(min_length=1)] | None = None
    protect: Words | None = None
    max_destructive: LimitOf = None
    confirm: Literal["auto", "never", "person"] | None = None


def _policy(value: object) -> Policy:
    """A table, or in the environment what TOML writes for one in one line."""
    if isinstance(value, Policy):
        return value
    try:
        table: object = tomllib.loads(f"policy = {value}")["policy"] if isinstance(value, str) else value
        return Policy.model_validate(table)
    except (tomllib.TOMLDecodeError, RecursionError):
        raise ValueError("a table such as { read-only = false, max-destructive = '5/hour' }") from None
    except ValidationError as error:
        keys = ", ".join(name.replace("_", "-") for name in Policy.model_fields)
        wrong = ", ".join(sorted({str(one["loc"][0]) for one in error.errors() if one["loc"]}))
        raise ValueError(f"a table of {keys}{f'; wrong in it: {wrong}' if wrong else ''}") from None


InlinePolicy = Annotated[Policy, PlainValidator(_policy)]
"""Its model is built only where there is one: no start over stdio waits for it."""
