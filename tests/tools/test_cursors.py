"""Cursors and globs: what is handed out comes back as the same place, and a pattern costs no more than its length."""

from __future__ import annotations

import fnmatch
import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from paperspace_storage_tools.arguments import Paging
from paperspace_storage_tools.cursors import LONGEST_CURSOR, Place, read, write
from paperspace_storage_tools.errors import Malformed
from paperspace_storage_tools.globs import matcher

_CURSORS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40) | st.from_regex(r"\A~[0-9a-f]{6}:[^:]*:.*\Z")


@given(_CURSORS, st.none() | st.text(st.characters(codec="utf-8"), min_size=1, max_size=20))
def test_a_place_that_is_handed_out_is_taken_back_as_the_same(cursor: str, last: str | None) -> None:
    written = write(Place(cursor, last))
    assert read(written) == Place(cursor, last)
    assert Paging.model_validate({"after": written}).after == written


def test_a_cursor_of_the_api_goes_out_as_it_is() -> None:
    assert write(Place("WyJjcmVhdGVkIl0=")) == "WyJjcmVhdGVkIl0="
    assert write(Place("WyJjcmVhdGVkIl0=", "ss1")) == "~ec36d8:ss1:WyJjcmVhdGVkIl0="
    assert write(Place(None, "ss1")) == "~18a054:ss1:"
    assert read("~18a054:ss1:") == Place(None, "ss1")


@given(st.data())
def test_a_cursor_of_ours_that_was_changed_is_refused(data: st.DataObject) -> None:
    written = write(Place("c/2+x=", "ss1"))
    at = data.draw(st.integers(1, len(written) - 1))
    changed = written[:at] + data.draw(st.sampled_from(["", ":", "x"])) + written[at + 1 :]
    assume(changed != written)
    with pytest.raises(ValueError, match="exactly as a list gave it"):
        read(changed)


@pytest.mark.parametrize("cursor", ["x" * (LONGEST_CURSOR + 1), "\u200b" * 1000])
def test_a_cursor_that_could_not_be_handed_back_is_not_handed_out(cursor: str) -> None:
    with pytest.raises(Malformed, match="too long to be handed on"):
        write(Place(cursor))
    assert len(write(Place("x" * LONGEST_CURSOR))) == LONGEST_CURSOR


@given(st.text("ab*", max_size=8), st.text("ab", max_size=8))
def test_a_glob_stands_for_what_the_shell_takes_it_for(pattern: str, name: str) -> None:
    assert matcher(pattern)(name) == fnmatch.fnmatchcase(name, pattern)
    assert matcher(pattern)(None) is False


@pytest.mark.parametrize("letters", ["?", "[ab]", "a.b", "a+", "^a$", "\\"])
def test_nothing_but_a_star_is_special(letters: str) -> None:
    assert matcher(f"{letters}*")(letters)
    assert not matcher(f"{letters}*")("ab")
    assert not matcher(letters.upper() + "*")("b" + letters)


def test_a_pattern_of_many_stars_takes_no_longer() -> None:
    pattern, name = "*a" * 127 + "*b", "a" * 255
    assert not matcher(pattern)(name)
    assert re.fullmatch(r"(\*a)+\*b", pattern)


def test_case_counts() -> None:
    assert not matcher("Data*")("datasets")
