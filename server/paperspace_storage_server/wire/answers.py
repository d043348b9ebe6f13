"""Reading answers: what both dialects share. A status, a content type and a body become a value or a failure."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterable
from itertools import chain
from typing import Protocol, TypeVar, cast

import msgspec
from msgspec import Struct, ValidationError
from msgspec.json import Decoder
from pydantic_core import to_json

from paperspace_storage_server.wire.messages import Answer
from paperspace_storage_server.wire.parsing import decoder, parsed, whole_characters
from paperspace_storage_server.wire.parts import LARGEST_WHOLE, MOST_OF_PAGE, is_error_sized, parts
from paperspace_storage_tools.errors import Failure, Kind, Malformed, RateLimited, Refused, ServerTrouble, Unsupported
from paperspace_storage_tools.text import clean

T = TypeVar("T")

_KEPT = 8192  # characters of an API's message: more than are shown, for what is cut cannot be masked
_MOST_ISSUES = 5
_ERROR_FIELDS = ("error", "errors")
# How msgspec words what is wrong; only a member of a fixed choice is quoted, and that stands before the last `_AT`.
_AT = " - at `$"
_TOO_LONG = "Expected `array` of length <="
_LACKING = re.compile(r"Object missing required field `(\w+)`")
_PLACE = re.compile(r"\[(\d+)\]|\.(\w+)")


class _Issue(Struct, frozen=True):
    message: str = ""


class Identified(Struct, frozen=True, gc=False):
    """All that is read of a resource which is not the one that is looked for."""

    id: str


_ID = decoder(Identified)
IDS = decoder(list[Identified])


class ErrorBody(Struct, frozen=True):
    """The body of every failure in production (schema Error); the published specification names none."""

    code: str
    message: str
    issues: list[_Issue] | None = None


def read(answer: Answer, reader: Decoder[T], *, kind: Kind, id: str | None = None, statuses: tuple[int, ...]) -> T:
    """The value in a successful answer.

    Raises:
        Refused, RateLimited, ServerTrouble: by status.
        Malformed: HTML, broken JSON, another shape, an error body under a 2xx, or a status nobody promised.
    """
    values = _values(answer, reader, kind=kind, id=id, statuses=statuses)
    whole = next(values)
    for more in values:
        _items(whole).extend(_items(more))
    return whole


def read_each(answer: Answer, reader: Decoder[list[T]], *, kind: Kind, statuses: tuple[int, ...]) -> Iterable[T]:
    """The items of a list; those of a long one are read as they are taken: only those that are kept take memory.

    Raises:
        As `read` does, and for what is wrong with a later item of a long list not before it is reached.
    """
    values = _values(answer, reader, kind=kind, id=None, statuses=statuses)
    return next(values) if len(answer.body) <= LARGEST_WHOLE else chain.from_iterable(values)


def lacks(answer: Answer, name: str | None) -> bool:
    """Whether certainly nothing in this answer has that name; of None, nothing is certain.

    Most creations look for a name that is not there yet: so the list need not become resources for that. A name that is
    written with escapes, or that stands for half characters, may be there all the same.
    """
    if name is None or "\ufffd" in name or b"\\" in answer.body:
        return False
    try:
        return to_json(name) not in answer.body
    except ValueError:
        return False  # half characters of ours, which no answer holds; the request will say so


def _values(
    answer: Answer, reader: Decoder[T], *, kind: Kind, id: str | None, statuses: tuple[int, ...]
) -> Generator[T]:
    """The value; of a long list one with some of its items after the other."""
    expect(answer, kind=kind, id=id, statuses=statuses)
    if looks_like_html(answer):
        raise Malformed("it is a web page, not JSON")
    if len(answer.body) <= LARGEST_WHOLE:
        _refuse_error_body(answer.status, answer.body, kind)
        yield _valid(answer.body, reader)
        return
    for part in parts(answer.body):
        _refuse_error_body(answer.status, part.body, kind)
        value = _valid(part.body, reader, part.before)
        if len(_items(value)) != part.items:
            raise Malformed("its items are named twice")
        yield value


def _items(value: object) -> list[object]:
    """The items of a list, or of a page: whatever else an reader makes of an answer has no parts."""
    return cast("list[object]", value if isinstance(value, list) else getattr(value, "items", []))


def _valid(body: bytes, reader: Decoder[T], before: int = 0) -> T:
    text: bytes | None = body
    while text is not None:
        try:
            return reader.decode(text)
        except ValidationError as error:
            raise Malformed(_wrong(str(error), before)) from None
        except (ValueError, RecursionError):
            # Most answers are whole, so they are not searched for halves before.
            text = whole_characters(text)
    raise Malformed("it is cut off or not JSON" if body.strip() else "it is empty")


class _WithId(Protocol):
    @property
    def id(self) -> str: ...


WithIdT = TypeVar("WithIdT", bound=_WithId)


def of_id(id: str | None, value: WithIdT) -> WithIdT:
    """The value, if it is the resource that was asked for; None asks for no certain one.

    Raises:
        Malformed: another resource, as a broken cache between gives: whatever is decided by it would hit the wrong one.
    """
    if id is not None and value.id != id:
        raise Malformed("it names another resource")
    return value


def expect(answer: Answer, *, kind: Kind, id: str | None = None, statuses: tuple[int, ...]) -> None:
    """Raise unless the status is one of those the dialect promises."""
    status = answer.status
    if status in statuses:
        return
    raise failure_of(answer, kind=kind, id=id)


def of_new(answer: Answer, kind: Kind, needs: tuple[Kind, str]) -> tuple[Kind, str | None]:
    """Kind and id of what a failed creation is about: a 404 can only mean what the new resource `needs`."""
    return needs if answer.status == 404 else (kind, None)


def expect_done(answer: Answer, *, kind: Kind, id: str | None, statuses: tuple[int, ...]) -> None:
    """As `expect`, for answers without a promised body: nothing, `{}`, `success`, or the resource that was asked for.

    What else an object may say ("maintenance", "queued") nobody knows: taken for a success, it may be a wrong one.
    """
    expect(answer, kind=kind, id=id, statuses=statuses)
    if not answer.body.strip():
        return
    if looks_like_html(answer):
        raise Malformed("it is a web page, not JSON")
    if not is_error_sized(answer.body):
        raise Malformed("it says more than is promised")
    _refuse_error_body(answer.status, answer.body, kind)
    try:
        value = parsed(answer.body)
    except ValueError:
        raise Malformed("it is cut off or not JSON") from None
    if not isinstance(value, dict):
        raise Malformed("the whole is not of the promised shape")
    said = cast("dict[str, object]", value)
    if said.keys() - {"success"} and (id is None or said.get("id") != id):
        raise Malformed("it says something that is not promised")


def expect_deleted(answer: Answer, *, kind: Kind, id: str) -> None:
    """Raise unless the answer says what only an API that deleted says: 204 without a body, or the resource's id.

    An empty 200 is what a gateway says, too: whoever sent the request then looks whether the resource is gone.
    """
    expect(answer, kind=kind, id=id, statuses=(200, 202, 204))
    if answer.status == 204 and not answer.body.strip():
        return
    of_id(id, read(answer, _ID, kind=kind, id=id, statuses=(200, 202)))


def failure_of(answer: Answer, *, kind: Kind, id: str | None) -> Failure:
    """The failure that an answer with an unwanted status is."""
    status = answer.status
    said = None if looks_like_html(answer) else error_body(answer.body)
    message = clean(said.message[:_KEPT]) if said else None
    if status == 429:
        return RateLimited(answer.retry_after, answer.tries)
    if status == 404 and said is None:
        # A gateway's page says nothing of what the API has: neither that it is gone nor that it never was.
        return Malformed("it is a 404 that is not the API's own, as a gateway gives it")
    if 400 <= status < 500:
        issues = [clean(one.message[:_KEPT]) for one in (said.issues or [])[:_MOST_ISSUES]] if said else []
        code = clean(said.code[:_KEPT]) if said else None
        return Refused(status, code, message, kind, id, [text for text in issues if text])
    if status >= 500:
        return ServerTrouble(status, message, answer.tries)
    return Malformed(f"status {status} was not expected")


def error_body(body: bytes) -> ErrorBody | None:
    """The API's own words of a failure, or None where the body is none of its errors."""
    if not is_error_sized(body):
        return None
    try:
        return msgspec.convert(parsed(body), ErrorBody)
    except ValueError:
        return None


def _refuse_error_body(status: int, body: bytes, kind: Kind) -> None:
    """Raise for a failure that came under a 2xx. No resource has these fields (but an event its `error`), so one
    that has an id, too, is none; the search spares a long list the second parsing."""
    if body[:1] == b"[":
        return
    if b'"code"' in body and b'"message"' in body and (said := error_body(body)) is not None:
        raise Malformed(f"status {status} with an error body", message=clean(said.message[:_KEPT]))
    if b'"success"' not in body and (kind == "machine event" or b'"error' not in body):
        return
    try:
        value = parsed(body)
    except ValueError:
        return  # whoever reads it says what is wrong with it
    if not isinstance(value, dict):
        return
    fields = cast("dict[str, object]", value)
    if "success" in fields and fields["success"] is not True:
        raise Malformed(f'status {status}, and its "success" is not true')
    if kind != "machine event" and any(fields.get(name) for name in _ERROR_FIELDS):
        raise Malformed(f"status {status} with an error in it")


def looks_like_html(answer: Answer) -> bool:
    return "html" in answer.content_type or answer.body.lstrip()[:1] == b"<"


def _wrong(said: str, before: int) -> str:
    """What is wrong with a body that does not fit, without a word of the body itself. `before` counts the items of a
    long list in the parts before."""
    if said.startswith(_TOO_LONG):
        return f"it has more than {MOST_OF_PAGE:,} items"
    _, within, place = said.rpartition(_AT)
    place = place if within else ""
    if (lacking := _LACKING.match(said)) is not None:
        place += f".{lacking[1]}"
    # Numbers are positions; names are field names of our models, or of none: nothing of the answer's text.
    parts = [number or name for number, name in _PLACE.findall(place)]
    where = ".".join(str(int(part) + before) if part.isdecimal() else part for part in parts)[:80]
    return f"{where or 'the whole'} is not of the promised shape"


def page_locally(
    items: Iterable[T], *, after: str | None, limit: int | None, id_of: Callable[[T], str]
) -> tuple[list[T], str | None]:
    """A page cut out of a whole list, and the cursor of the next one: the last item's id.

    Raises:
        Unsupported: the cursor's item is gone, so that nobody can say where to go on.
    """
    page: list[T] = []
    if after is None and isinstance(items, list):
        page = items if limit is None else items[:limit]
        return page, id_of(page[-1]) if len(page) < len(items) else None
    begun, more = after is None, False
    for item in items:  # to the end: an answer of which a part is not usable is not usable
        if not begun:
            begun = id_of(item) == after
        elif limit is None or len(page) < limit:
            page.append(item)
        else:
            more = True
    if not begun:
        raise Unsupported("The item that `after` names is no longer in the list: list again without `after`.")
    return page, id_of(page[-1]) if more else None
