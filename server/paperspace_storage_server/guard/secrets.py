"""Which secrets this process knows, and masking them in text that goes out.

A secret is a `SecretStr` from the moment it is read. Whatever text leaves the process (results, errors, logs, the
audit file) passes `mask` or `mask_parts`, so that a secret which the API puts into a name, or quotes in a message,
does not reach the model either.
"""

from __future__ import annotations

import base64
import re
from collections import OrderedDict
from urllib.parse import quote

from pydantic import SecretStr
from pydantic_core import to_json

MASK = "[secret]"
SHORTEST = 8
"""Characters from which on a secret is masked inside longer text. A shorter one is masked as a whole word only:
masking `test` wherever it occurs would destroy names and protect nothing."""
_PART = 8  # characters of a secret that give it away when an error message quotes the beginning of it
_MOST_RECENT = 512
"""More than one page of a list can bring: 120 providers have 240 keys."""

_USERINFO = re.compile(r"(?<=://)[^/\s@\"]*@")


def mask_userinfo(text: str) -> str:
    """A URL without the user and password that someone wrote into it: `https://key:secret@host` is how some do."""
    return _USERINFO.sub(f"{MASK}@", text) if "@" in text else text


class Vault:
    """The known secrets: lasting ones (key, profiles) and the most recent passing ones (arguments, passwords)."""

    def __init__(self) -> None:
        self._lasting: dict[str, tuple[str, ...]] = {}
        self._recent: OrderedDict[str, tuple[str, ...]] = OrderedDict()

    def __repr__(self) -> str:
        return f"<Vault of {len(self._lasting) + len(self._recent)} secrets>"

    def keep(self, secret: SecretStr) -> None:
        """Mask it as long as the process lives."""
        if text := secret.get_secret_value():
            self._lasting[text] = _spellings(text)

    def learn(self, secret: SecretStr) -> None:
        """Mask it from now on; it is forgotten when `_MOST_RECENT` others have come after it."""
        text = secret.get_secret_value()
        if not text or text in self._lasting:
            return
        self._recent[text] = _spellings(text)
        self._recent.move_to_end(text)
        while len(self._recent) > _MOST_RECENT:
            self._recent.popitem(last=False)

    def mask(self, text: str) -> str:
        """The text with every known secret replaced; the same object where none is in it."""
        for known in (self._lasting, self._recent):
            for secret, spellings in known.items():
                if len(secret) < SHORTEST:
                    if text == secret:
                        return MASK
                    continue
                for spelling in spellings:
                    if spelling in text:
                        text = text.replace(spelling, MASK)
        return text

    def touches(self, text: str) -> bool:
        """Whether `mask` could change something in this JSON text: one quick look for a whole result."""
        for known in (self._lasting, self._recent):
            for secret, spellings in known.items():
                if any(spelling in text for spelling in (spellings if len(secret) >= SHORTEST else (f'"{secret}"',))):
                    return True
        return False

    def mask_parts(self, text: str) -> str:
        """As `mask`, and also beginnings, ends and middles of secrets: for errors and logs, which quote strangers."""
        text = self.mask(text)
        parts = _parts(text)
        for known in (self._lasting, self._recent):
            for secret, spellings in known.items():
                if len(secret) < SHORTEST:
                    text = _mask_words(text, secret)
                    continue
                for spelling in spellings:  # an encoded one may be cut off too
                    # Nearly always there is none in it: looking at each place of the text for each of hundreds of
                    # secrets would hold up every other call.
                    if any(spelling[at : at + _PART] in parts for at in range(len(spelling) - _PART + 1)):
                        text = _mask_runs(text, spelling)
                        parts = _parts(text)
        return text


def _spellings(secret: str) -> tuple[str, ...]:
    """The secret as it may stand in text: itself, percent-encoded, JSON-escaped, base64."""
    as_json = to_json(secret).decode("utf-8", "replace")[1:-1]
    encoded = base64.b64encode(secret.encode("utf-8", "surrogatepass")).decode().rstrip("=")
    percent = quote(secret, safe="", errors="replace")
    return tuple(dict.fromkeys((secret, as_json, percent, encoded)))


def _mask_words(text: str, word: str) -> str:
    start = 0
    while (at := text.find(word, start)) >= 0:
        end = at + len(word)
        alone = not (text[at - 1 : at].isalnum() or text[end : end + 1].isalnum())
        if alone:
            text = text[:at] + MASK + text[end:]
            end = at + len(MASK)
        start = end
    return text


def _parts(text: str) -> set[str]:
    return {text[at : at + _PART] for at in range(len(text) - _PART + 1)}


def _mask_runs(text: str, secret: str) -> str:
    """Mask every run of `_PART` or more characters of the secret."""
    at = 0
    while at + _PART <= len(text):
        place = secret.find(text[at : at + _PART])
        if place < 0:
            at += 1
            continue
        end = _PART
        while at + end < len(text) and text[at : at + end + 1] in secret:
            end += 1
        text = text[:at] + MASK + text[at + end :]
        at += len(MASK)
    return text
