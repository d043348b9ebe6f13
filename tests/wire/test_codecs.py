"""The codecs as pure functions: what counts as a success, and what every other answer becomes."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import Any, cast

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paperspace_storage_server.api.upstream import codec_of
from paperspace_storage_server.wire.answers import failure_of, page_locally
from paperspace_storage_server.wire.messages import Answer, Dialect, path_of
from paperspace_storage_server.wire.recognise import recognise
from paperspace_storage_tools.errors import (
    Failure,
    Malformed,
    RateLimited,
    Refused,
    ServerTrouble,
    Unsupported,
    describe,
)
from paperspace_storage_tools.models import Page
from paperspace_storage_tools.ports import DriveQuery, Schedule, SnapshotQuery

from .every_operation import OPERATIONS, Known, answer

names = st.sampled_from(
    ["data", "Data", "a/b", 'quoted "x"', "back\\slash", "d\u00e4ta", "tab\t", "\ufffd", "\U0001f5ff"]
)
each = pytest.mark.parametrize("known", OPERATIONS, ids=str)
ERROR = {"code": "BAD", "message": "not so"}


@each
def test_the_least_success_is_taken(known: Known) -> None:
    known.operation.decode(answer(known.success))


@pytest.mark.parametrize("known", [one for one in OPERATIONS if not one.promises_no_body], ids=str)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"   ",
        b"{",
        b'{"id": "x1", "name": "cut',
        b"<html><body>Bad gateway</body></html>",
        b"\xff\xfe",
        ERROR,
        {**ERROR, "id": "x1"},
        "text",
        7,
        True,
        [7],
        [{"name": "no id"}],
        {"id": None},
        {"id": 7},
        {"data": {"name": "no id"}},
        {"data": None, "event": None},
        {"hasMore": "what", "items": []},
        {"items": [{"id": 1}], "hasMore": False},
    ],
    ids=repr,
)
def test_a_200_of_another_shape_is_malformed_and_never_a_success(known: Known, body: object) -> None:
    with pytest.raises(Malformed):
        known.operation.decode(answer(body))


DELETIONS = [
    one for one in OPERATIONS if one.operation.request.method == "DELETE" and str(one) != "live-delete_snapshot"
]


@pytest.mark.parametrize("known", DELETIONS, ids=str)
@pytest.mark.parametrize(
    ("status", "body", "gone"),
    [
        (200, {"id": "x1"}, True),
        (202, {"id": "x1"}, True),
        (204, b"", True),
        (204, b" \n", True),
        (200, b"", False),  # so says a gateway, too
        (202, b"", False),
        (201, {"id": "x1"}, False),
        (203, {"id": "x1"}, False),
        (204, {"id": "x1"}, False),
        (200, {"id": "x2"}, False),
        (202, {}, False),
    ],
    ids=str,
)
def test_gone_is_what_is_answered_with_204_and_nothing_or_with_200_or_202_and_the_id(
    known: Known, status: int, body: object, gone: bool
) -> None:
    if gone:
        assert known.operation.decode(answer(body, status)).value is None
    else:
        with pytest.raises(Malformed):
            known.operation.decode(answer(body, status))


def test_an_operation_without_a_promised_body_takes_nothing_or_what_certainly_is_a_success() -> None:
    (known,) = [one for one in OPERATIONS if one.promises_no_body]
    taken: list[object] = [b"", b"  ", {}, {"id": "x1"}, {"id": "x1", "name": "\ud800"}, {"success": True}]
    for body in taken:
        known.operation.decode(answer(body))
    refused: list[object] = [
        *(b"{", b"<html>", b"\xff", "text", 7, []),
        *(ERROR, {"error": "no"}, {"errors": []}, {"error": "no", "id": "x1"}),
        *({"success": False}, {"success": None}, {"success": "true"}, {"success": False, "id": "x1"}),
        *({"status": "maintenance"}, {"message": "later"}, {"id": "x2"}, {"id": "x2", "success": True}),
    ]
    for body in refused:
        with pytest.raises(Malformed):
            known.operation.decode(answer(body))


SAID = ({"success": False}, {"success": 0}, {"error": "no"}, {"errors": [{"x": 1}]})


@pytest.mark.parametrize(
    ("known", "said"),
    [
        (known, said)
        for known in OPERATIONS
        for said in SAID
        if isinstance(known.success, dict) and (known.name != "get_event" or "success" in said)
    ],
    ids=str,
)
def test_a_success_that_says_it_is_none_is_malformed(known: Known, said: dict[str, object]) -> None:
    """But an event's own `error` tells of the operation that it follows."""
    with pytest.raises(Malformed):
        known.operation.decode(answer({**cast("dict[str, object]", known.success), **said}))


@pytest.mark.parametrize("dialect", ["published", "live"])
@pytest.mark.parametrize("escaped", [True, False])
@pytest.mark.parametrize("name", ["\ud800", "a\udc00b", "\\\ud9ff", "\udbff\udbff", "\\ud800 \udfff"])
def test_half_a_character_in_a_name_costs_no_list(dialect: Dialect, escaped: bool, name: str) -> None:
    rows: object = [{"id": "ss1", "name": name}, {"id": "ss2", "name": "whole \U0001f600"}]
    if dialect == "live":
        rows = {"hasMore": False, "items": rows}
    body = json.dumps(rows, ensure_ascii=escaped).encode(errors="surrogatepass")
    one = Answer(200, "application/json", body)
    assert recognise(one) == dialect
    page = codec_of(dialect).list_snapshots(SnapshotQuery()).decode(one).value
    mended = re.sub("[\ud800-\udfff]", "\ufffd", name)
    assert [item.name for item in page.items] == [mended, "whole \U0001f600"]


def test_half_a_character_hides_no_refusal() -> None:
    failure = failure_of(answer({"code": "NOT_FOUND", "message": "No \ud800."}, 404), kind="snapshot", id="ss1")
    assert failure == Refused(404, "NOT_FOUND", "No \ufffd.", "snapshot", "ss1", [])


@pytest.mark.parametrize("body", [b'"\\ud800', b'{"a": "\\udfff', b"\xed\xa0\x80", b'["\xed\xa0"]'])
def test_what_is_broken_besides_stays_broken(body: bytes) -> None:
    with pytest.raises(Malformed):
        codec_of("live").list_snapshots(SnapshotQuery()).decode(Answer(200, "application/json", body))


@each
def test_an_html_content_type_is_no_success_whatever_the_body(known: Known) -> None:
    with pytest.raises(Malformed) as raised:
        known.operation.decode(answer(known.success, content_type="text/html; charset=utf-8"))
    assert raised.value.what == "it is a web page, not JSON"


@each
def test_every_status_from_400_on_is_its_class_of_failure(known: Known) -> None:
    for status in range(400, 600):
        with pytest.raises(Failure) as raised:
            known.operation.decode(answer(ERROR, status))
        failure = raised.value
        if status == 429:
            assert failure == RateLimited(None, 1)
        elif status < 500:
            assert isinstance(failure, Refused)
            assert (failure.status, failure.code, failure.message, failure.issues) == (status, "BAD", "not so", [])
        else:
            assert failure == ServerTrouble(status, "not so", 1)


BESIDE_200 = {  # with the body of a success
    **dict.fromkeys(("published-create_drive", "published-create_snapshot", "published-create_provider"), (201,)),
    **dict.fromkeys(("live-create_drive", "live-create_snapshot", "live-create_provider"), (201,)),
    **dict.fromkeys(("live-get_drive", "live-update_drive", "live-get_provider", "live-update_provider"), (201,)),
    **dict.fromkeys(("published-delete_drive", "published-delete_snapshot", "published-delete_provider"), (202,)),
    **dict.fromkeys(("live-delete_drive", "live-delete_provider"), (202,)),
    **dict.fromkeys(("live-delete_snapshot", "live-restore_snapshot"), (201, 202)),
    "published-restore_snapshot": (202, 204),
}


@each
def test_an_operation_takes_200_and_the_other_statuses_that_its_success_may_have(known: Known) -> None:
    taken: list[int] = []
    for status in range(100, 400):
        with suppress(Malformed):
            known.operation.decode(answer(known.success, status))
            taken.append(status)
    assert taken == [200, *BESIDE_200.get(str(known), ())]


@each
@pytest.mark.parametrize("status", [100, 203, 205, 206, 301, 302, 304, 307])
def test_a_status_that_nobody_promised_is_malformed(known: Known, status: int) -> None:
    with pytest.raises(Malformed) as raised:
        known.operation.decode(answer(known.success, status))
    assert raised.value.what == f"status {status} was not expected"


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["x1", "new"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["id", "data", "event", "items", "hasMore", "nextPage", "state", "size", "s3Config", "code"]
            )
            | st.text(max_size=5),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)
_ANSWERS = st.builds(
    Answer,
    st.sampled_from([200, 200, 200, 201, 202, 204]) | st.integers(100, 999),
    st.sampled_from(["application/json", "", "text/html", "text/plain"]),
    _JSON.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=40),
)


@given(_ANSWERS)
def test_no_answer_raises_anything_but_a_failure_or_succeeds_without_an_id(one: Answer) -> None:
    for known in OPERATIONS:
        failure: Failure | None = None
        try:
            known.operation.decode(one)
        except Failure as raised:
            failure = raised
        if failure is not None:
            assert "\n" not in describe(failure, write=True)
            continue
        assert 200 <= one.status < 300
        if known.needs_id and one.body.strip():
            assert _has_id(json.loads(one.body)), (str(known), one)
    recognise(one)


def _has_id(value: object) -> bool:
    if not isinstance(value, dict):
        return False
    found = cast("dict[str, Any]", value)
    places = [cast("dict[str, Any]", one) for one in (found, found.get("data")) if isinstance(one, dict)]
    return any(isinstance(one.get("id"), str) for one in places)


@pytest.mark.parametrize("known", [one for one in OPERATIONS if one.needs_id], ids=str)
def test_an_id_alone_is_a_whole_resource_and_a_null_field_is_as_an_absent_one(known: Known) -> None:
    nulls = dict.fromkeys(("name", "region", "note", "dtCreated", "bucket", "s3Config", "password", "error"))
    least = cast("dict[str, Any]", known.success)
    with_nulls: object = {**least, "data": {**nulls, **least["data"]}} if "data" in least else {**nulls, **least}
    assert known.operation.decode(answer(with_nulls)).value == known.operation.decode(answer(least)).value


def test_an_error_message_is_cleaned_and_whole_for_what_is_cut_cannot_be_masked() -> None:
    body = {
        "code": "C" * 90,
        "message": "\x1b[31mred\u202e\x00\n" + "m" * 900,
        "issues": [{"message": "i" * 900}, {"message": "\u200b"}, {}] + [{"message": "more"}] * 9,
    }
    failure = failure_of(answer(body, 422), kind="snapshot", id="ss1")
    assert failure == Refused(422, "C" * 90, "red " + "m" * 900, "snapshot", "ss1", ["i" * 900, "more", "more"])
    assert len(failure.text()) < 700
    assert failure.text().isprintable()


@pytest.mark.parametrize("body", [b"<html>secret stack trace</html>", b"not json", {"error": "other shape"}, None])
def test_an_error_without_the_promised_body_keeps_only_its_status(body: object) -> None:
    assert failure_of(answer(body, 400), kind="snapshot", id=None) == Refused(400, None, None, "snapshot", None, [])
    assert failure_of(answer(body, 503), kind="snapshot", id=None) == ServerTrouble(503, None, 1)


def test_a_malformed_answer_is_named_by_place_without_a_word_of_it() -> None:
    with pytest.raises(Malformed) as raised:
        codec_of("live").list_drives(DriveQuery()).decode(
            answer({"hasMore": False, "items": [{"id": "sd1"}, {"id": {"secret-word": 1}}]})
        )
    assert raised.value.what == "items.1.id is not of the promised shape"


def test_secrets_of_an_answer_come_beside_the_value_never_in_it() -> None:
    s3 = {"accessKey": "AKIA1", "secretAccessKey": "S1", "bucket": "b"}
    for operation, body, secrets in (
        (codec_of("live").get_drive("sd1"), {"id": "sd1", "password": "P1"}, ["P1"]),
        (codec_of("live").get_provider("sp1"), {"id": "sp1", "s3Config": s3}, ["AKIA1", "S1"]),
    ):
        decoded = operation.decode(answer(body))
        assert [secret.get_secret_value() for secret in decoded.secrets] == secrets
        assert not any(secret in str(msgspec.to_builtins(decoded.value)) for secret in secrets)
        assert not any(secret in repr(decoded) for secret in secrets)


@pytest.mark.parametrize(
    ("machine", "schedule"),
    [("ps1", Schedule(False, None, None)), ("ps2", Schedule(True, "daily", 7)), ("ps3", None)],
)
def test_the_schedule_is_that_of_the_machine_that_is_asked_for(machine: str, schedule: Schedule | None) -> None:
    """It says which snapshots a restore may cost."""
    kept = {"autoSnapshotEnabled": True, "autoSnapshotFrequency": "daily", "autoSnapshotSaveCount": 7}
    items = [{"id": "ps1", "autoSnapshotEnabled": False}, {"id": "ps2", **kept}, {"id": "ps4", **kept}]
    operation = codec_of("live").schedule(machine)
    assert operation.decode(answer({"hasMore": False, "items": items})).value == schedule


@pytest.mark.parametrize(
    ("written", "number"), [("0", 0), ("12", 12), (0, 0), (12, 12), ("9" * 40, 10**40 - 1), ("007", 7)]
)
def test_a_usage_is_written_as_digits_or_as_a_number(written: object, number: int) -> None:
    (known,) = [one for one in OPERATIONS if str(one) == "live-utilization"]
    usage = known.operation.decode(answer({**cast("dict[str, Any]", known.success), "datasetUsage": written})).value
    assert (usage.datasets, usage.models, usage.free_remaining) == (number, 1, 1)


@pytest.mark.parametrize("number", ["1.5", "1e3", "", "x", "-1", "9" * 41, -1, 1.5, None, True])
def test_a_usage_that_is_no_whole_number_of_bytes_is_malformed(number: object) -> None:
    (known,) = [one for one in OPERATIONS if str(one) == "live-utilization"]
    with pytest.raises(Malformed) as raised:
        known.operation.decode(answer({**cast("dict[str, Any]", known.success), "datasetUsage": number}))
    assert raised.value.what == "datasetUsage is not of the promised shape"


@pytest.mark.parametrize(
    ("query", "items", "ids", "next_page"),
    [
        (SnapshotQuery(), 3, [0, 1, 2], None),
        (SnapshotQuery(), 130, list(range(100)), "s099"),
        (SnapshotQuery(limit=2), 2, [0, 1], "s001"),
        (SnapshotQuery(limit=2, after="s001"), 2, [0, 1], None),  # an API that ignores `after` would page for ever
        (SnapshotQuery(limit=2), 1, [0], None),
        (SnapshotQuery(order_by="name", order="desc", limit=2), 3, [2, 1], "s001"),
        (SnapshotQuery(order_by="name", order="asc", after="s001"), 3, [2], None),
    ],
)
def test_published_snapshot_pages_go_on_where_the_last_one_ended(
    query: SnapshotQuery, items: int, ids: list[int], next_page: str | None
) -> None:
    body = [{"id": f"s{place:03}", "name": f"n{place:03}"} for place in range(items)]
    page = codec_of("published").list_snapshots(query).decode(answer(body)).value
    assert [one.id for one in page.items] == [f"s{place:03}" for place in ids]
    assert (page.has_more, page.next_page) == (next_page is not None, next_page)


@pytest.mark.parametrize(
    ("order", "ids", "asked"),
    [
        ({}, ["b", "c", "a"], (("machineId", "ps1"), ("after", "z"), ("limit", "3"))),
        ({"order_by": "name"}, ["c", "b", "a"], (("machineId", "ps1"),)),
        ({"order_by": "dtCreated"}, ["a", "c", "b"], (("machineId", "ps1"),)),
        ({"order": "asc"}, ["b", "c", "a"], (("machineId", "ps1"),)),
        ({"order": "desc"}, ["a", "c", "b"], (("machineId", "ps1"),)),
        ({"order_by": "name", "order": "asc"}, ["a", "b", "c"], (("machineId", "ps1"),)),
    ],
    ids=str,
)
def test_either_word_on_the_order_orders_the_whole_published_list_by_date_and_newest_first_where_not_said(
    order: dict[str, Any], ids: list[str], asked: tuple[tuple[str, str], ...]
) -> None:
    """Which needs the whole list: the API would cut its own page out of another order."""
    dates = {"b": "2026-01-01T00:00:00.000Z", "c": "2026-01-02T00:00:00.000Z", "a": "2026-01-03T00:00:00.000Z"}
    body = [{"id": id, "name": id, "dtCreated": date} for id, date in dates.items()]
    codec = codec_of("published")
    snapshots = codec.list_snapshots(SnapshotQuery(machine_id="ps1", limit=3, after=None if order else "z", **order))
    assert snapshots.request.query == asked
    assert [one.id for one in snapshots.decode(answer(body)).value.items] == ids
    drives = codec.list_drives(DriveQuery(**order)).decode(answer(body)).value
    assert [one.id for one in drives.items] == ids


def test_a_cursor_whose_item_is_gone_says_to_list_again() -> None:
    with pytest.raises(Unsupported, match="list again"):
        page_locally(["a"], after="gone", limit=1, id_of=str)


@pytest.mark.parametrize(
    ("body", "status", "dialect"),
    [
        ([], 200, "published"),
        ({"items": [], "hasMore": False}, 200, "live"),
        ({"id": "x", "networkId": "n"}, 200, "live"),
        ({"id": "x", "privateNetworkId": "n"}, 200, "published"),
        ({"id": "x"}, 200, None),
        ({"id": "x"}, 201, "published"),
        (None, 204, "published"),
        (None, 200, None),
        (b"<html>", 200, None),
        ([], 500, None),
        ([], 302, None),
        (7, 200, None),
    ],
)
def test_the_shape_of_a_success_tells_the_dialect(body: object, status: int, dialect: Dialect | None) -> None:
    assert recognise(answer(body, status)) == dialect


@pytest.mark.parametrize("segment", ["", ".", ".."])
def test_no_path_is_made_of_a_segment_that_no_quoting_makes_safe(segment: str) -> None:
    with pytest.raises(ValueError, match="not a path segment"):
        path_of("snapshots", segment)


@pytest.mark.parametrize(
    ("more", "cursor", "told"),
    [(False, "c", None), (True, "c", "c"), (True, None, None), (False, None, None)],
)
def test_a_live_cursor_counts_only_beside_has_more(more: bool, cursor: str | None, told: str | None) -> None:
    operation = codec_of("live").list_snapshots(SnapshotQuery())
    page = operation.decode(answer({"hasMore": more, "nextPage": cursor, "items": []})).value
    assert (page.has_more, page.next_page) == (more, told)


LISTS: dict[str, dict[str, Any]] = {
    "drives": {"id": "x", "size": 250, "region": "ny2"},
    "snapshots": {"id": "x", "machineId": "ps1"},
    "providers": {"id": "x"},
}


@settings(deadline=None)  # the first of all builds the models
@given(
    st.sampled_from(["published", "live"]),
    st.sampled_from(sorted(LISTS)),
    st.lists(names, max_size=6),
    names,
    st.data(),
)
def test_who_looks_for_a_name_finds_all_of_that_name_however_it_is_written_and_the_next_page(
    dialect: Dialect, what: str, there: list[str], wanted: str, data: st.DataObject
) -> None:
    codec = codec_of(dialect)
    query = SnapshotQuery(limit=data.draw(st.sampled_from([3, 120])))

    def page(answered: Answer, named: str | None) -> Page[Any]:
        if what == "drives":
            return codec.list_drives(DriveQuery(name=wanted, limit=query.limit), named=named).decode(answered).value
        if what == "snapshots":
            return codec.list_snapshots(query, named=named).decode(answered).value
        return codec.list_providers(query, named=named).decode(answered).value

    items = [{**LISTS[what], "id": f"x{number}", "name": name} for number, name in enumerate(there)]
    more = {"hasMore": True, "nextPage": "x9"} if data.draw(st.booleans()) else {"hasMore": False}
    whole = items if dialect == "published" else {"items": items, **more}
    answered = Answer(200, "application/json", json.dumps(whole, ensure_ascii=data.draw(st.booleans())).encode())
    full, light = page(answered, None), page(answered, wanted)
    assert [one for one in light.items if one.name == wanted] == [one for one in full.items if one.name == wanted]
    if what == "snapshots" or dialect == "live":
        assert (light.has_more, light.next_page) == (full.has_more, full.next_page)
    elif not light.items:
        assert light.next_page is None  # the whole list has come


@pytest.mark.parametrize("dialect", ["published", "live"])
@pytest.mark.parametrize("named", ["\ud800", "a\udc00b"])
def test_who_looks_for_a_name_that_no_answer_can_hold_reads_the_list_all_the_same(dialect: Dialect, named: str) -> None:
    """The request with that name will say what is wrong with it."""
    codec, items = codec_of(dialect), [{"id": "x1", "name": "data"}]
    body = items if dialect == "published" else {"items": items, "hasMore": False}
    for operation in (codec.list_drives(DriveQuery(), named=named), codec.list_snapshots(SnapshotQuery(), named=named)):
        assert [one.id for one in operation.decode(answer(body)).value.items] == ["x1"]


@pytest.mark.parametrize("dialect", ["published", "live"])
def test_who_looks_for_a_name_reads_nothing_but_ids_where_it_is_not_and_takes_no_rubbish_for_a_list(
    dialect: Dialect,
) -> None:
    codec = codec_of(dialect)
    strange: list[dict[str, Any]] = [{"id": "x1", "name": 7, "size": "large"}]
    for named, made in (("data", "[]"), (None, "Malformed")):
        for operation in (
            codec.list_drives(DriveQuery(), named=named),
            codec.list_snapshots(SnapshotQuery(), named=named),
            codec.list_providers(SnapshotQuery(), named=named),
        ):
            whole = strange if dialect == "published" else {"items": strange, "hasMore": False}
            try:
                said = str(operation.decode(Answer(200, "application/json", json.dumps(whole).encode())).value.items)
            except Malformed:
                said = "Malformed"
            assert said == made
            for rubbish in (b"{", b"[7]", b'[{"name":"x"}]', b"<html>", b"7", b'{"code":"a","message":"b"}'):
                with pytest.raises(Malformed):
                    operation.decode(Answer(200, "application/json", rubbish))
