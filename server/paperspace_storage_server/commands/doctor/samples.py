"""Each operation of a codec, made with made-up arguments: found by the types of its methods, so that one that a codec
gains is among them without a word here."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Iterator, Mapping
from itertools import combinations
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, Union, cast, get_args, get_origin, get_type_hints

from msgspec import Struct
from pydantic import SecretStr

from paperspace_storage_server.wire.messages import Codec, Operation
from paperspace_storage_tools.errors import Unsupported

TEXT: Final = "1"
"""Every text that is made up: an id, a name, and a number where the API writes numbers as text."""


def operations(codec: Codec) -> Iterator[Operation[Any]]:
    """Each operation that the codec can express, as widely as it can be asked for, once per choice."""
    for name, method in vars(Codec).items():
        if inspect.isfunction(method) and get_origin(get_type_hints(method).get("return")) is Operation:
            hints = {part: hint for part, hint in get_type_hints(method).items() if part != "return"}
            made = cast("Callable[..., Operation[Any]]", getattr(codec, name))
            for arguments in _choices(hints):
                if (operation := _widest(made, arguments)) is not None:
                    yield operation


def _choices(hints: Mapping[str, object]) -> Iterator[dict[str, object]]:
    """Arguments with everything given, then once more for each other choice that one of them has."""
    usual = {name: _sample(hint) for name, hint in hints.items()}
    yield usual
    for name, value in usual.items():
        for option in _others(hints[name]):
            yield {**usual, name: option}
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            for field, hint in get_type_hints(type(value)).items():
                for option in _others(hint):
                    yield {**usual, name: dataclasses.replace(value, **{field: option})}


def _others(hint: object) -> tuple[object, ...]:
    """What a value of this type may be instead of its sample, where the type says it all."""
    kind = _required(hint)
    if get_origin(kind) is Literal:
        return get_args(kind)[1:]
    return (False,) if kind is bool else ()


def _widest(make: Callable[..., Operation[Any]], arguments: Mapping[str, object]) -> Operation[Any] | None:
    """The operation with as many of its optional fields as the dialect can express; None where it has none such."""
    optional = [
        (name, field.name)
        for name, value in arguments.items()
        if dataclasses.is_dataclass(value) and not isinstance(value, type)
        for field in dataclasses.fields(value)
        if field.default is None
    ]
    for count in range(len(optional) + 1):
        for dropped in combinations(optional, count):
            less = dict(arguments)
            for name, field in dropped:
                less[name] = dataclasses.replace(cast("Any", less[name]), **{field: None})
            try:
                return make(**less)
            except Unsupported:
                continue
    return None


def _sample(hint: object) -> object:
    """A value of a type, with everything given that can be."""
    kind = _required(hint)
    if get_origin(kind) is Literal:
        return get_args(kind)[0]
    if isinstance(kind, type):
        if dataclasses.is_dataclass(kind):
            return kind(**{name: _sample(one) for name, one in get_type_hints(kind).items()})
        if issubclass(kind, Struct):
            return kind(**{name: _sample(one) for name, one in get_type_hints(kind).items()})
        if kind is SecretStr:
            return SecretStr(TEXT)
        if kind in (bool, int):
            return kind(1)
    return TEXT


def _required(hint: object) -> object:
    """The type without its None and its annotations."""
    if get_origin(hint) is Annotated:
        return _required(get_args(hint)[0])
    if get_origin(hint) in (Union, UnionType):
        return _required(next(part for part in get_args(hint) if part is not NoneType))
    return hint
