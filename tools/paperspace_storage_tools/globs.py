"""Filters by name: exact, or a glob where it holds `*`, which stands for any characters. Knows no tool."""

from __future__ import annotations

from collections.abc import Callable

Matches = Callable[[str | None], bool]


def is_glob(pattern: str | None) -> bool:
    return pattern is not None and "*" in pattern


def exact_or_none(pattern: str | None) -> str | None:
    """What an API that filters by exact values can be asked for."""
    return None if is_glob(pattern) else pattern


def matcher(pattern: str) -> Matches:
    """Whether a value fits. It takes time in proportion to its length, whatever the pattern: no backtracking."""
    if "*" not in pattern:
        return lambda value: value == pattern
    first, *middle, last = pattern.split("*")

    def matches(value: str | None) -> bool:
        if value is None or len(value) < len(first) + len(last):
            return False
        if not (value.startswith(first) and value.endswith(last)):
            return False
        at, end = len(first), len(value) - len(last)
        for part in middle:
            found = value.find(part, at, end)
            if found < 0:
                return False
            at = found + len(part)
        return True

    return matches
