"""Static tokens: made once, kept as hashes, gone within seconds of being revoked."""

from __future__ import annotations

import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from paperspace_storage_server.__main__ import main
from paperspace_storage_server.hosted import static_tokens
from paperspace_storage_server.hosted.identity import BadToken, Identity, NotReady
from paperspace_storage_server.hosted.static_tokens import PREFIX, ByHash, StaticTokens, hash_of, parse
from paperspace_storage_server.hosted.watched import GRACE, LOOK_EVERY, Unreadable, WatchedFile

NOW = 1_800_000_000.0


class Clock:
    now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "tokens.json"


def made(file: Path, name: str = "ci", expires: float | None = NOW + 100) -> str:
    return static_tokens.make(file, name, "research", ["storage:read", "storage:write"], expires, NOW)


def watched(file: Path, clock: Clock) -> StaticTokens:
    one: WatchedFile[ByHash] = WatchedFile(file, parse, clock)
    one.load()
    return StaticTokens(one, clock)


def refusal(tokens: StaticTokens, token: str) -> str:
    with pytest.raises(BadToken) as error:
        tokens.identify(token)
    return error.value.why


def test_a_token_says_who_bears_it_until_it_expires(file: Path) -> None:
    clock = Clock()
    token = made(file)
    tokens = watched(file, clock)
    assert tokens.identify(token) == Identity(
        issuer=None,
        subject="ci",
        scopes=frozenset({"storage:read", "storage:write"}),
        expires=NOW + 100,
        team="research",
    )
    clock.now += 100
    assert refusal(tokens, token) == "the token has expired"


def test_a_token_is_long_random_and_nowhere_in_the_file(file: Path) -> None:
    tokens = {made(file, f"t{number}") for number in range(20)}
    assert len(tokens) == 20
    assert all(token.startswith(PREFIX) and len(token) == len(PREFIX) + 43 for token in tokens)
    text = file.read_text(encoding="utf-8")
    assert not any(token in text or token.removeprefix(PREFIX) in text for token in tokens)
    assert all(hash_of(token) in text for token in tokens)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize("other", ["", PREFIX, PREFIX + "A" * 43, "ci", hash_of("ci")])
def test_another_token_is_not_known(other: str, file: Path) -> None:
    made(file)
    assert refusal(watched(file, Clock()), other) == "the token is not known; it may have been revoked"


def test_the_hash_is_no_token(file: Path) -> None:
    token = made(file)
    assert refusal(watched(file, Clock()), hash_of(token)) == "the token is not known; it may have been revoked"


def test_what_is_made_or_revoked_counts_at_a_running_server_after_the_next_look(file: Path) -> None:
    clock = Clock()
    first = made(file, "first")
    tokens = watched(file, clock)
    second = made(file, "second", None)
    static_tokens.revoke(file, "first")
    assert tokens.identify(first).subject == "first"  # not looked at again yet
    clock.now += LOOK_EVERY
    assert refusal(tokens, first) == "the token is not known; it may have been revoked"
    assert tokens.identify(second).subject == "second"
    assert LOOK_EVERY < 10


def test_a_file_that_is_broken_or_gone_lets_nobody_in_after_a_moment(file: Path) -> None:
    clock = Clock()
    token = made(file, expires=None)
    good = file.read_bytes()
    tokens = watched(file, clock)
    file.write_text('{"tokens": [', encoding="utf-8")  # an editor is writing it
    clock.now += LOOK_EVERY
    assert tokens.identify(token).subject == "ci"
    clock.now += GRACE + 0.1
    with pytest.raises(NotReady, match=r"tokens\.json: it is not as `token new` writes it"):
        tokens.identify(token)
    file.write_bytes(good)
    clock.now += LOOK_EVERY
    assert tokens.identify(token).subject == "ci"
    file.unlink()
    clock.now += LOOK_EVERY
    assert tokens.identify(token).subject == "ci"
    clock.now += GRACE + 0.1
    with pytest.raises(NotReady):
        tokens.identify(token)


ENTRY = {"name": "ci", "scopes": ["storage:read"], "created": 1, "sha256": "0" * 64}


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"tokens": {}}',
        '{"tokens": ["ci"]}',
        json.dumps({"tokens": [ENTRY], "more": 1}),
        json.dumps({"tokens": [ENTRY, ENTRY]}),
        json.dumps({"tokens": [{**ENTRY, "admin": True}]}),
        json.dumps({"tokens": [{**ENTRY, "scopes": ["storage:everything"]}]}),
        json.dumps({"tokens": [{**ENTRY, "scopes": "storage:read"}]}),
        json.dumps({"tokens": [{**ENTRY, "expires": "tomorrow"}]}),
        json.dumps({"tokens": [{**ENTRY, "expires": True}]}),
        json.dumps({"tokens": [{**ENTRY, "sha256": "0" * 63}]}),
        json.dumps({"tokens": [{**ENTRY, "name": "two words\n"}]}),
        json.dumps({"tokens": [{**ENTRY, "name": ""}]}),
        '{"tokens": ' + "[" * 10_000 + "]" * 10_000 + "}",
    ],
)
def test_a_file_that_is_not_as_it_is_written_is_not_used(content: str) -> None:
    with pytest.raises(Unreadable) as error:
        parse(content.encode())
    assert "0" * 63 not in error.value.why


@pytest.mark.parametrize(("mode", "why"), [(0o620, "others can write it"), (0o602, "others can write it")])
def test_a_file_that_others_can_write_is_not_used(mode: int, why: str, file: Path) -> None:
    made(file)
    file.chmod(mode)
    with pytest.raises(Unreadable, match=why):
        watched(file, Clock())


def test_a_pipe_and_a_folder_are_no_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    for path, why in (
        (tmp_path / "pipe", "no plain file"),
        (tmp_path, "directory|plain file"),
        (tmp_path / "x", "No such"),
    ):
        with pytest.raises(Unreadable, match=why):
            watched(path, Clock())


def test_a_link_is_followed_for_secrets_are_mounted_so_and_it_stays_a_link(file: Path) -> None:
    real = file.with_name("real.json")
    file.symlink_to(real)
    token = made(file)
    assert file.is_symlink()
    assert watched(file, Clock()).identify(token).subject == "ci"


def test_many_commands_at_once_lose_nothing(file: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        tokens = list(pool.map(partial(made, file), [f"t{number}" for number in range(24)]))
    assert len(parse(file.read_bytes())) == 24
    assert {hash_of(token) for token in tokens} == set(parse(file.read_bytes()))
    assert sorted(path.name for path in file.parent.iterdir()) == ["tokens.json", "tokens.json.lock"]


# --- the command


def command(*arguments: str) -> int:
    with pytest.raises(SystemExit) as done:
        main(["token", *arguments])
    assert isinstance(done.value.code, int)
    return done.value.code


@pytest.fixture(autouse=True)
def no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """None of the person who runs the tests."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in [name for name in os.environ if name.startswith("PAPERSPACE_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def tokens_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PAPERSPACE_MCP_TOKENS_FILE", str(file))
    return file


def test_new_prints_the_token_alone_once_and_list_never_shows_it(
    tokens_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        command(
            "new", "--name", "ci", "--team", "research", "--scopes", "storage:read,storage:destroy", "--expires", "2h"
        )
        == 0
    )
    token, err = capsys.readouterr()
    assert err == ""
    assert token.endswith("\n")
    (kept,) = parse(tokens_file.read_bytes()).values()
    assert hash_of(token.strip()) == kept.sha256
    assert (kept.name, kept.team, kept.scopes) == ("ci", "research", ["storage:read", "storage:destroy"])
    assert kept.expires is not None
    assert kept.expires - kept.created == 7200

    assert command("list") == 0
    listing, err = capsys.readouterr()
    assert err == ""
    head, row = listing.splitlines()
    assert head.split() == ["name", "team", "made", "(UTC)", "expires", "(UTC)", "scopes"]
    assert row.split()[:2] == ["ci", "research"]
    assert row.endswith("storage:read,storage:destroy")
    assert token.strip() not in listing
    assert kept.sha256 not in listing

    assert command("revoke", "ci") == 0
    assert capsys.readouterr() == ("", "Revoked: ci\n")
    assert parse(tokens_file.read_bytes()) == {}
    assert command("list") == 0
    assert capsys.readouterr() == ("", "There are no tokens.\n")


def test_a_token_reads_only_and_lasts_thirty_days_unless_more_is_said(
    tokens_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("new", "--name", "ci") == 0
    assert command("new", "--name", "for-ever", "--expires", "never") == 0
    capsys.readouterr()
    one, other = parse(tokens_file.read_bytes()).values()
    assert (one.team, one.scopes, (one.expires or 0) - one.created) == (None, ["storage:read"], 30 * 86_400)
    assert other.expires is None
    assert command("list") == 0
    assert "never" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("new", "--name", "ci"), "--name: there is a token of that name"),
        (("new", "--name", "two words"), "--name: expected"),
        (("new", "--name", "x" * 65), "--name: expected"),
        (("new", "--name", "a", "--scopes", "storage:all"), "--scopes: expected"),
        (("new", "--name", "a", "--scopes", ","), "--scopes: expected"),
        (("new", "--name", "a", "--expires", "soon"), "--expires: expected"),
        (("new", "--name", "a", "--expires", "0d"), "--expires: expected"),
        (("new",), "--name"),
        (("revoke", "nobody"), "NAME: there is no token of that name"),
        (("renew",), "WHAT"),
        ((), "WHAT"),
    ],
)
def test_wrong_usage_ends_with_2_and_one_line_and_changes_nothing(
    arguments: tuple[str, ...], named: str, tokens_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made(tokens_file)
    before = tokens_file.read_bytes()
    assert command(*arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert named in err
    assert tokens_file.read_bytes() == before


def test_a_file_that_is_not_set_broken_or_out_of_reach_is_said(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PAPERSPACE_MCP_TOKENS_FILE", raising=False)
    assert command("list") == 2
    assert "PAPERSPACE_MCP_TOKENS_FILE (--tokens-file): not set" in capsys.readouterr().err
    assert command("new", "--name", "a", "--tokens-file", str(file / "no" / "folder")) == 2
    assert "cannot be written (No such file or directory)" in capsys.readouterr().err
    file.write_text("{}", encoding="utf-8")
    assert command("new", "--name", "a", "--tokens-file", str(file)) == 2
    assert "not as `token new` writes it" in capsys.readouterr().err
    assert file.read_text(encoding="utf-8") == "{}"
