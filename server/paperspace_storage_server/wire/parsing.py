"""JSON into values, half characters in it included: one in a name must not cost a whole list. Knows no API.

JSON may escape a half of a surrogate pair alone (RFC 8259, section 8.2), and some servers send it as the three
bytes that UTF-8 forbids. Neither is a character, and readers refuse the whole text for it.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TypeVar

from msgspec.json import Decoder
from pydantic import SecretStr
from pydantic_core import from_json

from paperspace_storage_tools.models import shorten_instant

T = TypeVar("T")
_REPLACEMENT = "�".encode()
_ESCAPE_OR_HALF = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"  # a pair: kept
    rb"|(?P<half>\\u[dD][89a-fA-F][0-9a-fA-F]{2}|\xed[\xa0-\xbf][\x80-\xbf])"
    rb"|\\."  # any other escape, so that the second of two backslashes begins none
)


def whole_characters(body: bytes) -> bytes | None:
    """The text with U+FFFD for each half of a pair, or None where it has no half."""
    mended = _ESCAPE_OR_HALF.sub(lambda found: _REPLACEMENT if found["half"] else found[0], body)
    return None if mended == body else mended


def parsed(body: bytes) -> object:
    """The JSON value, with U+FFFD for half characters.

    Raises:
        ValueError: no JSON.
    """
    try:
        value: object = from_json(body)
    except ValueError:
        if (mended := whole_characters(body)) is None:
            raise
        value = from_json(mended)
    return value


def decoder(kind: type[T]) -> Decoder[T]:
    """What reads JSON as this type, in the API's spelling and without what the type does not name."""
    return Decoder(kind, dec_hook=_of_text)


_LONGEST_KEPT = 40  # characters; no instant has more, and nothing else is to be kept
_shortened = lru_cache(4096)(shorten_instant)  # whoever looks at a list looks at it again


def _of_text(kind: type, value: object) -> object:
    """Of what JSON has no type for, secrets and instants: both are texts."""
    if not isinstance(value, str):
        raise TypeError("not a text")
    if kind is SecretStr:
        return SecretStr(value)
    return _shortened(value) if len(value) <= _LONGEST_KEPT else value
