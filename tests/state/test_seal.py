"""Sealed text: nobody else can read, change, keep or use it elsewhere; keys can be changed meanwhile."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paperspace_storage_server.state.seal import (
    LARGEST,
    JsonValue,
    NotSealedHere,
    Opened,
    Sealer,
    SealExpired,
    keys_of,
    local_keys,
)
from state.conftest import Time
from support.stdio_server import environment

OLD, NEW, FOREIGN = (bytes([number]) * 32 for number in (1, 2, 3))
OWNER = ("team", "anna@issuer")
CONTENT: dict[str, JsonValue] = {"id": "sd1", "name": 'a "name" \ud800', "facts": ["500 GB", None, 1.5, True]}


def test_what_was_sealed_opens_on_every_replica_for_its_time() -> None:
    time = Time(1000)
    text = Sealer([OLD], time).seal("question", OWNER, CONTENT, 60)
    time.now += 59
    opened = Sealer([OLD], time).open(text, "question", OWNER)
    assert opened == Opened(CONTENT, opened.id, 1)
    time.now += 1
    with pytest.raises(SealExpired):
        Sealer([OLD], time).open(text, "question", OWNER)


def test_nothing_of_it_can_be_read_and_no_two_are_alike() -> None:
    sealer = Sealer([OLD])
    texts = {sealer.seal("question", OWNER, {"name": "visible"}, 60) for _ in range(100)}
    assert len(texts) == 100
    assert len({sealer.open(text, "question", OWNER).id for text in texts}) == 100
    for text in texts:
        assert b"visible" not in base64.urlsafe_b64decode(text + "==")
        assert text.replace("-", "").replace("_", "").isalnum()


@pytest.mark.parametrize(
    ("purpose", "owner"),
    [
        ("task", OWNER),
        ("question", ("other", "anna@issuer")),
        ("question", ("team", "ben@issuer")),
        ("question", ("team",)),
        ("question", ("team", "anna@issuer", "")),
        ("question", ("teamanna@issuer", "")),
        ("question|4:team", ("anna@issuer",)),
        ("question", ()),
    ],
)
def test_it_opens_for_no_other_purpose_or_owner(purpose: str, owner: tuple[str, ...]) -> None:
    sealer = Sealer([OLD])
    with pytest.raises(NotSealedHere):
        sealer.open(sealer.seal("question", OWNER, CONTENT, 60), purpose, owner)


def test_no_bit_of_it_can_be_changed() -> None:
    sealer = Sealer([OLD])
    raw = base64.urlsafe_b64decode(sealer.seal("question", OWNER, {"a": 1}, 60) + "==")
    for place in range(len(raw)):
        changed = raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :]
        with pytest.raises(NotSealedHere):
            sealer.open(base64.urlsafe_b64encode(changed).decode().rstrip("="), "question", OWNER)
    for cut in (raw[:-1], raw + b"\0", raw[:12], b""):
        with pytest.raises(NotSealedHere):
            sealer.open(base64.urlsafe_b64encode(cut).decode().rstrip("="), "question", OWNER)


def test_another_spelling_of_the_same_bytes_does_not_open() -> None:
    """It would be spent under the same id, but no second spelling is the safer rule."""
    sealer = Sealer([OLD])
    text = next(text for text in (sealer.seal("q", (), {"a": "x" * n}, 60) for n in range(3)) if len(text) % 4)
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    twin = text[:-1] + alphabet[alphabet.index(text[-1]) ^ 1]
    assert base64.urlsafe_b64decode(twin + "==") == base64.urlsafe_b64decode(text + "==")
    assert list(sealer.open(text, "q", ()).content) == ["a"]
    for spelling in (twin, text + "=", text + "\n", " " + text, text.replace("-", "+")[:-1] + "+"):
        with pytest.raises(NotSealedHere):
            sealer.open(spelling, "q", ())


@given(st.one_of(st.text(), st.binary().map(lambda raw: base64.urlsafe_b64encode(raw).decode())))
def test_whatever_comes_back_it_is_refused_and_nothing_else_happens(text: str) -> None:
    with pytest.raises(NotSealedHere):
        Sealer([OLD]).open(text, "question", OWNER)


def test_what_is_too_long_is_not_looked_at() -> None:
    with pytest.raises(NotSealedHere):
        Sealer([OLD]).open("A" * (LARGEST + 1), "question", OWNER)


def test_keys_are_changed_in_three_steps_and_nothing_under_way_is_lost() -> None:
    before = Sealer([OLD]).seal("q", (), {"by": "old"}, 60)
    both = Sealer([OLD, NEW])
    turned = Sealer([NEW, OLD])
    after = turned.seal("q", (), {"by": "new"}, 60)
    assert [one.open(before, "q", ()).content["by"] for one in (both, turned)] == ["old", "old"]
    assert [one.open(after, "q", ()).content["by"] for one in (both, turned, Sealer([NEW]))] == ["new"] * 3
    with pytest.raises(NotSealedHere):
        Sealer([NEW]).open(before, "q", ())
    with pytest.raises(NotSealedHere):
        Sealer([FOREIGN]).open(after, "q", ())


def test_a_key_has_32_bytes_and_there_is_one_at_least() -> None:
    assert keys_of(["01" * 32, "02" * 32]) == [OLD, NEW]
    for keys in ([], [b""], [OLD[:-1]], [OLD, b"x" * 33]):
        with pytest.raises(ValueError, match="32 bytes"):
            Sealer(keys)


def test_the_local_key_is_made_once_and_its_owners_alone(tmp_path: Path) -> None:
    file = tmp_path / "new" / "mcp-seal.key"
    said: list[str] = []
    keys = local_keys(file, said.append)
    assert local_keys(file, said.append) == keys
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["mcp-seal.key"]
    assert said == []


def test_processes_that_start_at_once_have_one_local_key(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from paperspace_storage_server.state.seal import local_keys; "
        "print('ready', flush=True); sys.stdin.readline(); print(local_keys(Path(sys.argv[1]), print)[0].hex())"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "mcp-seal.key")]
    pipe = subprocess.PIPE
    processes = [subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment()) for _ in range(4)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    keys = {process.communicate("go\n", timeout=60)[0] for process in processes}
    assert len(keys) == 1


def _shown_to_others(file: Path) -> None:
    file.write_text("01" * 32)
    file.chmod(0o644)


def _a_link(file: Path) -> None:
    (file.parent / "elsewhere").write_text("01" * 32)
    (file.parent / "elsewhere").chmod(0o600)
    file.symlink_to(file.parent / "elsewhere")


def _short(file: Path) -> None:
    file.write_text("0102")
    file.chmod(0o600)


def _no_hex(file: Path) -> None:
    file.write_bytes(b"\xff" * 64)
    file.chmod(0o600)


def _a_folder(file: Path) -> None:
    file.mkdir(0o700)


def _a_pipe(file: Path) -> None:
    os.mkfifo(file, 0o600)


@pytest.mark.parametrize("make", [_shown_to_others, _a_link, _short, _no_hex, _a_folder, _a_pipe])
def test_a_local_key_that_is_none_or_no_secret_is_not_used(make: object, tmp_path: Path) -> None:
    assert callable(make)
    file = tmp_path / "mcp-seal.key"
    make(file)
    said: list[str] = []
    (key,) = local_keys(file, said.append)
    assert key != OLD
    assert len(key) == 32
    assert len(said) == 1
    assert str(file) in said[0]
    assert "cannot be opened after it has ended" in said[0]
