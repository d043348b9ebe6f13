"""Answers at the edges of what is read: how long, how many, what stands around them; one byte more is named or left."""

from __future__ import annotations

import json
import tracemalloc

import pytest
from pydantic_core import to_json

from paperspace_storage_server.wire.answers import error_body, failure_of, page_locally
from paperspace_storage_server.wire.live import Live
from paperspace_storage_server.wire.messages import Answer, Dialect, query_of
from paperspace_storage_server.wire.parts import parts
from paperspace_storage_server.wire.published import Published
from paperspace_storage_server.wire.recognise import recognise
from paperspace_storage_tools.errors import Malformed, RateLimited, Refused, ServerTrouble
from paperspace_storage_tools.ports import DriveQuery, SnapshotQuery

KIB = 1024
WHOLE = 128 * KIB


def answer(body: bytes, status: int = 200, content_type: str = "application/json") -> Answer:
    return Answer(status, content_type, body)


def sized(id: str, size: int) -> bytes:
    """A drive of so many bytes."""
    around = b'{"id":"%s","x":""}' % id.encode()
    return around[:-2] + b"x" * (size - len(around)) + b'"}'


def ids_of(body: bytes) -> list[str]:
    """As the published dialect lists them."""
    return [item.id for item in Published().list_drives(DriveQuery(limit=10_000)).decode(answer(body)).value.items]


def refused(body: bytes) -> str:
    with pytest.raises(Malformed) as caught:
        ids_of(body)
    return caught.value.what


# --- a list is read whole up to 128 KiB, and in parts from there on


def test_a_list_of_128_kib_may_have_items_of_any_size_and_a_longer_one_items_of_8_kib() -> None:
    assert ids_of(b"[" + sized("a", WHOLE - 2) + b"]") == ["a"]
    assert refused(b"[" + sized("a", WHOLE - 1) + b"]") == "item 0 is cut off, larger than 8 KiB, or no object"
    many = [sized(f"sd{number}", 8 * KIB - 1) for number in range(20)]  # and a comma or bracket
    assert ids_of(b"[" + b",".join(many) + b"]") == [f"sd{number}" for number in range(20)]
    for place in (0, 10, 19):
        larger = [*many[:place], sized("larger", 8 * KIB), *many[place + 1 :]]
        assert refused(b"[" + b",".join(larger) + b"]") == f"item {place} is cut off, larger than 8 KiB, or no object"


def test_an_item_of_a_long_list_may_be_five_deep_and_no_deeper() -> None:
    many = b",".join([sized("a", 4000)] * 40)
    for deep, taken in ((1, True), (4, True), (5, False)):
        for opening, closing in ((b"[", b"]"), (b'{"x":', b"}")):
            inner = opening * (deep - 1) + (b"[" if opening == b"[" else b"{") + closing * deep
            body = b"[" + many + b',{"id":"deep","x":' + inner + b"}]"
            if taken:
                assert ids_of(body)[-1] == "deep"
            else:
                assert refused(body) == "item 40 is cut off, larger than 8 KiB, or no object"


def test_a_long_list_is_read_in_parts_of_64_kib() -> None:
    """So that reading one of them holds up nobody else for longer than a moment."""
    body = b"[" + b",".join([sized("a", 99)] * 2000) + b"]"
    found = list(parts(body))
    assert [part.items for part in found] == [656, 656, 656, 32]
    assert [part.before for part in found] == [0, 656, 1312, 1968]
    assert max(len(part.body) for part in found) < 65 * KIB
    even = list(parts(b"[" + b",".join([sized("a", 63)] * 3000) + b"]"))
    assert [part.items for part in even] == [1025, 1024, 951]  # more than 64 KiB, by one item


@pytest.mark.parametrize("blank", [b"", b" ", b"\r\n\t  "])
def test_blanks_around_what_a_long_list_is_made_of_change_nothing(blank: bytes) -> None:
    items = (b"," + blank).join([sized("a", 5000) + blank] * 40)
    assert len(ids_of(blank + b"[" + blank + items + b"]" + blank)) == 40
    envelope = (b"{", b'"hasMore"', b":", b"false", b",", b'"items"', b":", b"[")
    page = blank + blank.join(envelope) + blank + items + b"]" + blank + b"}" + blank
    read = Live().list_drives(DriveQuery()).decode(answer(page)).value
    assert (len(read.items), read.has_more) == (40, False)


def test_a_page_has_at_most_512_kib_and_8_kib_beside_its_items() -> None:
    def page(size: int, tail: int) -> bytes:
        head, end = b'{"hasMore":false,"items":[', b'],"x":"' + b"t" * (tail - 9) + b'"}'
        items = [sized("a", 4 * KIB)] * ((size - len(head) - len(end) - 5 * KIB) // (4 * KIB + 1))
        body = head + b",".join(items)
        last = sized("last", size - len(body) - 1 - len(end))
        return body + b"," + last + end

    def outcome(body: bytes) -> str:
        try:
            return Live().list_drives(DriveQuery()).decode(answer(body)).value.items[-1].id
        except Malformed as malformed:
            return malformed.what

    assert len(page(512 * KIB, 100)) == 512 * KIB
    assert outcome(page(512 * KIB, 100)) == "last"
    assert outcome(page(512 * KIB + 1, 100)) == "it is larger than any page"
    assert outcome(page(200 * KIB, 8 * KIB)) == "last"
    assert outcome(page(200 * KIB, 8 * KIB + 1)) == "it goes on after its items"


def test_ten_thousand_items_are_read_and_a_page_of_them_is_cut_where_it_should_be() -> None:
    body = json.dumps([{"id": f"s{number:05}"} for number in range(10_000)]).encode()
    page = Published().list_drives(DriveQuery(limit=3, after="s09996")).decode(answer(body)).value
    assert ([item.id for item in page.items], page.has_more) == (["s09997", "s09998", "s09999"], False)
    page = Published().list_drives(DriveQuery(limit=3, after="s09995")).decode(answer(body)).value
    assert ([item.id for item in page.items], page.next_page) == (["s09996", "s09997", "s09998"], "s09998")


def test_a_list_without_a_limit_is_cut_after_100() -> None:
    for count, next_page in ((99, None), (100, None), (101, "s099")):
        body = json.dumps([{"id": f"s{number:03}"} for number in range(count)]).encode()
        page = Published().list_drives(DriveQuery()).decode(answer(body)).value
        assert (len(page.items), page.next_page) == (min(count, 100), next_page)


def test_a_page_cut_out_of_a_list_begins_behind_the_cursor_and_ends_at_the_limit() -> None:
    items = ["a", "b", "c", "d"]
    pages: list[tuple[str | None, int | None, tuple[list[str], str | None]]] = [
        (None, None, (items, None)),
        (None, 4, (items, None)),
        (None, 3, (["a", "b", "c"], "c")),
        ("b", 1, (["c"], "c")),
        ("b", 2, (["c", "d"], None)),
        ("d", 2, ([], None)),
    ]
    for after, limit, cut in pages:
        assert page_locally(items, after=after, limit=limit, id_of=str) == cut


# --- errors


def test_an_error_is_quoted_up_to_64_kib_and_a_thousand_issues() -> None:
    around = len(b'{"code":"C","message":""}')
    for size, quoted in ((64 * KIB, True), (64 * KIB + 1, False)):
        body = b'{"code":"C","message":"' + b"m" * (size - around) + b'"}'
        assert (error_body(body) is not None) is quoted
        failure = failure_of(answer(body, 422), kind="snapshot", id="ss1")
        code, message = ("C", "m" * 8192) if quoted else (None, None)
        assert failure == Refused(422, code, message, "snapshot", "ss1", [])
    for commas, quoted in ((1000, True), (1001, False)):
        body = b'{"code":"C","message":"m","issues":[%s]}' % b",".join([b"{}"] * (commas - 1))
        assert body.count(b",") == commas
        assert (error_body(body) is not None) is quoted


def test_an_error_names_five_issues_of_8192_characters() -> None:
    issues = [{"message": "i" * 9000}, *({"message": f"issue {number}"} for number in range(1, 9))]
    body = json.dumps({"code": "c" * 9000, "message": "m" * 9000, "issues": issues}).encode()
    assert failure_of(answer(body, 422), kind="snapshot", id=None) == Refused(
        422, "c" * 8192, "m" * 8192, "snapshot", None, ["i" * 8192, *(f"issue {number}" for number in range(1, 5))]
    )


ERROR = b'{"code":"C","message":"m"}'


@pytest.mark.parametrize(
    ("status", "body", "failure"),
    [
        (399, ERROR, Malformed("status 399 was not expected")),
        (400, ERROR, Refused(400, "C", "m", "snapshot", "ss1", [])),
        (404, ERROR, Refused(404, "C", "m", "snapshot", "ss1", [])),
        (404, b"", Malformed("it is a 404 that is not the API's own, as a gateway gives it")),
        (405, b"", Refused(405, None, None, "snapshot", "ss1", [])),
        (428, b"", Refused(428, None, None, "snapshot", "ss1", [])),
        (429, ERROR, RateLimited(None, 1)),
        (430, b"", Refused(430, None, None, "snapshot", "ss1", [])),
        (499, ERROR, Refused(499, "C", "m", "snapshot", "ss1", [])),
        (500, ERROR, ServerTrouble(500, "m", 1)),
        (599, ERROR, ServerTrouble(599, "m", 1)),
        (999, b"", ServerTrouble(999, None, 1)),
        (204, ERROR, Malformed("status 204 was not expected")),
    ],
)
def test_a_status_that_is_no_success_is_the_failure_that_it_means(status: int, body: bytes, failure: object) -> None:
    assert failure_of(answer(body, status), kind="snapshot", id="ss1") == failure


def test_what_is_malformed_is_named_by_its_place_in_80_characters_without_a_foreign_word() -> None:
    for body, what in (
        (b'{"id":"sd1","size":"a"}', "size is not of the promised shape"),
        (b"7", "the whole is not of the promised shape"),
        (b"", "it is empty"),
        (b" \n", "it is empty"),
        (b'{"id":"sd1"', "it is cut off or not JSON"),
        (b'{"id":"sd1"} x', "it is cut off or not JSON"),
    ):
        with pytest.raises(Malformed) as caught:
            Live().get_drive("sd1").decode(answer(body))
        assert caught.value.what == what


@pytest.mark.parametrize(
    ("content_type", "body", "web_page"),
    [
        ("text/html", b'{"id":"sd1"}', True),
        ("application/xhtml+xml", b'{"id":"sd1"}', True),
        ("application/json", b"<html>", True),
        ("", b" \n<html>", True),
        ("", b'{"id":"sd1"}', False),
        ("text/plain", b'{"id":"sd1","name":"<html>"}', False),
    ],
)
def test_a_web_page_is_known_by_its_type_or_its_first_character(content_type: str, body: bytes, web_page: bool) -> None:
    operation = Live().get_drive("sd1")
    if web_page:
        with pytest.raises(Malformed, match="it is a web page, not JSON"):
            operation.decode(answer(body, content_type=content_type))
    else:
        assert operation.decode(answer(body, content_type=content_type)).value.id == "sd1"


@pytest.mark.parametrize(
    ("more", "what"),
    [
        (b'"success":true', None),
        (b'"success":false', 'status 200, and its "success" is not true'),
        (b'"success":1', 'status 200, and its "success" is not true'),
        (b'"error":"no"', "status 200 with an error in it"),
        (b'"errors":["no"]', "status 200 with an error in it"),
        (b'"error":null', None),
        (b'"errors":[]', None),
        (b'"code":"C","message":"m"', "status 200 with an error body"),
        (b'"code":"C"', None),
        (b'"message":"m"', None),
        (b'"code":1,"message":"m"', None),
        (b'"name":"\\"error\\" \\"success\\" \\"code\\" \\"message\\""', None),
    ],
)
def test_a_failure_under_a_200_is_none_of_the_resources(more: bytes, what: str | None) -> None:
    operation, body = Live().get_drive("sd1"), b'{"id":"sd1",%s}' % more
    if what is None:
        assert operation.decode(answer(body)).value.id == "sd1"
    else:
        with pytest.raises(Malformed) as caught:
            operation.decode(answer(body))
        assert caught.value.what == what


# --- which dialect


@pytest.mark.parametrize(
    ("body", "status", "dialect"),
    [
        (b"[" + b"x" * WHOLE, 200, "published"),
        (b'{"note":"%s"}' % (b"x" * (WHOLE - 11)), 200, "published"),  # 128 KiB are looked into
        (b'{"note":"%s"}' % (b"x" * (WHOLE - 10)), 200, "live"),  # only a page is longer
        (b'"' + b"x" * WHOLE + b'"', 200, None),
        (b"~" + b"x" * WHOLE, 200, None),
        (b"}" + b"x" * WHOLE, 200, None),
        (b" " * 8 * KIB + b"[]", 200, None),
        (b" " * (8 * KIB - 1) + b"[]", 200, "published"),
        (b'{"hasMore":false,"note":"a"}', 200, None),
        (b'{"hasMore":false,"note":"a"}', 201, "published"),
        (b'{"hasMore":false}', 299, "live"),
        (b'{"hasMore":false}', 199, None),
        (b'{"hasMore":false}', 300, None),
        (b'{"id":"x","state":"done"}', 200, None),
        (b'{"id":"x","state":"done"}', 204, "published"),
        (b"  ", 200, None),
        (b"{", 200, None),
    ],
    ids=lambda value: "" if isinstance(value, bytes) else None,
)
def test_an_answer_tells_its_dialect_by_its_shape_as_far_as_it_is_looked_into(
    body: bytes, status: int, dialect: Dialect | None
) -> None:
    assert recognise(answer(body, status)) == dialect


def test_a_query_has_the_values_that_are_given_in_their_order() -> None:
    assert query_of({"b": 0, "a": "", "c": None, "d": "x"}) == (("b", "0"), ("a", ""), ("d", "x"))
    live = Live().list_snapshots(SnapshotQuery(machine_id="ps1", after="c", limit=5, order_by="name", order="asc"))
    assert live.request.query == (
        ("machineId", "ps1"),
        ("after", "c"),
        ("limit", "5"),
        ("orderBy", "name"),
        ("order", "asc"),
    )


def test_half_a_pair_before_a_whole_one_costs_the_half_alone() -> None:
    for escaped, name in (
        ("\\ud83d\\ud83d\\ude00", "\ufffd\U0001f600"),
        ("\\ude00\\ud83d", "\ufffd\ufffd"),
        ("\\\\ud83d \\ud83d", "\\ud83d \ufffd"),
        ("\\uD83D\\uDE00 \\uDFFF", "\U0001f600 \ufffd"),
    ):
        body = b'{"id":"sd1","name":"%s"}' % escaped.encode()
        assert Live().get_drive("sd1").decode(answer(body)).value.name == name


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ('[{"id": "ss1"}, {"id": 7}]', "1.id"),
        ('[{"id": "ss1"}, {"name": "n"}]', "1.id"),
        ('[{"id": "ss1", "storageSize": 5.5}]', "0.storageSize"),
        ('[{"id": "ss1", "storageSize": true}]', "0.storageSize"),
        ('[{"id": "ss1", "storageSize": "5"}]', "0.storageSize"),
        ('[{"id": "ss1", "isAutoSnapshot": 1}]', "0.isAutoSnapshot"),
        ('[{"id": "ss1", "dtCreated": 5}]', "0.dtCreated"),
        ('[{"id": "ss1", "event": {"id": "me1"}}]', "0.event.state"),
        ('[{"id": "ss1", "event": {"id": "me1", "state": ["x"]}}]', "0.event.state"),
        ('[{"id": "ss1", "event": []}]', "0.event"),
        ("[7]", "0"),
        ("{}", "the whole"),
    ],
)
def test_a_wrong_answer_is_named_by_the_place_of_its_first_mistake(body: str, what: str) -> None:
    with pytest.raises(Malformed) as raised:
        Published().list_snapshots(SnapshotQuery()).decode(Answer(200, "application/json", body.encode()))
    assert raised.value.what == f"{what} is not of the promised shape"


@pytest.mark.parametrize("evil", ["s4 - at `$.sk-secret`", "` - at `$[7].id", "Object missing required field `x`"])
def test_no_word_of_a_wrong_answer_is_in_what_is_said_of_it(evil: str) -> None:
    """The reader's own message quotes a member of a fixed choice."""
    body = to_json({"id": "sp1", "type": evil})
    with pytest.raises(Malformed) as raised:
        Published().get_provider("sp1").decode(Answer(200, "application/json", body))
    assert raised.value.what == "type is not of the promised shape"


@pytest.mark.parametrize(
    ("usage", "what"),
    [
        ("12", 12),
        (12, 12),
        (0, 0),
        ("9" * 40, int("9" * 40)),
        ("9" * 41, None),
        ("0", 0),
        ("99999999999999999999", 99999999999999999999),
        (True, None),
        (-1, None),
        ("-1", None),
        ("1.5", None),
        (1.5, None),
        ("", None),
        (" 1", None),
        ("1\n", None),
        ("\u0661", None),
    ],
)
def test_bytes_are_an_integer_or_its_decimal_digits(usage: object, what: int | None) -> None:
    fields = ("datasetUsage", "modelUsage", "notebookWorkspaceUsage", "sharedStorageUsage", "totalUsage",
              "totalFreeStorage", "remainingFreeStorage")  # fmt: skip
    given = Answer(200, "application/json", to_json({**dict.fromkeys(fields, "1"), "totalUsage": usage}))
    if what is None:
        with pytest.raises(Malformed, match="totalUsage is not of the promised shape"):
            Live().utilization().decode(given)
    else:
        assert Live().utilization().decode(given).value.total == what


def test_what_nobody_asked_for_may_be_as_deep_as_it_likes_and_is_no_json_then() -> None:
    deep = b'[{"id":"ss1","x":' + b"[" * 20_000 + b"]" * 20_000 + b"}]"
    with pytest.raises(Malformed, match="cut off or not JSON"):
        Published().list_snapshots(SnapshotQuery()).decode(Answer(200, "application/json", deep))


def test_of_what_an_api_calls_a_date_nothing_long_is_kept() -> None:
    read = Published().get_snapshot("ss1").decode
    tracemalloc.start()
    try:
        for number in range(2_000):
            date = f"{number} {'x' * 4_000}"
            assert read(answer(to_json({"id": "ss1", "dtCreated": date}))).value.dt_created == date
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 1024 * KIB
