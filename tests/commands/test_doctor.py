"""`doctor`: each thing that stands in the way is found where it is, and comes with its mend."""

from __future__ import annotations

import json
import os
from collections.abc import Generator
from pathlib import Path

import pytest

from paperspace_storage_server.calls.dialects import spoken
from paperspace_storage_server.commands.doctor.points import Point, description, points_here, points_of_api
from paperspace_storage_server.settings import Settings, load_settings
from paperspace_storage_tools.catalogue import CATALOGUE
from support.command_line import run, sandbox
from support.loopback_tls import answering, closed_port, plain_only, port, self_signed, silent

MARK = "key-not-to-be-shown"
FIRST = "Mend first what stands above."
NOT_TRIED = Point("key", False, "from None, not tried", FIRST)
UNKNOWN = Point("dialect", False, "not known; the setting is auto", FIRST)
HTTP = Point("TLS", True, "none: plain http, to this machine")
NO_PROXY = Point("proxy", True, "none")


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    with sandbox(tmp_path_factory.mktemp("sandbox")) as url:
        yield url


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name.startswith(("SSL_CERT", "PAPERSPACE_")):
            monkeypatch.delenv(name)


def of(url: str, key: str | None = MARK, **more: object) -> Settings:
    return Settings.model_validate({"api_url": url, "api_key": key, **more})


pytestmark = pytest.mark.anyio


async def test_a_key_that_is_accepted_comes_with_its_team_and_dialect(api: str) -> None:
    found = await points_of_api(of(api))
    team = found.pop(-2)
    assert found == [
        NO_PROXY,
        Point("URL", True, api),
        HTTP,
        Point("key", True, "from None, accepted"),
        Point("dialect", True, "live"),
    ]
    assert (team.point, team.ok, team.found.startswith("sandbox-")) == ("team", True, True)


@pytest.mark.parametrize(
    ("dialect", "found"),
    [
        ("auto", f"{len(CATALOGUE)} of {len(CATALOGUE)}"),
        ("live", f"{len(CATALOGUE)} of {len(CATALOGUE)}"),
        (
            "published",
            f"{len(spoken(CATALOGUE, 'published'))} of {len(CATALOGUE)}, "
            "without those that the published dialect lacks",
        ),
    ],
)
async def test_the_tools_that_are_counted_are_those_that_are_listed(dialect: str, found: str) -> None:
    assert [
        point.found for point in points_here(of("http://127.0.0.1/v1", dialect=dialect)) if point.point == "tools"
    ] == [found]


@pytest.mark.parametrize(
    ("named", "found"),
    [
        ("acme", "acme"),
        ("ac\u202eme\x1b[31m\nTLS: fine", "acme TLS: fine"),
        (f"of {MARK}", "of [secret]"),
        ("n" * 5000, "n" * 255 + "…"),
        (7, "red"),
        (None, "red"),
    ],
)
async def test_the_team_is_named_as_the_api_has_it_else_as_pspace_saved_it(named: object, found: str) -> None:
    body = json.dumps({"hasMore": False, "items": [], "team": {"namespace": named}}).encode()
    async with port(answering("200 OK\r\ncontent-type: application/json", body)) as number:
        points = await points_of_api(of(f"http://127.0.0.1:{number}/v1", team="red"))
    assert [point for point in points if point.point == "team"] == [Point("team", True, found)]


async def test_an_api_that_knows_no_teams_has_the_name_that_pspace_saved_or_none() -> None:
    async with port(answering("200 OK\r\ncontent-type: application/json", b"[]")) as number:
        for team in ("red", None):
            points = await points_of_api(of(f"http://127.0.0.1:{number}/v1", team=team))
            assert [point.found for point in points if point.point == "team"] == ([team] if team else [])


async def test_a_dialect_that_is_set_wrong_is_found_behind_an_accepted_key(api: str) -> None:
    *_, key, _, dialect = await points_of_api(of(api, dialect="published"))
    assert key.ok
    assert (dialect.ok, dialect.found, dialect.mend) == (
        False,
        "the API speaks live, None says published",
        "Leave PAPERSPACE_MCP_DIALECT (--dialect) out.",
    )


async def test_without_a_key_the_way_is_looked_at_all_the_same(api: str) -> None:
    *way, key, dialect = await points_of_api(of(api, None))
    assert (way, dialect) == ([NO_PROXY, Point("URL", True, api), HTTP], UNKNOWN)
    assert (key.ok, key.found) == (False, "none")
    assert key.mend is not None
    assert "PAPERSPACE_API_KEY" in key.mend


async def test_nobody_listens() -> None:
    url = f"http://127.0.0.1:{closed_port()}/v1"
    assert await points_of_api(of(url)) == [
        NO_PROXY,
        Point(
            "URL",
            False,
            f"{url}: The connection to the API was refused",
            "Check the network and PAPERSPACE_API_URL, then try again.",
        ),
        HTTP,
        NOT_TRIED,
        UNKNOWN,
    ]


async def test_a_name_that_nobody_knows() -> None:
    found = await points_of_api(of("https://no-such-host.invalid/v1"))
    assert [(point.point, point.ok) for point in found] == [
        *(("proxy", True), ("URL", False), ("TLS", False), ("key", False), ("dialect", False))
    ]
    assert "no-such-host.invalid" in found[1].found


async def test_a_certificate_that_is_not_trusted_and_one_that_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, certificate = self_signed(tmp_path)
    async with port(answering("401 Unauthorized", b"{}"), context) as number:
        settings = of(f"https://127.0.0.1:{number}/v1")
        found = {point.point: point for point in await points_of_api(settings)}
        assert found["URL"].ok
        assert (found["TLS"].ok, found["TLS"].found) == (False, "The API's TLS certificate is not trusted")
        assert "SSL_CERT_FILE" in str(found["TLS"].mend)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        found = {point.point: point for point in await points_of_api(settings)}
        assert found["TLS"] == Point("TLS", True, "trusted by SSL_CERT_FILE")
        assert (found["key"].ok, found["key"].found) == (False, "from None, refused (401)")


async def test_no_tls_behind_an_https_url() -> None:
    async with port(plain_only) as number:
        found = {point.point: point for point in await points_of_api(of(f"https://127.0.0.1:{number}/v1"))}
    assert (found["URL"].ok, found["TLS"].ok) == (True, False)
    assert found["TLS"].found == "The TLS connection to the API failed"


@pytest.mark.parametrize("proxy", ["http://user:secret-word@127.0.0.1:{}", "socks5://127.0.0.1:{}"])
async def test_a_proxy_that_lets_nothing_through_is_named_without_its_password(
    proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with port(answering("403 Forbidden")) as number:
        monkeypatch.setenv("HTTPS_PROXY", proxy.format(number))
        found = await points_of_api(of("https://api.example.com/v1"))
    assert [(point.point, point.ok) for point in found[:3]] == [("proxy", False), ("URL", False), ("TLS", False)]
    assert found[0].mend == "Check HTTPS_PROXY and NO_PROXY."
    assert found[1].found == "not reached"
    assert "secret-word" not in repr(found)


@pytest.mark.parametrize(
    ("head", "body", "said"),
    [
        ("200 OK\r\ncontent-type: text/html", b"<html>log in</html>", "The API's answer is not usable"),
        ("404 Not Found\r\ncontent-type: application/json", b'{"message": "no"}', "404"),
        ("503 Unavailable\r\ncontent-type: application/json", b"{}", "The API failed (503)"),
        ("302 Found\r\nlocation: https://elsewhere.example", b"", "302"),
    ],
)
async def test_something_else_answers_there(head: str, body: bytes, said: str) -> None:
    async with port(answering(head, body)) as number:
        found = await points_of_api(of(f"http://127.0.0.1:{number}/v1"))
    assert [point.point for point in found] == ["proxy", "URL", "TLS", "key", "dialect"]
    assert not found[1].ok
    assert said in found[1].found
    assert found[1].mend is not None
    assert found[3] == NOT_TRIED


async def test_what_answers_there_may_quote_the_key_and_it_does_not_come_out() -> None:
    body = f'{{"code": "X", "message": "who is {MARK}, or {MARK[:10]}..."}}'.encode()
    async with port(answering("503 Unavailable\r\ncontent-type: application/json", body)) as number:
        found = await points_of_api(of(f"http://127.0.0.1:{number}/v1"))
    assert 'The API said: "who is [secret], or [secret]..."' in found[1].found


async def test_an_api_that_says_nothing_is_given_up() -> None:
    async with port(silent) as number:
        found = await points_of_api(of(f"http://127.0.0.1:{number}/v1", call_timeout=0.3))
    assert (found[1].ok, "did not answer within" in found[1].found) == (False, True)


async def test_the_embedded_sandbox_needs_no_way() -> None:
    found = await points_of_api(Settings(sandbox=True, dialect="published"))
    assert [(point.point, point.ok) for point in found] == [("URL", True), ("key", True), ("dialect", True)]


async def test_the_description_of_the_api_is_compared_with_what_is_sent_and_read(api: str) -> None:
    (point,) = await description(of(api, None))
    assert point == Point("openapi.json", True, f"{api}/openapi.json says what is sent and read in the live dialect")
    found = await description(of(api, None, dialect="published"))
    assert len(found) > 5
    assert not any(point.ok for point in found)


@pytest.mark.parametrize(
    ("head", "body", "said"),
    [
        ("404 Not Found", b"", "there is none"),
        ("200 OK", b"<html>", "its answer is no JSON"),
        ("200 OK", b'{"a": 1}', "it describes no API"),
    ],
)
async def test_an_api_that_does_not_describe_itself_is_a_point_too(head: str, body: bytes, said: str) -> None:
    async with port(answering(head, body)) as number:
        (point,) = await description(of(f"http://127.0.0.1:{number}/v1"))
    assert (point.ok, point.found) == (False, f"http://127.0.0.1:{number}/v1/openapi.json: {said}")


def here(**given: object) -> dict[str, Point]:
    return {point.point: point for point in points_here(load_settings(given))}


def test_the_settings_file_and_what_it_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    file = tmp_path / ".paperspace" / "mcp.toml"
    assert here()["settings file"].found == f"{file} is not there"
    file.parent.mkdir()
    file.write_text("", encoding="utf-8")
    assert here()["settings file"].found == f"{file} decides nothing"
    file.write_text('read-only = true\nprotect = ["a"]\n', encoding="utf-8")
    assert here()["settings file"].found == f"{file} decides read-only, protect"


def test_a_policy_that_leaves_no_tool() -> None:
    point = here(toolsets="utilization", exclude_tools="get_storage_utilization")["tools"]
    assert (point.ok, point.found.split(" of ")[0]) == (False, "0")
    assert "PAPERSPACE_MCP_TOOLSETS" in str(point.mend)
    assert here(read_only=True)["tools"].found.endswith(", reading only")


def test_a_credential_profile_that_is_not_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAPERSPACE_MCP_CREDENTIAL_A_ACCESS_KEY", MARK)
    point = here()["credential profiles"]
    assert (point.ok, point.found) == (False, "PAPERSPACE_MCP_CREDENTIAL_A_SECRET_KEY: not set; set it too")
    monkeypatch.setenv("PAPERSPACE_MCP_CREDENTIAL_A_SECRET_KEY", MARK)
    assert here()["credential profiles"] == Point("credential profiles", True, "a")


@pytest.mark.skipif(os.name == "nt", reason="no pipes in the file system there")
def test_an_audit_file_that_cannot_take_a_line_and_is_not_touched(tmp_path: Path) -> None:
    def found(file: Path | str | None) -> tuple[bool, str]:
        point = here(audit_file=file)["audit file"]
        assert point.ok == (point.mend is None)
        return point.ok, point.found

    assert found(None) == (True, "none: writes are not recorded")
    assert found("stderr") == (True, "stderr")
    new = tmp_path / "new"
    assert found(new) == (True, str(new))
    assert not new.exists()
    assert found(tmp_path) == (False, f"{tmp_path}: it is a folder")
    assert found(tmp_path / "no" / "file") == (False, f"{tmp_path / 'no' / 'file'}: its folder is not there")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert found(pipe) == (False, f"{pipe}: a pipe that nobody reads")
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    assert found(pipe) == (True, str(pipe))
    os.close(reader)


def test_the_command_prints_each_point_with_its_mend_or_json_and_its_exit_code_tells(tmp_path: Path, api: str) -> None:
    settings = {"PAPERSPACE_API_URL": api, "PAPERSPACE_API_KEY": MARK}
    code, out, err = run(tmp_path, "doctor", **settings)
    assert (code, err, out.splitlines()[-1]) == (0, "", "It would work.")
    assert f"ok    {'key':<19}  from PAPERSPACE_API_KEY, accepted" in out.splitlines()
    code, out, err = run(tmp_path, "doctor", "--json", "--api", **settings)
    found = json.loads(out)
    assert (code, err, found["ok"]) == (0, "", True)
    assert set(found) == {"ok", "points", "hosts"}
    assert all(set(point) == {"point", "ok", "found", "mend"} for point in found["points"])
    assert found["points"][-1]["point"] == "openapi.json"
    code, out, err = run(tmp_path, "doctor", PAPERSPACE_API_URL=api)
    assert (code, err, out.splitlines()[-1]) == (1, "", "It would not work yet.")
    assert out.count("-> ") == out.count("FAIL")
    assert MARK not in out


def test_wrong_settings_are_a_point_and_exit_2(tmp_path: Path) -> None:
    (tmp_path / ".paperspace").mkdir()
    (tmp_path / ".paperspace" / "mcp.toml").write_text("red-only = true\n", encoding="utf-8")
    code, out, err = run(tmp_path, "doctor", "--json")
    assert (code, err) == (2, "")
    (point,) = json.loads(out)["points"]
    assert (point["ok"], "red-only: no such setting" in point["found"]) == (False, True)
