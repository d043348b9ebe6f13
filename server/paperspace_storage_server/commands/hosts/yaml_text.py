"""YAML, edited where it stands, as far as a list of servers needs it. It knows texts, not files and not hosts.

A library that keeps the formatting of a whole file indents it anew all the same; the places of its nodes are enough to
leave every other byte alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from paperspace_storage_server.commands.hosts.form import Change, Damaged, Plain

_COMMENT: Final = re.compile(r"#[^\r\n]*")
_STRING: Final = "tag:yaml.org,2002:str"
_NULL: Final = "tag:yaml.org,2002:null"
_DEEPEST: Final = 50
_MOST: Final = 100_000  # values, those that an alias repeats counted each time
_BY_HAND: Final = "written in a way that cannot be changed without touching the rest; change it by hand"

_Pairs: TypeAlias = "list[tuple[Node, Node]]"


@dataclass(frozen=True, slots=True)
class Yaml:
    """The form of YAML in which the list under one name is a table: each item a mapping with its `name`. A list that is
    not there, or null, is an empty one."""

    listed: str

    def read(self, text: str) -> Plain:
        """See `Form`. A scalar that is no string is read as its tag and its text."""
        root = _composed(text)
        plain = {} if root is None else _Reading().plain(root, 0)
        if not isinstance(plain, dict):
            raise Damaged("the whole is no mapping")
        items = plain.get(self.listed)
        if not isinstance(items, list | None):
            raise Damaged(f"{self.listed} is no list")
        return {**plain, self.listed: _by_name(items or [])}

    def change(self, text: str, changes: Sequence[Change]) -> str:
        """See `Form`."""
        for change in changes:
            text = self._one(text, change)
        return text

    def hide(self, text: str, shown: frozenset[str], key: str | None) -> str:
        """See `Form`."""
        parts: list[str] = []
        position = 0
        for node, named in sorted(_scalars(_composed(text)), key=lambda one: one[0].start_mark.index):
            start, end = node.start_mark.index, _end(node, text)
            if start < position:
                continue  # an alias
            parts.append(_COMMENT.sub("# [hidden]", text[position:start]))
            stays = named or node.value in shown or start == end
            parts.append('"[key]"' if node.value == key else text[start:end] if stays else '"[hidden]"')
            position = end
        return "".join([*parts, _COMMENT.sub("# [hidden]", text[position:])])

    def _one(self, text: str, change: Change) -> str:
        listed, name, *path = change.path
        assert listed == self.listed, "only the list is changed"
        root = _composed(text)
        key, items = _find(root, listed) if isinstance(root, MappingNode) else (None, None)
        found = [item for item in items.value if _name_of(item) == name] if isinstance(items, SequenceNode) else []
        if len(found) > 1:
            raise Damaged(f"{name} stands in {listed} twice")
        if not found:
            return text if change.value is None else _put_item(text, root, listed, key, items, name, change.value)
        item = found[0]
        if not isinstance(item, MappingNode):
            raise Damaged(_BY_HAND)
        if not path:
            assert isinstance(items, SequenceNode)
            return _take_item(text, key, items, item)
        return _set(text, item, path, change.value)


def _composed(text: str) -> Node | None:
    try:
        composed: Node | None = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "somewhere"
        raise Damaged(f"{where}: no YAML") from None
    except (yaml.YAMLError, RecursionError, ValueError):
        raise Damaged("no YAML") from None
    return composed


class _Reading:
    """Nodes into values, bounded: an alias may repeat what it names, and hold itself."""

    def __init__(self) -> None:
        self.seen = 0

    def plain(self, node: Node, depth: int) -> Plain:
        self.seen += 1
        if depth > _DEEPEST or self.seen > _MOST:
            raise Damaged("nested too deeply, or too large")
        if isinstance(node, MappingNode):
            pairs: dict[str, Plain] = {}
            for key, value in node.value:
                name = key.value if isinstance(key, ScalarNode) else str(self.plain(key, depth + 1))
                if name in pairs:
                    raise Damaged(f"line {key.start_mark.line + 1}: {name} stands there twice")
                pairs[name] = self.plain(value, depth + 1)
            return pairs
        if isinstance(node, SequenceNode):
            return [self.plain(one, depth + 1) for one in node.value]
        if node.tag == _NULL:
            return None
        return node.value if node.tag == _STRING else f"{node.tag} {node.value}"


def _by_name(items: list[Plain]) -> dict[str, Plain]:
    """Each item under its name, without it; what has none, or another's, under a name that nobody writes."""
    named: dict[str, Plain] = {}
    for position, item in enumerate(items):
        name = item.get("name") if isinstance(item, dict) else None
        if not isinstance(item, dict) or not isinstance(name, str):
            named[f"\0{position}"] = item
            continue
        rest = {key: value for key, value in item.items() if key != "name"}
        named[name if name not in named else f"{name} (item {position + 1})"] = rest
    return named


def _find(node: MappingNode, name: str) -> tuple[Node | None, Node | None]:
    for key, value in node.value:
        if isinstance(key, ScalarNode) and key.value == name:
            return key, value
    return None, None


def _name_of(item: Node) -> str | None:
    value = _find(item, "name")[1] if isinstance(item, MappingNode) else None
    return value.value if isinstance(value, ScalarNode) else None


def _scalars(node: Node | None, named: bool = False, depth: int = 0) -> list[tuple[ScalarNode, bool]]:
    """Every scalar, and whether it is a name."""
    if isinstance(node, ScalarNode):
        return [(node, named)]
    if isinstance(node, MappingNode):
        pairs = [(one, is_key) for key, value in node.value for one, is_key in ((key, True), (value, False))]
        return [found for one, is_key in pairs for found in _scalars(one, is_key, depth + 1)]
    return [found for one in node.value for found in _scalars(one)] if isinstance(node, SequenceNode) else []


def _end(node: Node, text: str) -> int:
    """Where its text ends: that of a block ends with its last scalar, not before the next token."""
    if isinstance(node, MappingNode) and not node.flow_style:
        return max(max(_end(key, text), _end(value, text)) for key, value in node.value)
    if isinstance(node, SequenceNode) and not node.flow_style:
        return max(_end(one, text) for one in node.value)
    start, end = node.start_mark.index, node.end_mark.index
    return start + len(text[start:end].rstrip(" \t\r\n")) if isinstance(node, ScalarNode) else end


def _line_start(text: str, position: int) -> int:
    return text.rfind("\n", 0, position) + 1


def _after_line(text: str, position: int) -> tuple[str, int]:
    """The text, which now has a line break after this position, and where the next line begins."""
    end = text.find("\n", position)
    if end < 0:
        return text + "\n", len(text) + 1
    return text, end + 1


def _lines(name: str, value: Plain, indent: int) -> list[str]:
    """A pair, in block form; text always in double quotes but where it is a plain word or path."""
    space = " " * indent
    if isinstance(value, dict) and value:
        return [f"{space}{name}:", *(line for key, one in value.items() for line in _lines(key, one, indent + 2))]
    if isinstance(value, list) and value:
        return [f"{space}{name}:", *(f"{space}  - {_scalar(one)}" for one in value)]
    return [f"{space}{name}: {_scalar(value)}"]


def _scalar(value: Plain) -> str:
    if isinstance(value, str) and re.fullmatch(r"[/A-Za-z_][\w/.-]*", value, re.ASCII):
        read = _composed(value)  # `yes` and `null` are no text without their quotes
        if read is not None and (read.tag, read.value) == (_STRING, value):
            return value
    return json.dumps(value, ensure_ascii=False)


def _item(name: str, value: Plain, indent: int, line: str) -> str:
    table = value if isinstance(value, dict) else {}
    lines = [one for key, part in {"name": name, **table}.items() for one in _lines(key, part, indent + 2)]
    return line.join([" " * indent + "- " + lines[0].lstrip(), *lines[1:]]) + line


def _put_item(
    text: str, root: Node | None, listed: str, key: Node | None, items: Node | None, name: str, value: Plain
) -> str:
    line = "\r\n" if "\r\n" in text else "\n"
    if root is not None and (not isinstance(root, MappingNode) or root.flow_style):
        raise Damaged(_BY_HAND)
    if key is None or items is None:
        text += "" if not text or text.endswith("\n") else line
        return f"{text}{listed}:{line}{_item(name, value, 2, line)}"
    if isinstance(items, SequenceNode) and items.value:
        if items.flow_style:
            table = {"name": name, **value} if isinstance(value, dict) else {}
            at = _end(items.value[-1], text)
            return f"{text[:at]}, {json.dumps(table, ensure_ascii=False)}{text[at:]}"
        text, at = _after_line(text, _end(items, text))
        return text[:at] + _item(name, value, items.start_mark.column, line) + text[at:]
    colon = text.index(":", key.end_mark.index) + 1
    text = (
        text[:colon]
        + text[max(colon, items.end_mark.index if isinstance(items, SequenceNode) else _end(items, text)) :]
    )
    text, at = _after_line(text, colon)
    return text[:at] + _item(name, value, key.start_mark.column + 2, line) + text[at:]


def _take_item(text: str, key: Node | None, items: SequenceNode, item: MappingNode) -> str:
    """Without the item, and without the list where nothing else is in it."""
    start, end = item.start_mark.index, _end(item, text)
    if items.flow_style:
        return _cut_flow(text, [(one, one) for one in items.value], item)
    first = _line_start(text, start)
    if text[first:start].strip() != "-":
        raise Damaged(_BY_HAND)
    if len(items.value) == 1 and key is not None:
        colon = text.index(":", key.end_mark.index) + 1
        if not text[colon:first].strip():
            first = _line_start(text, key.start_mark.index)
    text, after = _after_line(text, end)
    return text[:first] + text[after:]


def _cut_flow(text: str, pairs: _Pairs, taken: Node) -> str:
    """Without one pair, or item, of a flow collection, and without its comma."""
    position = next(index for index, (key, _) in enumerate(pairs) if key is taken)
    start, end = pairs[position][0].start_mark.index, _end(pairs[position][1], text)
    if position + 1 < len(pairs):
        end = pairs[position + 1][0].start_mark.index
    elif position:
        start = _end(pairs[position - 1][1], text)
    return text[:start] + text[end:]


def _set(text: str, node: MappingNode, path: list[str], value: Plain) -> str:
    """A value put in a mapping, or taken out of it."""
    key, old = _find(node, path[0])
    line = "\r\n" if "\r\n" in text else "\n"
    if len(path) > 1 and isinstance(old, MappingNode):
        return _set(text, old, path[1:], value)
    if len(path) > 1 and value is not None:
        value = {path[1]: value}
    if key is None or old is None:
        if value is None:
            return text
        at = _end(node, text)
        if node.flow_style:
            at = _end(node.value[-1][1], text) if node.value else node.start_mark.index + 1
            comma = ", " if node.value else ""
            return f"{text[:at]}{comma}{json.dumps(path[0])}: {json.dumps(value, ensure_ascii=False)}{text[at:]}"
        text, at = _after_line(text, at)
        return text[:at] + line.join(_lines(path[0], value, node.start_mark.column)) + line + text[at:]
    if value is None and node.flow_style:
        return _cut_flow(text, node.value, key)
    if value is None:
        first = _line_start(text, key.start_mark.index)
        if text[first : key.start_mark.index].strip():
            raise Damaged(_BY_HAND)
        text, after = _after_line(text, max(_end(key, text), _end(old, text)))
        return text[:first] + text[after:]
    start = old.start_mark.index
    if (isinstance(old, MappingNode | SequenceNode) and not old.flow_style) or old.tag == _NULL:
        start = text.index(":", key.end_mark.index) + 1
        return f"{text[:start]} {json.dumps(value, ensure_ascii=False)}{text[max(start, _end(old, text)) :]}"
    return f"{text[:start]}{_scalar(value)}{text[_end(old, text) :]}"
