"""How a secret may be spelled in text: plainly, in base64 or hex, or with its characters escaped. Knows no secret.

Escapes can be mixed at will (`%2f`, `%2F`, `\\/`, `&#x2f;`, one character escaped and the next not, escaped twice), so
they are undone in the text. The other encodings change the whole, so they are done to the secret.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Sequence

from paperspace_storage_tools.text import clean

BASE64 = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_=")
_ROUNDS = 3  # of escaping that are undone
_ESCAPES = re.compile(
    r"(?P<percent>(?:%[0-9A-Fa-f]{2})+)|(?P<unit>(?:\\u[0-9A-Fa-f]{4})+)|(?P<byte>(?:\\x[0-9A-Fa-f]{2})+)"
    r"|\\(?P<plain>[\"'\\/bfnrt])|(?P<entity>&(?:[a-zA-Z]{2,8}|#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6});)"
)
_LETTERS = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}


def spellings(secret: str) -> tuple[str, ...]:
    """The forms in which a secret can stand in a text, or in one of the text's `views`."""
    raw = secret.encode("utf-8", "surrogatepass")
    made = [secret, clean(secret), secret.replace(" ", "+"), *(view.text for view in views(secret))]
    made += (raw.hex(), raw.hex().upper(), *in_base64(secret))
    return tuple(dict.fromkeys(one for one in made if one))


def in_base64(secret: str) -> list[str]:
    """What is certain of its base64 after other bytes, as in that of `user:secret`, in both alphabets.

    The characters next to it hold bits of the secret and of what stands around it.
    """
    raw = secret.encode("utf-8", "surrogatepass")
    made: list[str] = []
    for before, begin in enumerate((0, 2, 3)):
        padded = bytes(before) + raw
        end = len(padded) * 8 // 6
        made += (encode(padded)[begin:end].decode() for encode in (base64.b64encode, base64.urlsafe_b64encode))
    return made


class View:
    """A text with its escapes undone, and where each of its characters stood: an escape wholly or not at all."""

    def __init__(self, text: str, starts: Sequence[int], stops: Sequence[int]) -> None:
        self.text = text
        self._starts = starts
        self._stops = stops

    def place(self, start: int, stop: int) -> tuple[int, int]:
        """Where the characters from `start` to before `stop` stood."""
        return self._starts[start], self._stops[stop - 1]

    def undone(self) -> View | None:
        """The view with one round of escapes less; None where there is none."""
        made, starts, stops, end = list[str](), list[int](), list[int](), 0
        for match in _ESCAPES.finditer(self.text):
            plain = _plain(match)
            start, stop = match.span()
            place = self.place(start, stop)
            made += (self.text[end:start], plain)
            starts += self._starts[end:start]
            starts += [place[0]] * len(plain)
            stops += self._stops[end:start]
            stops += [place[1]] * len(plain)
            end = stop
        if not made:
            return None
        made.append(self.text[end:])
        starts += self._starts[end:]
        stops += self._stops[end:]
        return View("".join(made), starts, stops)


def views(text: str) -> Iterator[View]:
    """The text as it is, then with its escapes undone, for as long as there are any."""
    view: View | None = View(text, range(len(text)), range(1, len(text) + 1))
    for _ in range(_ROUNDS + 1):
        if view is None:
            return
        yield view
        if "%" not in view.text and "\\" not in view.text and "&" not in view.text:
            return
        view = view.undone()


def _plain(match: re.Match[str]) -> str:
    whole = match[0]
    if match["percent"]:
        return bytes.fromhex(whole.replace("%", "")).decode("utf-8", "replace")
    if match["byte"]:
        return bytes.fromhex(whole.replace("\\x", "")).decode("utf-8", "replace")
    if match["unit"]:
        return bytes.fromhex(whole.replace("\\u", "")).decode("utf-16-be", "replace")
    if match["entity"]:
        from html import unescape

        return unescape(whole)
    return _LETTERS.get(match["plain"], match["plain"])
