"""A setting as people meet it: its variables, its flag, its choices, its default. All of it made from the field."""

from __future__ import annotations

from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Final, Literal, TypeAlias, Union, cast, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from paperspace_storage_server.settings.fields import Group, Shown

PREFIX: Final = "PAPERSPACE_MCP_"
TWIN: Final = "_FILE"
"""What a secret's variable ends in that names a file which holds the secret."""

_OTHERS_NAMES: Final = {  # those of other tools for this API
    "api_key": ("PAPERSPACE_API_KEY", "PAPERSPACE_API_TOKEN"),
    "api_url": ("PAPERSPACE_API_URL",),
}
_Annotation: TypeAlias = object  # `FieldInfo.annotation`, which no type can describe


@dataclass(frozen=True, slots=True)
class Described:
    """One setting. `default` and `meaning` are Markdown without links."""

    field: str
    group: Group
    variables: tuple[str, ...]  # the first is its name, the others are accepted
    secret: bool
    switch: bool
    listed: bool
    choices: tuple[str, ...]  # where its type names them all
    value: str  # what stands for its value
    default: str
    meaning: str

    @property
    def flag(self) -> str | None:
        """None for a secret: it would show in `ps`."""
        return None if self.secret else "--" + self.field.replace("_", "-")

    @property
    def name(self) -> str:
        """The setting, in a sentence about it."""
        return self.variables[0] + (f" ({self.flag})" if self.flag else "")


def describe(model: type[BaseModel]) -> dict[str, Described]:
    """Every setting of the model, by the name of its field."""
    return {name: _describe(name, field) for name, field in model.model_fields.items()}


def _describe(name: str, field: FieldInfo) -> Described:
    shown = next(one for one in field.metadata if isinstance(one, Shown))
    choices = _choices(field.annotation)
    switch = field.annotation is bool
    value = shown.value or ("" if switch else "|".join(choices))
    return Described(
        field=name,
        group=shown.group,
        variables=_OTHERS_NAMES.get(name, (PREFIX + name.upper(),)),
        secret=holds_a_secret(field.annotation),
        switch=switch,
        listed=get_origin(field.annotation) is list,
        choices=("true", "false") if switch else choices,
        value=value,
        default=shown.default or _default(field),
        meaning=field.description or "",
    )


def in_words(value: object) -> str:
    """A setting's value as it is written; None is none at all."""
    if value is None or value == []:
        return "none"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float):
        return f"{value:g}"
    return ",".join(map(str, cast("list[object]", value))) if isinstance(value, list) else str(value)


def _default(field: FieldInfo) -> str:
    default: object = field.get_default(call_default_factory=True, validated_data={})
    words = in_words(default)
    return words if default is None or isinstance(default, bool | int | float) or default == [] else f"`{words}`"


def _choices(annotation: _Annotation) -> tuple[str, ...]:
    """The values that are possible, where the type names them all."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return parts
    if origin is list:
        return _choices(parts[0])
    if origin in (Union, UnionType):
        of_parts = [_choices(part) for part in parts if part is not NoneType]
        return tuple(choice for part in of_parts for choice in part) if all(of_parts) else ()
    return ()


def holds_a_secret(annotation: _Annotation) -> bool:
    """Whether a field of this type may hold a secret."""
    return annotation is SecretStr or any(holds_a_secret(part) for part in get_args(annotation))
