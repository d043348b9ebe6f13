"""The settings, each once: its name, its type and with it its choices, its default, its meaning."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, PrivateAttr, SecretStr, field_validator

from paperspace_storage_server.settings.fields import (
    Comma,
    Limit,
    LimitOf,
    PathOf,
    Shown,
    SomeWords,
    Words,
    safe_url,
)
from paperspace_storage_server.settings.pspace import is_key
from paperspace_storage_server.settings.serving import ServingSettings
from paperspace_storage_server.wire.messages import DialectSetting
from paperspace_storage_tools.catalogue import CATALOGUE
from paperspace_storage_tools.tool import Toolset

DEFAULT_API_URL = "https://api.paperspace.com/v1"


class Settings(ServingSettings):
    """The settings of one server. A field's name is its flag's, its variable's and the settings file's."""

    model_config = ConfigDict(defer_build=False)

    api_key: Annotated[SecretStr | None, Shown("api", default="what `pspace login` saved")] = Field(
        default=None, description="the team's API key"
    )
    team: Annotated[str | None, Shown("api", "NAME", "`pspace`'s own")] = Field(
        default=None, min_length=1, description="which of the teams that `pspace` saved keys for"
    )
    api_url: Annotated[str, Shown("api", "URL")] = Field(
        default=DEFAULT_API_URL, description="the API's base; plain http to a loopback address only"
    )
    dialect: Annotated[DialectSetting, Shown("api")] = Field(
        default="auto", description="which of its two forms the API speaks"
    )
    sandbox: Annotated[bool, Shown("api")] = Field(
        default=False, description="the embedded sandbox: no key, no network; forgotten at the end"
    )
    call_timeout: Annotated[float, Shown("api", "SECONDS")] = Field(
        default=50.0,
        gt=0,
        le=3600,
        allow_inf_nan=False,
        description="seconds that one tool call may take, repeats and waiting included",
    )
    max_attempts: Annotated[int, Shown("api", "N")] = Field(
        default=4, ge=1, le=20, description="tries of one API request, the first included"
    )

    read_only: Annotated[bool, Shown("selection")] = Field(
        default=False, description="only the reading tools exist; wins over everything else"
    )
    toolsets: Annotated[list[Toolset], Comma, Field(min_length=1), Shown("selection", "NAMES", "all")] = Field(
        default_factory=list[Toolset], description="comma list of the toolsets that exist"
    )
    tools: Annotated[SomeWords, Shown("selection", "NAMES", "all")] = Field(
        default_factory=list[str], description="comma list of tools to keep"
    )
    exclude_tools: Annotated[Words, Shown("selection", "NAMES")] = Field(
        default_factory=list[str], description="comma list of tools to drop"
    )
    secret_arguments: Annotated[Literal["allow", "deny"], Shown("selection")] = Field(
        default="allow",
        description="whether `accessKey` and `secretKey` exist; else credentials come from a profile alone",
    )

    confirm: Annotated[Literal["auto", "never", "person"], Shown("guard")] = Field(
        default="auto",
        description="how what destroys, shrinks or redirects is confirmed; `person`: refused where nobody can be asked",
    )
    protect: Annotated[Words, Shown("guard", "GLOBS")] = Field(
        default_factory=list[str],
        description="comma list of globs over names and ids (`prod-*,sd1234`) that no tool may delete, restore over, "
        "shrink, rename or replace",
    )
    max_destructive: Annotated[LimitOf, Shown("guard", "LIMIT")] = Field(
        default=Limit(50, 3600),
        description="how many deletions and restores all callers together may make: a number per minute, hour or day, "
        "`0`, or `unlimited`",
    )
    aws_profiles: Annotated[Words, Shown("guard", "NAMES")] = Field(
        default_factory=list[str],
        description="profiles of `~/.aws/credentials` that tools may name as `credentialProfile`; `*` for all",
    )
    audit_file: Annotated[PathOf | Literal["stderr"] | None, Shown("guard", "FILE")] = Field(
        default=None,
        description="one JSON line per write, secrets masked; no line, no write: a file, a pipe, or `stderr`",
    )

    log_level: Annotated[Literal["debug", "info", "warning", "error", "critical"], Shown("logs")] = Field(
        default="warning", description="what is logged, on stderr"
    )

    _origins: dict[str, str] = PrivateAttr(default_factory=dict[str, str])

    def origin(self, field: str) -> str | None:
        """Where the setting comes from: a variable, a flag, a file; None where it is the default."""
        return self._origins.get(field)

    def from_where(self, origins: Mapping[str, str]) -> Self:
        """The same settings, which know where these of them come from."""
        copy = self.model_copy()
        copy._origins = {**self._origins, **origins}
        return copy

    @field_validator("api_key")
    @classmethod
    def _fits_a_header(cls, value: SecretStr | None) -> SecretStr | None:
        key = value.get_secret_value().strip() if value else ""  # a line break is pasted along easily
        if not key:
            return None
        if not is_key(key):
            raise ValueError("a key as Paperspace shows it: visible ASCII characters, no spaces")
        return SecretStr(key)

    @field_validator("log_level", mode="before")
    @classmethod
    def _any_case(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @field_validator("api_url")
    @classmethod
    def _base(cls, value: str) -> str:
        safe_url(value, DEFAULT_API_URL)
        return value.rstrip("/")

    @field_validator("tools", "exclude_tools")
    @classmethod
    def _known_tools(cls, value: list[str]) -> list[str]:
        names = [tool.name for tool in CATALOGUE]
        for name in value:
            if name not in names:
                near = difflib.get_close_matches(name, names, 1)
                raise ValueError(f"names of tools{f', such as {near[0]}' if near else ''}; `tools` lists them")
        return value
