"""What a console, or a pipe on Windows, cannot show: escaped instead of an error. Knows no command."""

from __future__ import annotations

import codecs
import io
from typing import TextIO

_ESCAPED = "paperspace-escaped"


def show_anything(stream: TextIO) -> None:
    """Make text that the stream's encoding lacks come out as JSON would escape it: a name ends no command, and JSON
    stays JSON. Windows gives pipes and old consoles a page of 256 characters."""
    codecs.register_error(_ESCAPED, _escape)
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors=_ESCAPED)


def can_show(text: str, stream: TextIO) -> bool:
    """Whether the stream's encoding has all of it."""
    try:
        text.encode(stream.encoding or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _escape(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    pairs = (int.from_bytes(units[at : at + 2]) for at in range(0, len(units), 2))
    return "".join(f"\\u{unit:04x}" for unit in pairs), error.end
