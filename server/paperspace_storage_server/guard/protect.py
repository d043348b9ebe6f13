"""The operator's globs over names and ids that no tool may delete, restore over, shrink, rename or replace."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import translate
from unicodedata import normalize

from paperspace_storage_tools.text import clean

_SELECTORS = re.compile("[\ufe0e\ufe0f]")  # they choose how a character is drawn, not which one it is
_BLANKS = re.compile(r"\s+")


class Protection:
    """`prod-*` covers `Prod-db`, also where it is typed with full-width or decomposed letters, with spaces around it or
    with invisible characters in it. A glob covers the very name that it spells, too: `data[1]` both `data1` and
    `data[1]`. A bracket alone is written `[[]`.

    Every spelling of a name is tried against every reading of a glob, so a doubt protects.
    """

    def __init__(self, globs: Sequence[str]) -> None:
        self._globs = [(glob, [re.compile(translate(one)) for one in _readings(glob)]) for glob in globs]

    def __bool__(self) -> bool:
        return bool(self._globs)

    def match(self, *names: str) -> str | None:
        """The first glob that covers one of the names or ids, or None."""
        spellings = {spelling for name in names for spelling in _spellings(name) if spelling}
        for glob, readings in self._globs:
            if any(reading.match(spelling) for reading in readings for spelling in spellings):
                return glob
        return None


def _readings(glob: str) -> set[str]:
    """As a glob in every spelling, and with its brackets meant as brackets."""
    return {one for spelling in _spellings(glob) for one in (spelling, spelling.replace("[", "[[]")) if one}


def _spellings(name: str) -> set[str]:
    """As it came, and as it is meant. As it came too, for a glob may count characters or name a range of them."""
    return {name, name.casefold(), _meant(name)}


def _meant(name: str) -> str:
    """The name without what one does not see: case, width, composition, invisible characters, outer and wide spaces."""
    name = _SELECTORS.sub("", clean(name))
    # Unicode's own caseless match of identifiers (Default Caseless Matching, D146): folding can undo a composition.
    name = normalize("NFKC", normalize("NFKC", normalize("NFD", name).casefold()).casefold())
    return _BLANKS.sub(" ", clean(name)).strip()
