"""What goes out: clean, masked, bounded, in this order. Text in the API's fields was typed by someone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import cast

from pydantic_core import from_json, to_json

from paperspace_storage_server.guard.secrets import PART, TextKind, Vault, mask_userinfo
from paperspace_storage_tools.cursors import LONGEST_CURSOR
from paperspace_storage_tools.errors import CannotBeRecorded, CannotBeShown
from paperspace_storage_tools.text import clean, has_forbidden

Json = dict[str, object]

LONGEST = {"note": 2000, "error": 600, "nextPage": LONGEST_CURSOR, "notice": 4000}  # characters, by field
LONGEST_FIELD = 256
LONGEST_FAILURE = 4000
LONGEST_MESSAGE = 300  # of an API's message within a failure
LONGEST_CODE = 40

_INSTANTS = ("dtCreated", "dtDeleted", "dtStarted", "dtFinished")
_IDS = ("id", "machineId", "privateNetworkId", "teamId", "nextPage")
MADE = frozenset((*_IDS, *_INSTANTS, "region", "type", "state", "status", "signatureVersion"))
"""Fields that the API fills from what it made or knows, so no text of a person stands in them. A storage provider's
region is typed, but a drive's is not, and a region that looks like a password is likelier than one that is."""
SAID = frozenset({"error", "notice"})
"""Fields that hold sentences, of the API or of this server about what the API said. In all others someone typed."""

_REMOVED = "Hidden or control characters were removed from text."
_CUT = "Long text was cut."
_MASKED = "A secret was masked."
_CUT_OFF = re.compile(f".{{{PART}}}(?=…)", re.DOTALL)
_LOOKED_AT = 65_536  # characters of a text; what is cut off beyond them nobody is shown


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
        operators = self._vault.may_hold(text)
        quick = not operators and "notice" not in result and _plain(text)
        if quick and not self._vault.may_hold_others(lambda: "\n".join(_typed(result))):
            return result, text
        del text  # a large one is not to be held beside what is made of it
        return self._thoroughly(result, operators)

    def spelled(self, text: str, notice: str = "") -> str:
        """As `result`, of a result's compact JSON, which gets a `notice` where there is one.

        Most results need nothing done: those are never taken apart.
        """
        operators = self._vault.may_hold(text)
        others = self._vault.may_hold_others(lambda: "\n".join(_typed(from_json(text))))
        if not operators and not others and not notice and _plain(text):
            return text
        result = cast("Json", from_json(text))
        if notice:
            result["notice"] = notice
        return self._thoroughly(result, operators)[1]

    def _thoroughly(self, result: Json, operators: bool) -> tuple[Json, str]:
        """Text by text. `operators`: a secret of the operator's may be in it, so what is `made` is looked at, too."""
        done = _Done()
        made = cast("Json", self._value(result, "", done, operators))
        remarks = [made.get("notice"), done.removed and _REMOVED, done.cut and _CUT, done.masked and _MASKED]
        if said := [remark for remark in remarks if isinstance(remark, str)]:
            made["notice"] = " ".join(said)
        return made, to_json(made).decode()

    def failure(self, text: str) -> str:
        """A failure's text, or another sentence that may quote the API: parts of secrets go, too."""
        return self._text(text, "said", LONGEST_FAILURE)

    def message(self, text: str) -> str:
        """The API's own words, before they are put into a sentence."""
        return self._text(text, "said", LONGEST_MESSAGE)

    def code(self, text: str) -> str:
        """The API's name for an error."""
        return self._text(text, "said", LONGEST_CODE)

    def progress(self, text: str) -> str:
        """What is said of a call that goes on."""
        return self._text(text, "said", LONGEST_FIELD)

    def for_person(self, text: str, what: str) -> str:
        """What a person is to read and decide upon: cleaned, and never masked.

        The secrets that callers typed do not count here: else a model could have nothing shown at will.

        Raises:
            CannotBeShown: a secret of the operator's or the API's stands in it, or the beginning of one that is cut.
        """
        text = clean(text)
        if self._vault.holds(text, typed=False) or any(map(self._vault.holds_part, _CUT_OFF.findall(text))):
            raise CannotBeShown(what)
        return text

    def for_audit(self, arguments: Json) -> Json:
        """A call's arguments as the audit file shows them: cleaned, and never masked.

        Raises:
            CannotBeRecorded: one holds a known secret, or one that this very call brings in another argument.
        """
        cleaned = {name: clean(one) if isinstance(one, str) else one for name, one in arguments.items()}
        holding = [name for name, one in cleaned.items() if isinstance(one, str) and self._vault.holds(one, typed=True)]
        if holding:
            raise CannotBeRecorded(holding)
        return cleaned

    def _value(self, value: object, key: str, done: _Done, operators: bool) -> object:
        if isinstance(value, str):
            longest = LONGEST.get(key, LONGEST_FIELD)
            if key in MADE and not operators and len(value) <= longest and not has_forbidden(value):
                return value
            return self._text(value, _kind(key), longest, done)
        if isinstance(value, dict):
            items = cast("Json", value).items()
            return {name: self._value(one, name, done, operators) for name, one in items}
        if isinstance(value, list):
            return [self._value(one, key, done, operators) for one in cast("list[object]", value)]
        return value

    def _text(self, text: str, kind: TextKind, longest: int, done: _Done | None = None) -> str:
        """Cleaned, then masked, then cut: a secret that is cut first is no longer known for one."""
        done = done or _Done()
        text, enough = text[:_LOOKED_AT], 2 * longest
        whole = not text[enough:]
        if has_forbidden(text):
            text = clean(text)
            done.removed = True
        masked = self._vault.mask(text if kind == "made" else mask_userinfo(text), kind, keep=enough)
        done.masked |= masked != text[:enough]
        if whole and len(masked) <= longest:
            return masked
        done.cut = True
        return masked[: longest - 1] + "…"


def _kind(field: str) -> TextKind:
    return "made" if field in MADE else "said" if field in SAID else "typed"


def _typed(value: object) -> list[str]:
    """All texts in an object that are not `made`."""
    found: list[str] = []
    for key, one in cast("Json", value).items():
        if isinstance(one, str):
            if key not in MADE:
                found.append(one)
        elif isinstance(one, dict):
            found += _typed(cast("Json", one))
        elif isinstance(one, list):
            for item in cast("list[object]", one):
                if isinstance(item, str):
                    found.append(item)
                elif isinstance(item, dict):
                    found += _typed(cast("Json", item))
    return found


def _plain(text: str) -> bool:
    """Whether this JSON text certainly needs no cleaning and quotes nobody: printable ASCII, no escapes, none long."""
    # JSON escapes every control character but DEL; an @ may stand in a URL that holds a password.
    if not text.isascii() or "\\" in text or "\x7f" in text or "@" in text:
        return False
    if '"error":' in text:
        return False
    # From one quotation mark (none is escaped) to the last of those in reach: the next string would end beyond it.
    at, last = text.find('"'), text.rfind('"')
    while at not in (-1, last):
        at = text.rfind('"', at + 1, at + LONGEST_FIELD + 2)
    return at == last
