"""Reads what a caller sent, field by field, and gathers all that is wrong; knows no operation and no dialect."""

import re
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self, cast

from .refusals import Issue, bad_request

_MOST_ISSUES = 20
_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
_NAME_WORTH_REPEATING = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,39}")
_ADDRESS = re.compile(r"https?://[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]{1,5})?(?:/[A-Za-z0-9._~/-]*)?")


class Fields:
    """One JSON object being read; on leaving the `with` block a refusal names everything that was wrong.

    A method answers a harmless value where it noted an issue, so that reading goes on.
    A field that nobody asked for is an issue too.
    """

    def __init__(self, value: object, path: str = "", issues: list[Issue] | None = None) -> None:
        self._path = path
        self._issues: list[Issue] = [] if issues is None else issues
        self._asked: set[str] = set()
        self._sections: list[Fields] = []
        self._values: Mapping[str, object] = {}
        self._is_object = isinstance(value, dict)
        if isinstance(value, dict):
            self._values = cast("dict[str, object]", value)
        else:
            self._issues.append(Issue(path, "must be a JSON object"))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._refuse_unknown()
            if self._issues:
                raise bad_request("The request body is not valid.", self._issues[:_MOST_ISSUES])

    def text(self, name: str, longest: int = 1024) -> str:
        """A required string that is more than white space."""
        value = self._required(name)
        return "" if value is None else self._text(name, value, longest)

    def optional_text(self, name: str, longest: int = 1024, *, blank: bool = False) -> str | None:
        """A string, or None where the field is absent; null is an issue."""
        if name not in self._take(name):
            return None
        return self._text(name, self._values[name], longest, blank=blank)

    def nullable_text(self, name: str, longest: int = 1024) -> str | None:
        """A string, or None where the field is absent or null."""
        value = self._take(name).get(name)
        return None if value is None else self._text(name, value, longest)

    def nullable_address(self, name: str) -> str | None:
        """An http or https address, or None where the field is absent or null."""
        value = self.nullable_text(name)
        if value and not _ADDRESS.fullmatch(value):
            self.issue(name, "must be an http or https address")
        return value

    def whole(self, name: str, least: int, most: int) -> int:
        """A required whole number."""
        value = self._required(name)
        return least if value is None else self._whole(name, value, least, most)

    def optional_whole(self, name: str, least: int, most: int) -> int | None:
        """A whole number, or None where the field is absent; null is an issue."""
        if name not in self._take(name):
            return None
        return self._whole(name, self._values[name], least, most)

    def flag(self, name: str) -> bool:
        """A required boolean."""
        value = self._required(name)
        return False if value is None else self._flag(name, value)

    def optional_flag(self, name: str, *, null: bool = False) -> bool:
        """A boolean, or False where the field is absent (or null, where that is allowed)."""
        if name not in self._take(name) or (null and self._values[name] is None):
            return False
        return self._flag(name, self._values[name])

    def choice(self, name: str, options: Sequence[str]) -> str:
        """A required string out of a few."""
        value = self._required(name)
        if value is not None and value not in options:
            self.issue(name, f"must be one of {', '.join(options)}")
        return value if isinstance(value, str) else ""

    def section(self, name: str) -> "Fields":
        """A required object inside this one, read with the same issues."""
        value = self._required(name)
        section = Fields({} if value is None else value, self._at(name), self._issues)
        section._is_object = section._is_object and value is not None
        self._sections.append(section)
        return section

    def issue(self, name: str, message: str) -> None:
        """Notes what is wrong with a field."""
        self._issues.append(Issue(self._at(name), message))

    def _at(self, name: str) -> str:
        return f"{self._path}.{name}" if self._path else name

    def _take(self, name: str) -> Mapping[str, object]:
        self._asked.add(name)
        return self._values

    def _required(self, name: str) -> object:
        value = self._take(name).get(name)
        if value is None and self._is_object:
            self.issue(name, "must not be null" if name in self._values else "is required")
        return value

    def _text(self, name: str, value: object, longest: int, *, blank: bool = False) -> str:
        if not isinstance(value, str):
            self.issue(name, "must be a string")
        elif not blank and not value.strip():
            self.issue(name, "must not be empty")
        elif len(value) > longest:
            self.issue(name, f"must be at most {longest} characters long")
        elif not storable(value):
            self.issue(name, "must be Unicode text without a null character")
        else:
            return value
        return ""

    def _whole(self, name: str, value: object, least: int, most: int) -> int:
        # JSON knows one kind of number: 250.0 is a whole one.
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            self.issue(name, "must be a whole number")
        elif not least <= value <= most:
            self.issue(name, f"must be between {least} and {most}")
        else:
            return value
        return least

    def _flag(self, name: str, value: object) -> bool:
        if not isinstance(value, bool):
            self.issue(name, "must be true or false")
        return value is True

    def _refuse_unknown(self) -> None:
        for name in self._values:
            if name not in self._asked:
                known = _NAME_WORTH_REPEATING.fullmatch(name)
                self.issue(name if known else "?", "is not a field of this request")
        for section in self._sections:
            section._refuse_unknown()


class Query:
    """The query string being read; on leaving the `with` block a refusal names everything that was wrong.

    A parameter that nobody asked for is ignored.
    """

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values
        self._issues: list[Issue] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None and self._issues:
            raise bad_request("The query is not valid.", self._issues)

    def text(self, name: str) -> str | None:
        """A parameter as sent."""
        return self._values.get(name)

    def whole(self, name: str, least: int, most: int) -> int | None:
        """A whole number in decimal digits."""
        value = self._values.get(name)
        if value is None:
            return None
        if not _WHOLE.fullmatch(value):
            self.issue(name, "must be a whole number")
        elif not least <= int(value) <= most:
            self.issue(name, f"must be between {least} and {most}")
        else:
            return int(value)
        return least

    def choice(self, name: str, options: Sequence[str]) -> str:
        """One out of a few; the first where the parameter is absent."""
        value = self._values.get(name, options[0])
        if value not in options:
            self.issue(name, f"must be one of {', '.join(options)}")
        return value

    def issue(self, name: str, message: str) -> None:
        """Notes what is wrong with a parameter."""
        self._issues.append(Issue(name, message))


def storable(text: str) -> bool:
    """Whether a text can be stored and sent: no half of a surrogate pair, and no null, which SQL databases refuse."""
    return "\0" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)
