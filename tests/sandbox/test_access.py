"""Keys, teams, bodies and paths: what holds for every operation."""

import json
import re
import sqlite3
from pathlib import Path

import pytest

from paperspace_storage_server.sandbox import create_app

from .calls import Api, Clock
from .claims import proves

DEEP = b'{"name":' + b"[" * 100_000 + b"]" * 100_000 + b"}"


@proves("A1", "A3", "A4")
@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Bearer   ", "Basic a2V5", "key", "Bearer a b"])
def test_without_a_bearer_key_nothing_is_answered(api: Api, header: str | None) -> None:
    headers = {} if header is None else {"authorization": header}
    answer = Api(api.app, api.dialect, None, headers).get("/shared-drives")
    assert answer.code == (401, "UNAUTHORIZED")
    assert answer.headers["www-authenticate"] == "Bearer"


@proves("A1")
def test_the_scheme_may_be_in_any_case(api: Api) -> None:
    assert Api(api.app, api.dialect, None, {"authorization": "bearer KEY"}).get("/snapshots").status == 200


@proves("A2")
def test_another_teams_ids_are_not_found(api: Api) -> None:
    other = api.with_key("another-key")
    for path in ("/shared-drives", "/snapshots", "/storage-providers"):
        mine, theirs = api.items(path), other.items(path)
        assert [row["name"] for row in mine] == [row["name"] for row in theirs]
        assert not {row["id"] for row in mine} & {row["id"] for row in theirs}
        assert other.get(f"{path}/{mine[0]['id']}").code == (404, "NOT_FOUND")
        assert other.delete(f"{path}/{mine[0]['id']}").code == (404, "NOT_FOUND")
    machine = api.items("/snapshots")[0]["machineId"]
    assert other.post("/snapshots", {"machineId": machine, "name": "x"}).code == (404, "NOT_FOUND")
    assert other.items("/snapshots", machineId=machine) == []


def test_the_sample_team_looks_the_same_every_time(api: Api, clock: Clock) -> None:
    again = Api(create_app(api.dialect, clock=clock), api.dialect)
    for path in ("/shared-drives", "/snapshots", "/storage-providers"):
        assert api.items(path) == again.items(path)
    again.app.state.close()


def test_a_key_is_never_stored(tmp_path: Path, clock: Clock) -> None:
    app = create_app("live", db=tmp_path / "db", clock=clock)
    Api(app, "live", "marked-key-0451").get("/shared-drives")
    app.state.close()
    assert b"marked-key-0451" not in (tmp_path / "db").read_bytes()


@proves("A5")
@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"\xff",
        b"nonsense",
        b'{"name": NaN}',
        b'{"name": Infinity}',
        b'{"size": ' + b"9" * 5000 + b"}",
        DEEP,
    ],
    ids=["cut off", "not UTF-8", "a word", "NaN", "infinity", "a number of 5000 digits", "100000 deep"],
)
def test_a_body_that_is_no_json_is_a_parse_error(api: Api, body: bytes) -> None:
    assert api.call("POST", "/shared-drives", body).code == (400, "PARSE_ERROR")


@proves("A5")
def test_a_body_of_more_than_a_mebibyte_is_too_large(api: Api) -> None:
    fits = json.dumps({"name": "x" * (1024 * 1024 - 12)}).encode()
    assert len(fits) == 1024 * 1024
    assert api.call("POST", "/snapshots", fits).code == (400, "BAD_REQUEST")
    assert api.call("POST", "/snapshots", fits + b" ").code == (413, "PAYLOAD_TOO_LARGE")


@proves("A6", "A3", "A4")
def test_everything_that_is_wrong_is_named_at_once(api: Api) -> None:
    network = "privateNetworkId" if api.dialect == "published" else "networkId"
    answer = api.post("/shared-drives", {"name": 7, "size": "1", "region": "mars1"})
    assert answer.code == (400, "BAD_REQUEST")
    assert answer.issues == [
        "name must be a string",
        "size must be a whole number",
        "region must be one of ny2, ca1, ams1",
        f"{network} is required",
    ]


@proves("A6")
@pytest.mark.parametrize("body", [b"", b"[]", b"null", b'"text"', b"7", b"[[]]"])
def test_a_body_that_is_no_object_is_a_bad_request(api: Api, body: bytes) -> None:
    answer = api.call("POST", "/snapshots", body)
    assert answer.code == (400, "BAD_REQUEST")
    assert len(answer.issues) <= 1


@proves("A7")
def test_an_unknown_field_is_refused_and_an_unknown_parameter_ignored(api: Api) -> None:
    snapshot = api.items("/snapshots", colour="red")[0]
    answer = api.put(f"/snapshots/{snapshot['id']}", {"name": "new", "colour": "red", "\ud800 odd": 1})
    assert answer.code == (400, "BAD_REQUEST")
    assert answer.issues == ["colour is not a field of this request", "? is not a field of this request"]
    assert api.get(f"/snapshots/{snapshot['id']}").body == snapshot


@proves("A8")
@pytest.mark.parametrize("name", ["", " \t", "x" * 256, "a\0b", "\ud800", None, ["x"], {"a": 1}, True])
def test_a_name_that_cannot_be_is_refused(api: Api, name: object) -> None:
    drive = api.items("/shared-drives")[0]
    assert api.put(f"/shared-drives/{drive['id']}", {"name": name}).code == (400, "BAD_REQUEST")
    assert api.get(f"/shared-drives/{drive['id']}").body == drive


@proves("A8")
@pytest.mark.parametrize("name", ["x", "x" * 255, "データ 🗄", "a/b", "'; DROP TABLE drives; --", "line\nline"])
def test_any_other_name_comes_back_as_it_was_sent(api: Api, name: str) -> None:
    drive = api.items("/shared-drives")[0]
    assert api.put(f"/shared-drives/{drive['id']}", {"name": name}).body["name"] == name


@proves("A9")
@pytest.mark.parametrize("path", ["/", "", "/nothing", "/shared-drives/", "/snapshots/a/b", "/snapshots/a/restore/x"])
def test_an_unknown_path_is_not_found_with_or_without_a_key(api: Api, path: str) -> None:
    assert api.get(path).code == (404, "NOT_FOUND")
    assert api.with_key(None).get(path).code == (404, "NOT_FOUND")


@proves("A9")
def test_outside_the_prefix_there_is_nothing(clock: Clock) -> None:
    app = create_app("live", clock=clock, prefix="/elsewhere")
    assert Api(app, "live").call("GET", "/unheard-of").code == (404, "NOT_FOUND")
    app.state.close()


@proves("A9")
def test_a_method_that_a_path_does_not_take_is_not_supported(api: Api) -> None:
    answer = api.call("PATCH", "/shared-drives/sd1")
    assert answer.code == (405, "METHOD_NOT_SUPPORTED")
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD", "PUT", "DELETE"}


@proves("A10")
def test_ids_have_a_prefix_that_says_what_they_are(api: Api) -> None:
    drive = api.items("/shared-drives")[0]
    network = drive.get("privateNetworkId") or drive.get("networkId")
    fresh = {"name": "new", "size": 1, "region": drive["region"]}
    fresh["privateNetworkId" if api.dialect == "published" else "networkId"] = network
    snapshot = api.items("/snapshots")[0]
    ids = {
        "sd": [drive["id"], api.post("/shared-drives", fresh).body["id"]],
        "ne": [network],
        "ss": [snapshot["id"]],
        "ps": [snapshot["machineId"]],
        "sp": [api.items("/storage-providers")[0]["id"]],
    }
    if api.dialect == "live":
        ids["me"] = [event["id"] for event in api.items("/machine-events")]
    else:
        ids["te"] = [api.get("/storage-providers/utilization").body["teamId"]]
    for prefix, found in ids.items():
        assert all(re.fullmatch(prefix + "[a-z0-9]{9}", text) for text in found)


@proves("A11")
def test_the_content_type_does_not_matter(api: Api) -> None:
    told = Api(api.app, api.dialect, api.key, {"content-type": "text/plain"})
    drive = api.items("/shared-drives")[0]
    assert told.put(f"/shared-drives/{drive['id']}", {"name": "renamed"}).status == 200


@pytest.mark.parametrize(
    "odd", ["%00", "%2e%2e", "%F0%9F%92%A3", "sd" + "9" * 4000, "%27%20OR%201=1", "%ff", "SD1", "-1"]
)
def test_an_odd_id_is_not_found(api: Api, odd: str) -> None:
    for path in ("/shared-drives", "/snapshots", "/storage-providers"):
        assert api.get(f"{path}/{odd}").code == (404, "NOT_FOUND")
        assert api.delete(f"{path}/{odd}").code == (404, "NOT_FOUND")


def test_a_failure_repeats_no_value_of_the_request(api: Api) -> None:
    secret = "marked-secret-0451"
    for path in ("/shared-drives", "/snapshots", "/storage-providers"):
        for body in (dict.fromkeys(("size", "type", "region", "isTeamDefault"), secret), {"s3Config": [secret]}):
            answer = api.post(path, body)
            assert answer.status == 400
            assert secret not in json.dumps(answer.body)


def test_a_broken_store_answers_an_error_body_and_tells_the_server(api: Api) -> None:
    api.app.state.close()
    with pytest.raises(sqlite3.ProgrammingError):
        api.get("/shared-drives")
