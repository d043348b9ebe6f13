"""The operator's globs over names and ids that no tool may delete, restore over, shrink, rename or replace."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from paperspace_storage_tools.text import clean


class Protection:
    """Case does not matter, nor do invisible characters: `prod-*` covers `Prod-db` and a `p\\u200brod-db`."""

    def __init__(self, globs: Sequence[str]) -> None:
        self._globs = tuple(globs)

    def __bool__(self) -> bool:
        return bool(self._globs)

    def match(self, *names: str) -> str | None:
        """The first glob that covers one of the names or ids, or None."""
        spellings = {spelling.casefold() for name in names for spelling in (name, clean(name)) if spelling}
        for glob in self._globs:
            if any(fnmatchcase(spelling, glob.casefold()) for spelling in spellings):
                return glob
        return None
