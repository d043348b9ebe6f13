"""JSON with comments, edited where it stands: a member is put in, changed or taken out, and no other byte moves. It
knows texts, not files and not hosts.

No library does this for Python 3.11 without another runtime (`jsonc-edit` starts Node, `jsonc-document` needs 3.12),
and all that is needed is to know where each value begins and ends.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from paperspace_storage_server.commands.hosts.form import Change, Damaged, Plain

_SPACE: Final = " \t\r\n"
_NUMBER: Final = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?")
_STRING: Final = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"')
_TOKENS: Final = re.compile(_STRING.pattern + r"|//[^\r\n]*|/\*.*?\*/", re.DOTALL)
_REST_OF_LINE: Final = re.compile(r"[ \t]*(?:\r?\n|$)")
_NAME: Final = re.compile(r"\s*:")
_WORDS: Final[dict[str, Plain]] = {"true": True, "false": False, "null": None}
_DEEPEST: Final = 100
_LONGEST_NUMBER: Final = 1000


@dataclass(slots=True)
class Member:
    """A member of an object: its key, the span from the key to the end of its value, and its own comma, if any."""

    key: str
    start: int
    value: Node
    comma: int | None = None

    @property
    def end(self) -> int:
        return self.value.end


@dataclass(slots=True)
class Node:
    """A value, where it stands, and for an object its members, twins included. `content` is where what is between
    the braces ends, comments included; `commented` says whether a line comment is the last of it."""

    start: int
    end: int
    plain: Plain
    members: list[Member] | None = None
    content: int = 0
    commented: bool = False


@dataclass(slots=True)
class Jsonc:
    """A form of JSON: whether comments are allowed, and commas after the last member."""

    comments: bool = False
    trailing: bool = False

    def read(self, text: str) -> Plain:
        """The value; of members with one name the last counts. An empty text is an empty object. Raises `Damaged`."""
        return self._root(text).plain

    def change(self, text: str, changes: Sequence[Change]) -> str:
        """The text with the changes, in their order. Raises `Damaged`."""
        if not text.strip("\ufeff" + _SPACE):
            text += "{}\n"
        for change in changes:
            text = self._one(text, change)
        return text

    def hide(self, text: str, shown: frozenset[str], key: str | None) -> str:
        """See `Form`."""

        def hidden(found: re.Match[str]) -> str:
            token = found[0]
            if token.startswith("/"):
                return token[:2] + " [hidden]" + ("*/" if token.startswith("/*") else "")
            string: str = json.loads(token)
            if string == key:
                return '"[key]"'
            return token if string in shown or _NAME.match(text, found.end()) else '"[hidden]"'

        return _TOKENS.sub(hidden, text)

    def _root(self, text: str) -> Node:
        return _Reader(text, self).document()

    def _one(self, text: str, change: Change) -> str:
        root = node = self._root(text)
        for depth, key in enumerate(change.path):
            if node.members is None:
                raise Damaged(f"{'.'.join(change.path[:depth]) or 'the whole'} is no object")
            found = [member for member in node.members if member.key == key]
            if len(found) > 1:
                raise Damaged(f'{_at(text, found[1].start)}: "{key}" stands there twice')
            last = depth == len(change.path) - 1
            if not found:
                if change.value is None:
                    return text
                value: Plain = change.value
                for inner in reversed(change.path[depth + 1 :]):
                    value = {inner: value}
                return _put(text, root, node, key, value)
            if last and change.value is None:
                return _take(text, node, found[0])
            if last:
                return _replace(text, root, found[0], change.value)
            node = found[0].value
        raise AssertionError("a change names something")


def _replace(text: str, root: Node, member: Member, value: Plain) -> str:
    """A value in the place of another; one that is the same stays as it is written."""
    if member.value.plain == value and type(member.value.plain) is type(value):
        return text
    indent = _indent_of(text, member.start)
    written = _written(value, text, root, indent)
    return text[: member.value.start] + written + text[member.value.end :]


def _put(text: str, root: Node, node: Node, key: str, value: Plain) -> str:
    """A new last member, laid out like those before it."""
    members = node.members or []
    indent, before, after = None, " " if members else "", ""
    if not _in_one_line(text, root, node):
        own, line = _indent_of(text, node.start), _line_end(text)
        in_lines = bool(members) and _alone(text, members[0].start)
        indent = _indent_of(text, members[0].start) if in_lines else own + _unit(text, root)
        before, after = line + indent, "" if "\n" in text[node.content : node.end] else line + own
    written = f"{json.dumps(key, ensure_ascii=False)}: {_written(value, text, root, indent)}"
    at = node.content
    if members and members[-1].comma is None:
        text, at = text[: members[-1].end] + "," + text[members[-1].end :], at + 1
    elif members:
        written += ","
    return text[:at] + before + written + after + (text[at:].lstrip(" \t") if after else text[at:])


def _take(text: str, node: Node, member: Member) -> str:
    """Without a member, its comma, and its lines where nothing else stands in them."""
    members = node.members or []
    position = next(index for index, one in enumerate(members) if one is member)
    last = position == len(members) - 1
    start, end = member.start, member.end
    cuts: list[tuple[int, int]] = []
    if member.comma is not None and _is_space(text[end : member.comma]):
        end = member.comma + 1
    elif member.comma is not None:  # the comment between may be about anything, and stays
        cuts.append((member.comma, member.comma + 1))
    elif position and (comma := members[position - 1].comma) is not None:
        cuts.append((comma, comma + 1))
    line = _REST_OF_LINE.match(text, end)
    if _alone(text, start) and line is not None:
        start, end = text.rfind("\n", 0, start) + 1, line.end()
    elif last:
        start = len(text[:start].rstrip(" \t"))
    else:
        end = len(text) - len(text[end:].lstrip(" \t"))
    cuts.append((start, end))
    for start, end in sorted(cuts, reverse=True):
        text = text[:start] + text[end:]
    inside = node.start + 1, node.end - 1 - sum(end - start for start, end in cuts)
    if len(members) == 1 and _is_space(text[inside[0] : inside[1]]):
        text = text[: inside[0]] + text[inside[1] :]
    return text


def _written(value: Plain, text: str, root: Node, indent: str | None) -> str:
    """As JSON: in one line without an indent, else in lines that stand at it; a list of words stays in one."""
    if isinstance(value, dict) and value and indent is not None:
        deeper = indent + _unit(text, root)
        line = _line_end(text)
        members = [f"{deeper}{json.dumps(key)}: {_written(one, text, root, deeper)}" for key, one in value.items()]
        return "{" + line + ("," + line).join(members) + line + indent + "}"
    return json.dumps(value, ensure_ascii=False)


def _line_end(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _unit(text: str, root: Node) -> str:
    """What one step is indented by, as the first member of the text shows it."""
    first = root.members[0].start if root.members else 0
    return (_indent_of(text, first) if _alone(text, first) else "") or "  "


def _indent_of(text: str, position: int) -> str:
    start = text.rfind("\n", 0, position) + 1
    return text[start : start + len(text[start:]) - len(text[start:].lstrip(" \t"))]


def _alone(text: str, position: int) -> bool:
    """Whether only space stands before it in its line."""
    return _is_space(text[text.rfind("\n", 0, position) + 1 : position])


def _is_space(text: str) -> bool:
    return not text.strip(_SPACE)


def _in_one_line(text: str, root: Node, node: Node) -> bool:
    if node.commented:
        return False
    if node.members:
        return "\n" not in text[node.start : node.members[-1].end] or not _alone(text, node.members[-1].start)
    return bool(root.members) and "\n" not in text[root.start : root.end]


def _at(text: str, position: int) -> str:
    line = text.count("\n", 0, position) + 1
    return f"line {line}, column {position - text.rfind(chr(10), 0, position)}"


class _Reader:
    """One pass over one text."""

    def __init__(self, text: str, form: Jsonc) -> None:
        self.text, self.form = text, form
        self.at = 1 if text.startswith("\ufeff") else 0
        self.commented = False  # whether a line comment is the last thing skipped
        self.content = 0  # where the last comment that was skipped ends

    def document(self) -> Node:
        self.skip()
        if self.at == len(self.text):
            return Node(self.at, self.at, {}, [], self.at)
        node = self.value(0)
        self.skip()
        if self.at < len(self.text):
            raise self.damaged("something after the end")
        return node

    def damaged(self, what: str, at: int | None = None) -> Damaged:
        return Damaged(f"{_at(self.text, self.at if at is None else at)}: {what}")

    def skip(self) -> None:
        """Over space and comments."""
        self.commented, self.content = False, self.at
        text = self.text
        while self.at < len(text):
            if text[self.at] in _SPACE:
                self.at += 1
                continue
            kind = text[self.at : self.at + 2]
            if kind not in ("//", "/*"):
                return
            if not self.form.comments:
                raise self.damaged("a comment, which this file may not have")
            end = text.find("\n" if kind == "//" else "*/", self.at + 2)
            if kind == "//":
                self.at = len(text) if end < 0 else end - (text[end - 1] == "\r")
            elif end < 0:
                raise self.damaged("a comment without an end")
            else:
                self.at = end + 2
            self.commented, self.content = kind == "//", self.at

    def value(self, depth: int) -> Node:
        start, text = self.at, self.text
        if depth > _DEEPEST:
            raise self.damaged("nested too deeply")
        if text.startswith("{", start):
            return self.object(depth)
        if text.startswith("[", start):
            return self.array(depth)
        if text.startswith('"', start):
            return self.scalar(self.string(), start)
        for word, plain in _WORDS.items():
            if text.startswith(word, start):
                self.at += len(word)
                return self.scalar(plain, start)
        if number := _NUMBER.match(text, start):
            self.at = number.end()
            if len(number[0]) > _LONGEST_NUMBER:
                raise self.damaged("a number that is too long", start)
            return self.scalar(json.loads(number[0]), start)
        raise self.damaged("a value was expected" if start < len(text) else "the end came too early")

    def scalar(self, plain: Plain, start: int) -> Node:
        return Node(start, self.at, plain)

    def string(self) -> str:
        found = _STRING.match(self.text, self.at)
        try:
            plain: str = json.loads(found[0]) if found else ""
        except ValueError:
            found = None
            plain = ""
        if found is None:
            raise self.damaged("a string that is not written right")
        self.at = found.end()
        return plain

    def object(self, depth: int) -> Node:
        start = self.at
        members: list[Member] = []
        self.at += 1
        self.skip()
        while not self.text.startswith("}", self.at):
            self.ready(bool(members), members[-1].comma is not None if members else False)
            if not self.text.startswith('"', self.at):
                raise self.damaged('a name in double quotes, or "}", was expected')
            at = self.at
            key = self.string()
            self.skip()
            if not self.text.startswith(":", self.at):
                raise self.damaged('":" was expected')
            self.at += 1
            self.skip()
            members.append(Member(key, at, self.value(depth + 1)))
            members[-1].comma = self.comma()
        self.closed("}", members[-1].comma if members else None)
        plain: dict[str, Plain] = {member.key: member.value.plain for member in members}
        return Node(start, self.at, plain, members, self.content, self.commented)

    def array(self, depth: int) -> Node:
        start = self.at
        items: list[Plain] = []
        comma: int | None = None
        self.at += 1
        self.skip()
        while not self.text.startswith("]", self.at):
            self.ready(bool(items), comma is not None)
            items.append(self.value(depth + 1).plain)
            comma = self.comma()
        self.closed("]", comma)
        return Node(start, self.at, items)

    def ready(self, later: bool, after_comma: bool) -> None:
        if later and not after_comma:
            raise self.damaged('"," was expected' if self.at < len(self.text) else "the end came too early")

    def comma(self) -> int | None:
        """The position of the comma that follows, past which it goes on."""
        self.skip()
        if not self.text.startswith(",", self.at):
            return None
        at = self.at
        self.at += 1
        self.skip()
        return at

    def closed(self, bracket: str, comma: int | None) -> None:
        if comma is not None and not self.form.trailing:
            raise self.damaged(f'a comma before "{bracket}", which this file may not have', comma)
        self.at += 1
