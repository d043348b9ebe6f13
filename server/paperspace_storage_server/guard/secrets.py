"""Which secrets this process knows, and masking them in text that goes out. Knows no field and no surface.

A secret is a `SecretStr` from the moment it is read. All text that leaves the process passes `Vault.mask`, so that a
secret which the API puts into a name, or quotes in a message, does not come out either.

Three kinds are kept apart. The operator's own last as long as the process. What the API's answers bring is remembered
up to a bound. What a caller types is known during that call alone, and masks what that call answers and logs: kept any
longer, a model could type the names of things as keys and so blank what others, and the person, are shown.
"""

from __future__ import annotations

import re
import sys
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal, TypeAlias

from pydantic import SecretStr

from paperspace_storage_server.guard.spelling import BASE64, View, in_base64, spellings, views

TextKind: TypeAlias = Literal["made", "typed", "said"]
"""What a text is. `made` by the API from a fixed choice (an id, a date, a region): only the operator's own secrets are
masked in it, for a password `ny2` must not blank every region. `typed` by someone (a name): every secret, whole, in any
spelling. `said`, a sentence that may quote strangers: parts of secrets, and short ones, too."""

MASK = "[secret]"
SHORTEST = 8
"""Characters from which on a secret is masked wherever it stands. A shorter one is masked as a word of a sentence only:
masking `test` wherever it occurs would destroy names and protect nothing."""
PART = 8  # characters of a secret that give it away when a message quotes only a piece of it
LONGEST = 4096  # characters of a secret that are known; no key is longer
MOST_PASSING = 512, 32_768
"""Secrets and their characters. More than a page of a list can bring: 120 providers have 240 keys of up to 90."""
_SAMPLED = range(10, 51)  # secrets: fewer are searched for as quickly, of more the pieces are a burden on memory
_STRETCH = 12  # characters that one of a secret can take where it is escaped twice over
KEPT = 8192  # characters of a text that come out masked; what is shown anywhere is shorter

_USERINFO = re.compile(r"(?<=://)(?:[^/\s@\"]*|[^/:\s@\"]*:(?!\d+/)[^\s@\"]*)@")


def mask_userinfo(text: str) -> str:
    """A URL without the user and password that someone wrote into it: `https://key:secret@host` is how some do."""
    return _USERINFO.sub(f"{MASK}@", text) if "@" in text else text


class _Known:
    """Secrets of one kind: the long ones with all their spellings, the short ones as words."""

    def __init__(self, most: tuple[int, int] | None = None) -> None:
        self.long: OrderedDict[str, tuple[str, ...]] = OrderedDict()
        self.short: OrderedDict[str, None] = OrderedDict()
        self.longest = 0  # characters of a secret; of one that is forgotten, perhaps
        self.shortest = sys.maxsize  # characters of a spelling; of one that is forgotten, perhaps
        self._most = most
        self._characters = 0
        self._pieces: frozenset[str] | None = None

    def __len__(self) -> int:
        return len(self.long) + len(self.short)

    def add(self, secret: SecretStr) -> None:
        text = secret.get_secret_value()[:LONGEST]
        if not text:
            return
        if len(text) < SHORTEST:
            self.short[text] = None
            self.short.move_to_end(text)
        else:
            if text not in self.long:
                self.long[text] = tuple(one for one in spellings(text) if len(one) >= SHORTEST)
                self._pieces = None
                self._characters += len(text)
                self.longest = max(self.longest, len(text))
                self.shortest = min([self.shortest, *map(len, self.long[text])])
            self.long.move_to_end(text)
        if self._most is not None:
            self._forget(*self._most)

    def _forget(self, most: int, characters: int) -> None:
        while len(self.short) > most:
            self.short.popitem(last=False)
        while len(self.long) > most or self._characters > characters:
            forgotten, _ = self.long.popitem(last=False)
            self._pieces = None
            self._characters -= len(forgotten)

    def pieces(self) -> frozenset[str]:
        """All runs of `PART` characters in any spelling; made when they are first needed."""
        if self._pieces is None:
            spelled = (one for written in self.long.values() for one in written)
            self._pieces = frozenset(one[at : at + PART] for one in spelled for at in range(len(one) - PART + 1))
        return self._pieces

    def may_be_in(self, text: str) -> bool:
        """Whether a spelling stands in it, or seems to."""
        if len(self.long) in _SAMPLED:
            # No spelling fits between two samples without a piece of it being one.
            step = self.shortest - PART + 1
            return not self.pieces().isdisjoint(text[at : at + PART] for at in range(len(text))[::step])
        is_in = text.__contains__
        return any(any(map(is_in, written)) for written in self.long.values())


class _Call:
    """What the caller of one call has typed."""

    __slots__ = ("typed", "vault")

    def __init__(self, vault: Vault) -> None:
        self.vault = vault
        self.typed: _Known | None = None


_CALL: ContextVar[_Call | None] = ContextVar("call", default=None)


class Vault:
    """The secrets of one team."""

    def __init__(self) -> None:
        self._lasting = _Known()
        self._passing = _Known(MOST_PASSING)

    def __repr__(self) -> str:
        return f"<Vault of {len(self._lasting) + len(self._passing)} secrets>"

    def keep(self, secret: SecretStr) -> None:
        """The operator's own: masked as long as the process lives."""
        self._lasting.add(secret)

    def learn(self, secret: SecretStr) -> None:
        """One that the API has answered: masked until `MOST_PASSING` others have come after it."""
        self._passing.add(secret)

    @contextmanager
    def in_call(self) -> Generator[None]:
        """One call of this team: what is heard in it is masked in what it answers and logs, and then forgotten."""
        token = _CALL.set(_Call(self))
        try:
            yield
        finally:
            _CALL.reset(token)

    def hear(self, secret: SecretStr) -> None:
        """One that the caller of the present call has typed."""
        if (call := _CALL.get()) is not None:
            call.typed = call.typed or _Known()
            call.typed.add(secret)

    def mask(self, text: str, kind: TextKind, *, keep: int = KEPT) -> str:
        """The text with every secret in it replaced; the same object where none is. Longer than `keep`, it is cut.

        It is looked at beyond the cut, so that no secret which begins before it comes out in part.
        """
        kinds = (self._lasting,) if kind == "made" else (self._lasting, self._passing, self._typed())
        longest = max([known.longest for known in kinds])
        looked_at = text[: keep + _STRETCH * longest]
        said = kind == "said"
        if not said and not _may_hold(looked_at, kinds):
            return text[:keep]
        spans = _merged(_spans(looked_at, kinds, parts=said))
        if not spans:
            return text[:keep]
        made: list[str] = []
        end = 0
        for start, stop in spans:
            if start < keep:
                made += (text[end:start], MASK)
                end = stop
        made.append(text[end : max(keep, end)])
        return "".join(made)

    def holds(self, text: str, *, typed: bool) -> bool:
        """Whether a whole secret stands in it: the operator's, the API's, and where `typed` the present caller's.

        Short ones do not count, for each of them is some word.
        """
        kinds = (self._lasting, self._passing, *((self._typed(),) if typed else ()))
        return any(True for view in views(text) for _ in _whole(view, kinds))

    def holds_part(self, text: str) -> bool:
        """Whether a text of `PART` characters is a piece of a secret of the operator's or the API's."""
        return text in self._lasting.pieces() or text in self._passing.pieces()

    def may_hold(self, text: str) -> bool:
        """Whether a secret of the operator's could stand in this text: one quick look for a whole result."""
        return _may_hold(text, (self._lasting,))

    def may_hold_others(self, typed: Callable[[], str]) -> bool:
        """Whether another secret could stand in what is `typed`."""
        others = [known for known in (self._passing, self._typed()) if known.long]
        return bool(others) and _may_hold(typed(), others)

    def _typed(self) -> _Known:
        call = _CALL.get()
        return call.typed or _NOTHING if call is not None and call.vault is self else _NOTHING


_NOTHING = _Known()


def present_vault() -> Vault | None:
    """That of the team whose call this is; None outside of any call."""
    call = _CALL.get()
    return None if call is None else call.vault


def _may_hold(text: str, kinds: Iterable[_Known]) -> bool:
    """One quick look: False where certainly no whole secret stands in it."""
    for known in kinds:
        if len(text) >= known.shortest and ("%" in text or "\\" in text or "&" in text or known.may_be_in(text)):
            return True
    return False


def _spans(text: str, kinds: Sequence[_Known], *, parts: bool) -> Iterator[tuple[int, int]]:
    for view in views(text):
        yield from _whole(view, kinds)
        if parts:
            yield from _parts(view, kinds)
    if parts:
        for known in kinds:
            for word in known.short:
                yield from _words(text, word)


def _whole(view: View, kinds: Iterable[_Known]) -> Iterator[tuple[int, int]]:
    """Where whole secrets stand."""
    text = view.text
    for known in kinds:
        for secret, written in known.long.items():
            for spelling in written:
                at = text.find(spelling)
                while at >= 0:
                    end = at + len(spelling)
                    if spelling in in_base64(secret):
                        at, end = at - (text[at - 1 : at] in BASE64), end + (text[end : end + 1] in BASE64)
                    yield view.place(at, end)
                    at = text.find(spelling, end)


def _parts(view: View, kinds: Iterable[_Known]) -> Iterator[tuple[int, int]]:
    """Where pieces of secrets stand, `PART` characters each; longer ones come out as several that overlap.

    One look at each place of the text, however many secrets there are.
    """
    text = view.text
    places = range(len(text))
    there = {text[at : at + PART] for at in places}
    found = {piece for known in kinds if known.long for piece in there & known.pieces()}
    if found:
        for at in places:
            if text[at : at + PART] in found:
                yield view.place(at, at + PART)


def _words(text: str, word: str) -> Iterator[tuple[int, int]]:
    """Where a short secret stands alone, outside of a mask that is there already."""
    at = text.find(word)
    while at >= 0:
        end = at + len(word)
        alone = not (text[at - 1 : at].isalnum() or text[end : end + 1].isalnum())
        if alone and text[at - 1 : end + 1] != MASK:
            yield at, end
        at = text.find(word, end)


def _merged(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same places in order, those that touch as one."""
    made: list[tuple[int, int]] = []
    for start, stop in sorted(spans):
        if made and start <= made[-1][1]:
            made[-1] = (made[-1][0], max(made[-1][1], stop))
        else:
            made.append((start, stop))
    return made
