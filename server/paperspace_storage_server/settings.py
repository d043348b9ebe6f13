"""What the operator decides: flag over environment over `~/.paperspace/mcp.toml` over default.

Every mistake ends in one `SettingsError` line that names the setting and how to mend it, without its value.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, cast
from urllib.parse import urlsplit

from pydantic import AliasChoices, BeforeValidator, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from paperspace_storage_server.guard.profiles import (
    ProfileError,
    Profiles,
    profiles_from_aws,
    profiles_from_environment,
)
from paperspace_storage_tools.catalogue import CATALOGUE, TOOLSETS
from paperspace_storage_tools.tool import Toolset

ENV_PREFIX = "PAPERSPACE_MCP_"
DEFAULT_API_URL = "https://api.paperspace.com/v1"


class SettingsError(Exception):
    """A wrong setting, as one line: which, and how to mend it."""


def _split(value: object) -> object:
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


Words = Annotated[list[str], NoDecode, BeforeValidator(_split)]


class Settings(BaseSettings):
    """The settings of one server. Field names are the flags' and, with the prefix, the environment's."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        env_ignore_empty=True,
        extra="forbid",
        frozen=True,
        populate_by_name=True,
        hide_input_in_errors=True,
    )

    api_key: SecretStr | None = Field(
        default=None, validation_alias=AliasChoices("PAPERSPACE_API_KEY", "PAPERSPACE_API_TOKEN", "api_key")
    )
    api_url: str = Field(default=DEFAULT_API_URL, validation_alias=AliasChoices("PAPERSPACE_API_URL", "api_url"))
    dialect: Literal["auto", "published", "live"] = "auto"
    sandbox: bool = False
    read_only: bool = False
    toolsets: Annotated[list[Toolset], NoDecode, BeforeValidator(_split)] = Field(default_factory=list[Toolset])
    tools: Words = Field(default_factory=list[str])
    exclude_tools: Words = Field(default_factory=list[str])
    confirm: Literal["auto", "never", "person"] = "auto"
    protect: Words = Field(default_factory=list[str])
    secret_arguments: Literal["allow", "deny"] = "allow"
    aws_profiles: Words = Field(default_factory=list[str])
    call_timeout: float = Field(default=50.0, gt=0, le=3600, allow_inf_nan=False)
    max_attempts: int = Field(default=4, ge=1, le=20)
    audit_file: Path | None = None
    log_level: Literal["debug", "info", "warning", "error", "critical"] = "warning"
    transport: Literal["stdio", "streamable-http", "sse"] = "stdio"
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)

    @field_validator("api_key")
    @classmethod
    def _fits_a_header(cls, value: SecretStr | None) -> SecretStr | None:
        key = value.get_secret_value().strip() if value else ""  # a line break is pasted along easily
        if not key:
            return None
        if not _is_key(key):
            raise ValueError("a key as Paperspace shows it: visible ASCII characters, no spaces")
        return SecretStr(key)

    @field_validator("log_level", mode="before")
    @classmethod
    def _any_case(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @field_validator("api_url")
    @classmethod
    def _safe_url(cls, value: str) -> str:
        from paperspace_storage_server.http.loopback import is_loopback

        try:
            parts = urlsplit(value)
            _ = parts.port
        except ValueError:
            raise ValueError("a URL such as https://api.paperspace.com/v1") from None
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("a URL such as https://api.paperspace.com/v1")
        if parts.username is not None or parts.password is not None:
            raise ValueError("a URL without credentials in it; the key goes into PAPERSPACE_API_KEY")
        if parts.scheme == "http" and not is_loopback(parts.hostname):
            raise ValueError("https: plain http is for loopback addresses only")
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

    @field_validator("host")
    @classmethod
    def _loopback_only(cls, value: str) -> str:
        from paperspace_storage_server.http.loopback import is_loopback

        if not is_loopback(value):
            raise ValueError("a loopback address: this server has no authentication yet, so it serves no network")
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings, env_settings, _FromFile(settings_cls))


class _FromFile(PydanticBaseSettingsSource):
    """`~/.paperspace/mcp.toml`, with the flags' names, dashes or underscores."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        # Under the names that the other sources use: two names of one setting would both be seen.
        names = {name.replace("-", "_"): value for name, value in _read_toml(home() / "mcp.toml").items()}
        return {names_of(name)[0] if name in ("api_key", "api_url") else name: value for name, value in names.items()}


def load_settings(flags: Mapping[str, object]) -> Settings:
    """The settings, with the flags that were given.

    Raises:
        SettingsError: an unknown value or variable, or a file that cannot be read.
    """
    _refuse_unknown_variables(os.environ)
    try:
        settings = Settings(**{name: value for name, value in flags.items() if value is not None})  # type: ignore[arg-type]  # validated by pydantic
    except ValidationError as error:
        raise SettingsError(_explain(error)) from None
    if settings.api_key is None and not settings.sandbox:
        settings = settings.model_copy(update={"api_key": _key_of_pspace()})
    return settings


def load_profiles(settings: Settings) -> Profiles:
    """The credential profiles. Raises `SettingsError`."""
    try:
        profiles = profiles_from_environment(os.environ)
        if settings.aws_profiles:
            default = Path.home() / ".aws" / "credentials"
            file = Path(os.environ.get("AWS_SHARED_CREDENTIALS_FILE") or default)
            profiles = {**profiles_from_aws(file, settings.aws_profiles), **profiles}
    except ProfileError as error:
        raise SettingsError(str(error)) from None
    return Profiles(profiles)


def home() -> Path:
    """Where the `pspace` CLI and this server keep their files."""
    return Path.home() / ".paperspace"


def _key_of_pspace() -> SecretStr | None:
    """The key that `pspace login` saved for the current team, if any."""
    try:
        team = _read_toml(home() / "config.toml").get("team")
        keys = _read_toml(home() / "credentials.toml").get("keys")
    except SettingsError:
        return None  # another program's file: its mistakes are not ours to stop for
    if not isinstance(team, str) or not isinstance(keys, dict):
        return None
    key = cast("dict[str, object]", keys).get(team)
    return SecretStr(key) if isinstance(key, str) and _is_key(key) else None


def _is_key(key: str) -> bool:
    return key.isascii() and key.isprintable() and key != "" and " " not in key


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        with file.open("rb") as content:
            return tomllib.load(content)
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{file}: cannot be read as TOML ({type(error).__name__}); mend or remove it") from None


def _refuse_unknown_variables(environment: Mapping[str, str]) -> None:
    """A mistyped PAPERSPACE_MCP_READONLY must not leave the writing tools on in silence."""
    known = [ENV_PREFIX + name.upper() for name in Settings.model_fields if name not in ("api_key", "api_url")]
    for variable in environment:
        name = variable.upper()
        if name.startswith(ENV_PREFIX) and name not in known and not name.startswith(ENV_PREFIX + "CREDENTIAL_"):
            near = difflib.get_close_matches(name, known, 1, cutoff=0.4)
            raise SettingsError(f"{variable}: no such setting{f'; did you mean {near[0]}?' if near else ''}")


def names_of(field: str) -> tuple[str, str | None]:
    """A setting's environment variable, and its flag where it has one."""
    if field == "api_key":
        return "PAPERSPACE_API_KEY", None
    if field == "api_url":
        return "PAPERSPACE_API_URL", "--api-url"
    return ENV_PREFIX + field.upper(), "--" + field.replace("_", "-")


def _explain(error: ValidationError) -> str:
    first = error.errors(include_input=False, include_url=False)[0]
    where = str(first["loc"][0]) if first["loc"] else ""
    field = next((name for name in Settings.model_fields if where in (name, *names_of(name))), None)
    if first["type"] == "extra_forbidden":
        near = difflib.get_close_matches(where, list(Settings.model_fields), 1, cutoff=0.4)
        return f"{where}: no such setting{f'; did you mean {near[0]}?' if near else ''}"
    if field is None:
        return f"{where or 'settings'}: {first['msg']}"
    variable, flag = names_of(field)
    allowed = _allowed(field)
    expected = f"one of {allowed}" if allowed else first["msg"].removeprefix("Value error, ")
    return f"{variable}{f' ({flag})' if flag else ''}: expected {expected}"


def _allowed(field: str) -> str | None:
    choices: dict[str, tuple[str, ...]] = {
        "dialect": ("auto", "published", "live"),
        "toolsets": TOOLSETS,
        "confirm": ("auto", "never", "person"),
        "secret_arguments": ("allow", "deny"),
        "log_level": ("debug", "info", "warning", "error", "critical"),
        "transport": ("stdio", "streamable-http", "sse"),
        "sandbox": ("true", "false"),
        "read_only": ("true", "false"),
    }
    return ", ".join(choices[field]) if field in choices else None
