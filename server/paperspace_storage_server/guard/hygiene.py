"""What goes out to the model: clean, bounded, masked. Text in the API's fields was typed by someone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from pydantic_core import to_json

from paperspace_storage_server.guard.secrets import Vault, mask_userinfo
from paperspace_storage_tools.cursors import LONGEST_CURSOR
from paperspace_storage_tools.errors import CannotBeShown
from paperspace_storage_tools.text import clean, has_forbidden

Json = dict[str, object]

LONGEST = {"note": 2000, "error": 600, "nextPage": LONGEST_CURSOR, "notice": 4000}  # characters, by field
LONGEST_FIELD = 256

_REMOVED = "Hidden or control characters were removed from text."
_CUT = "Long text was cut."
_MASKED = "A secret was masked."


@dataclass(slots=True)
class _Done:
    removed: bool = False
    cut: bool = False
    masked: bool = False


class Hygiene:
    """Cleans results and failure texts with the secrets of one vault."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def result(self, result: Json) -> tuple[Json, str]:
        """The result and its compact JSON. What had to be removed is said in the result's `notice`."""
        text = to_json(result).decode()
        if _plain(text) and not self._vault.touches(text):
            return result, text
        done = _Done()
        made = cast("Json", self._value(result, "", done))
        remarks = [made.get("notice"), done.removed and _REMOVED, done.cut and _CUT, done.masked and _MASKED]
        if said := [remark for remark in remarks if isinstance(remark, str)]:
            made["notice"] = " ".join(said)
        return made, to_json(made).decode()

    def shown(self, text: str) -> str:
        """A name or a fact as a person and a model may see it."""
        return _bounded(self._vault.mask(clean(text)), LONGEST_FIELD)

    def for_person(self, text: str, what: str) -> str:
        """What a person is to read and decide upon: cleaned, and never masked.

        Raises:
            CannotBeShown: a known secret stands in it.
        """
        text = clean(text)
        if self._vault.mask(text) != text:
            raise CannotBeShown(what)
        return text

    def failure(self, text: str) -> str:
        """A failure's text: it may quote the API, so parts of secrets go too."""
        return _bounded(self._vault.mask_parts(mask_userinfo(clean(text))), 4000)

    def _value(self, value: object, key: str, done: _Done) -> object:
        if isinstance(value, str):
            return self._text(value, key, done)
        if isinstance(value, dict):
            items = cast("Json", value).items()
            return {name: self._value(one, name, done) for name, one in items}
        if isinstance(value, list):
            return [self._value(one, key, done) for one in cast("list[object]", value)]
        return value

    def _text(self, text: str, key: str, done: _Done) -> str:
        if has_forbidden(text):
            text = clean(text)
            done.removed = True
        masked = self._vault.mask(mask_userinfo(text) if key == "endpoint" else text)
        done.masked |= masked != text
        bounded = _bounded(masked, LONGEST.get(key, LONGEST_FIELD))
        done.cut |= bounded != masked
        return bounded


def _bounded(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _plain(text: str) -> bool:
    """Whether this JSON text certainly needs no cleaning: printable ASCII, no escapes, no long string."""
    # JSON escapes every control character but DEL; an @ may stand in a URL that holds a password.
    if not text.isascii() or "\\" in text or "\x7f" in text or "@" in text:
        return False
    # No piece between two strings is longer than the bound, so no string is: there are no escaped quotes here.
    return len(text) <= LONGEST_FIELD or max(map(len, text.split('","'))) <= LONGEST_FIELD
