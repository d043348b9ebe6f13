"""The frontmatter of our own skills: the few lines of YAML that they use, and nothing else of YAML.

`key: text` on one line each, and one level below `metadata:`. A test reads the same files with a YAML parser and
compares, so that no dependency is needed where the skills are served.
"""

from __future__ import annotations

import re
from typing import TypeAlias

Frontmatter: TypeAlias = dict[str, str | dict[str, str]]

_FENCE = "---\n"
_LINE = re.compile(r"( {2})?([a-z][a-z-]*):(?: (\S.*))?")
_NOT_PLAIN = re.compile(r"""^[\s"'&*!|>%@`\[\]{},#?-]|: | #|:$|\s$""")  # what YAML would read as more than text


def split(text: str) -> tuple[Frontmatter, str]:
    """A skill's frontmatter and the text after it.

    Raises:
        ValueError: for what is not in the form above; the line is named.
    """
    before, *rest = text.split(_FENCE, 2)
    if before or len(rest) != 2:
        raise ValueError("a skill begins with frontmatter between two lines of ---")
    head, body = rest
    made: Frontmatter = {}
    inner: dict[str, str] | None = None
    for line in head.splitlines():
        found = _LINE.fullmatch(line)
        if found is None:
            raise ValueError(f"not a line of our frontmatter: {line}")
        indent, key, value = found.groups()
        if value is not None and _NOT_PLAIN.search(value):
            raise ValueError(f"YAML could read this value as more than text: {line}")
        if indent:
            if inner is None or value is None:
                raise ValueError(f"only text below a key without a value: {line}")
            inner[key] = value
        elif value is None:
            inner = made[key] = {}
        else:
            made[key], inner = value, None
    return made, body
