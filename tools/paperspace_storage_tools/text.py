"""Which characters may reach a model or a terminal, and which may not.

Text in the API's fields was typed by someone: control and ANSI sequences rewrite a terminal, bidirectional
and zero-width characters make a name look like another, tag characters and runs of variation selectors
carry instructions that only a model sees. This module says which; the guard decides what happens then.
"""

from __future__ import annotations

import re
import unicodedata

# Unicode 15.1: categories Cc, Cf, Cs, Zl and Zp, then what draws nothing although it counts as a letter,
# a mark or a symbol (Hangul fillers, the combining grapheme joiner, Khmer inherent vowels, Mongolian
# selectors, the blank braille pattern), all of plane 14, and the non-characters.
_FORBIDDEN = (
    r"\x00-\x1f\x7f-\x9f\xad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160"
    r"\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u2800\u3164\ud800-\udfff"
    r"\ufdd0-\ufdef\ufe00-\ufe0d\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff"
)
_FORBIDDEN_BEYOND = (  # the basic plane
    r"\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
) + "".join(f"\\U{plane:04x}fffe\\U{plane:04x}ffff" for plane in range(1, 17))
# A selector for text or emoji style (U+FE0E, U+FE0F) is ordinary after one character; a run of them is a cipher.
_SELECTORS = r"\ufe0e\ufe0f"
_SELECTOR_RUN = f"[{_SELECTORS}](?:(?<=[{_SELECTORS}]{{2}})|(?<=^[{_SELECTORS}]))"
# The look ahead passes over what most text is made of in a tenth of the time: a class of the basic plane is a bitmap.
FORBIDDEN = re.compile(
    rf"(?=[{_FORBIDDEN}{_SELECTORS}\U00010000-\U0010ffff])(?:[{_FORBIDDEN}]|[{_FORBIDDEN_BEYOND}]|{_SELECTOR_RUN})"
)
_ANSI = re.compile(r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[ -/]*[0-~]")
_BREAK = re.compile(r"[\t\n\v\f\r\x85\u2028\u2029]+")


def has_forbidden(text: str) -> bool:
    """Whether `clean` would change the text."""
    if text.isascii():
        return not text.isprintable()
    return FORBIDDEN.search(text) is not None


def clean(text: str) -> str:
    """The text without what may not come out. Line breaks become one space; clean text comes back unchanged."""
    if not has_forbidden(text):
        return text
    text = _BREAK.sub(" ", _ANSI.sub("", text))
    while has_forbidden(text):
        # Removal can bring two selectors together, so it is repeated; every round is shorter.
        text = FORBIDDEN.sub("", text)
    return text


LONGEST_QUOTED = 120  # characters of a name in a sentence; the id beside it tells the rest


def in_quotes(name: str) -> str:
    """A name as a quotation that cannot be taken for the sentence around it.

    Quotation marks and backslashes are escaped, whatever kind of mark; any run of spaces, of whatever width, is one
    space; and beyond `LONGEST_QUOTED` characters it is cut, so that nothing can be pushed out of sight.
    """
    name = "".join(" " if unicodedata.category(one) == "Zs" else one for one in clean(name))
    name = " ".join(name.split(" "))
    name = re.sub(" {2,}", " ", name)
    if len(name) > LONGEST_QUOTED:
        name = name[: LONGEST_QUOTED - 1] + "…"
    return '"' + "".join(f"\\{one}" if one in '"\\' else _mark(one) for one in name) + '"'


def _mark(one: str) -> str:
    """Other quotation marks, which a person may read as the end of ours, by their number."""
    return f"\\u{ord(one):04x}" if unicodedata.category(one) in ("Pi", "Pf") or one in _MARKS else one


_MARKS = "\u201a\u201e\u2033\u2036\u275d\u275e\u301d\u301e\u301f\uff02\u02ba\u02ee\u05f4"
