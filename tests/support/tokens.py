"""What text costs a model: tokens of o200k, the encoding of several widespread models; the package brings it along."""

from __future__ import annotations

import json
import warnings
from functools import cache
from importlib import import_module
from typing import Protocol, cast


class _Encoding(Protocol):
    def encode(self, text: str) -> list[int]: ...


class _Encodings(Protocol):
    def get_encoding(self, name: str) -> _Encoding: ...


@cache
def _o200k() -> _Encoding:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # how it opens its own files
        return cast("_Encodings", import_module("bpe_openai")).get_encoding("o200k_base")


def tokens(value: object) -> int:
    """Of a text, or of a value as compact JSON."""
    text = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return len(_o200k().encode(text))
