"""The settings of this start, put together from where they stand and checked."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from paperspace_storage_server.guard.profiles import (
    ProfileError,
    Profiles,
    profiles_from_aws,
    profiles_from_environment,
)
from paperspace_storage_server.settings.describe import Described, describe
from paperspace_storage_server.settings.errors import SettingsError
from paperspace_storage_server.settings.model import Settings
from paperspace_storage_server.settings.pspace import saved_by_pspace
from paperspace_storage_server.settings.sources import (
    Given,
    credentials_from_environment,
    from_environment,
    from_file,
    from_flags,
    home,
)
from paperspace_storage_tools.text import clean

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_EXPECTED = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing_size": "a smaller number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a number",
    "greater_than": "more than {gt:g}",
    "greater_than_equal": "at least {ge}",
    "less_than_equal": "at most {le:g}",
    "string_type": "text",
    "string_too_short": "text that is not empty",
    "list_type": "a list",
    "too_short": "at least one of them; leave it out for its default",
    "path_type": "a path",
}


@cache
def described() -> dict[str, Described]:
    """Every setting, by the name of its field."""
    return describe(Settings)


def load_settings(flags: Mapping[str, object]) -> Settings:
    """The settings, with the flags that were given: by field, None for those that were not.

    Raises:
        SettingsError: an unknown value or variable, or a file that cannot be read.
    """
    known = described()
    file = home() / "mcp.toml"
    given: dict[str, Given] = {
        **from_file(file, known),
        **from_environment(os.environ, known),
        **from_flags(flags, known),
    }
    try:
        settings = Settings.model_validate({field: one.value for field, one in given.items()})
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise SettingsError(_explain(first, given, str(file))) from None
    return _with_saved_key(settings.from_where({field: one.origin for field, one in given.items()}))


def load_profiles(settings: Settings) -> Profiles:
    """The credential profiles. Raises `SettingsError`."""
    try:
        sources = [profiles_from_environment(credentials_from_environment(os.environ))]
        if settings.aws_profiles:
            default = Path.home() / ".aws" / "credentials"
            file = Path(os.environ.get("AWS_SHARED_CREDENTIALS_FILE") or default)
            sources.append(profiles_from_aws(file, settings.aws_profiles))
        return Profiles(*sources)
    except ProfileError as error:
        raise SettingsError(str(error)) from None


def _with_saved_key(settings: Settings) -> Settings:
    """With the key of the chosen team, where no key is given and one is needed."""
    if settings.sandbox:
        return settings
    team = described()["team"].name
    if settings.api_key is not None:
        if settings.team is not None:
            raise SettingsError(
                f"{team}: chooses among the keys that `pspace` saved, and {settings.origin('api_key')} gives another "
                "key; keep one of the two"
            )
        return settings
    if settings.teams_file is not None:
        return settings  # each team brings its key
    saved = saved_by_pspace()
    chosen = settings.team or saved.team
    key = saved.key(chosen)
    if settings.team is not None and key is None:
        names = ", ".join(clean(name) for name in sorted(saved.keys))
        found = saved.trouble or (f"expected one of {names}" if names else "it saved none; `pspace login` does")
        raise SettingsError(f"{team}: no key of that team is among those that `pspace` saved: {found}")
    if key is None:
        return settings
    return settings.model_copy(update={"api_key": key, "team": chosen}).from_where({"api_key": "pspace login"})


def _explain(error: ErrorDetails, given: Mapping[str, Given], file: str) -> str:
    message = error["msg"].removeprefix("Value error, ")
    if not error["loc"]:
        return message  # of several settings, which it names
    setting = described()[str(error["loc"][0])]
    if setting.choices and error["type"] not in ("value_error", "too_short"):
        message = f"one of {', '.join(setting.choices)}"
    elif error["type"] in _EXPECTED:
        message = _EXPECTED[error["type"]].format(**error.get("ctx", {}))
    where = f"; it stands in {file}" if given[setting.field].origin == file else ""
    return f"{setting.name}: expected {message}{where}"
