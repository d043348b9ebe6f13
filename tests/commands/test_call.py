"""`call`: one tool call for scripts. Nothing destroys by a slip, no secret is on a command line, failures are codes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any, cast

import pytest

from paperspace_storage_server.commands.call import arguments_of, policy
from paperspace_storage_server.settings import Settings, SettingsError
from paperspace_storage_tools.catalogue import CATALOGUE
from support.command_line import ROOT, environment, run, sandbox

MARK = "value-not-to-be-repeated"
TOOLS = {tool.name: tool for tool in CATALOGUE}
LINE = "Policy for {}: read-only off; confirm by the exact name; protect none; max-destructive 50/hour.\n"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    with sandbox(tmp_path_factory.mktemp("sandbox")) as url:
        yield url


class Shell:
    """One home, one team of the sandbox."""

    def __init__(self, home: Path, api: str) -> None:
        self.home = home
        self.settings = {"PAPERSPACE_API_URL": api, "PAPERSPACE_API_KEY": home.name, "PAPERSPACE_MCP_DIALECT": "live"}

    def call(self, *arguments: str, stdin: str | None = None, **more: str) -> tuple[int, str, str]:
        return run(self.home, "call", *arguments, stdin=stdin, **{**self.settings, **more})

    def ok(self, *arguments: str, stdin: str | None = None) -> dict[str, Any]:
        code, out, err = self.call(*arguments, stdin=stdin)
        assert (code, err) == (0, LINE.format(self.settings["PAPERSPACE_API_URL"]))
        return cast("dict[str, Any]", json.loads(out))


@pytest.fixture
def shell(tmp_path: Path, api: str) -> Shell:
    (tmp_path / ".paperspace").mkdir()
    return Shell(tmp_path, api)


def test_a_result_is_json_on_stdout_whatever_way_the_arguments_come(shell: Shell) -> None:
    whole = shell.ok("list_snapshots", "limit=2")
    assert whole == shell.ok("list_snapshots", '{"limit": 2}')
    assert whole == shell.ok("list_snapshots", "-", stdin='{"limit": 2}')
    drive = shell.ok("create_storage_provider", "name=Zürich", "type=s3", "-", "bucket=b", stdin=json.dumps(KEYS))
    assert (drive["name"], drive["bucket"]) == ("Zürich", "b")
    assert shell.ok("get_storage_provider", f"id={drive['id']}") == drive


KEYS = {"accessKey": MARK, "secretKey": MARK + "-2"}


def test_what_destroys_needs_its_flag_and_the_exact_name(shell: Shell) -> None:
    drive = shell.ok("list_shared_drives")["items"][0]
    code, out, err = shell.call("delete_shared_drive", f"id={drive['id']}", f"confirm={drive['name']}")
    assert (code, out) == (2, "")
    assert err == (
        "paperspace-storage-mcp: delete_shared_drive destroys: give --allow-destructive, and confirm=NAME with the "
        "exact name\n"
    )
    for confirm in ([], ["confirm=another"]):
        code, out, err = shell.call(
            *("delete_shared_drive", "--allow-destructive", f"id={drive['id']}", *confirm),
            PAPERSPACE_MCP_CONFIRM="never",
        )
        assert (code, out) == (1, "")
        assert "confirm by the exact name" not in err.splitlines()[1]
        assert drive["name"] in err
        assert err.endswith("Nothing was changed.\n")
    shell.ok("get_shared_drive", f"id={drive['id']}")
    done = shell.ok("delete_shared_drive", f"id={drive['id']}", f"confirm={drive['name']}", "--allow-destructive")
    assert done["deleted"] is True
    code, out, err = shell.call("get_shared_drive", f"id={drive['id']}")
    assert (code, out) == (1, "")
    assert "No shared drive" in err


def test_the_settings_file_binds_it_and_the_policy_is_named(shell: Shell) -> None:
    file = shell.home / ".paperspace" / "mcp.toml"
    file.write_text('protect = ["*"]\nconfirm = "person"\nmax-destructive = "unlimited"\n', encoding="utf-8")
    drives = json.loads(shell.call("list_shared_drives")[1])["items"]
    delete = ("delete_shared_drive", "--allow-destructive", f"id={drives[0]['id']}", f"confirm={drives[0]['name']}")
    code, out, err = shell.call(*delete)
    assert (code, out) == (1, "")
    said, refused = err.splitlines()
    assert said == (
        f"Policy for {shell.settings['PAPERSPACE_API_URL']}: read-only off; confirm person ({file}); "
        f"protect * ({file}); max-destructive unlimited ({file})."
    )
    assert "The operator protects" in refused
    code, _, err = shell.call(*delete, PAPERSPACE_MCP_PROTECT="nothing")
    assert (code, err.splitlines()[1].startswith("This server takes only a person's own yes")) == (1, True)
    file.write_text("read-only = true\n", encoding="utf-8")
    code, out, err = shell.call(*delete)
    assert (code, out) == (2, "")
    assert err.splitlines()[1].endswith("delete_shared_drive does not exist under this policy; see the line above")
    file.write_text("read-only = true\nread_only = false\n", encoding="utf-8")
    assert shell.call("list_shared_drives")[0] == 2


@pytest.mark.parametrize(
    ("arguments", "stdin", "code", "said"),
    [
        (("get_snapshot",), None, 2, "get_snapshot: `id` is required. Correct and call again; nothing was sent."),
        (("get_snapshot", "id=x", f"size={MARK}"), None, 2, "unknown argument `size`"),
        (("get_snapshot", "id=no-such"), None, 1, "No snapshot no-such"),
        (("update_shared_drive", "id=x", "size=7"), None, 2, "cannot change"),
        (("create_storage_provider", "name=n", "type=s3", "credentialProfile=x"), None, 2, "Unknown credentialProfile"),
        (("get_snapshot", "-"), f'{{"id": {MARK}}}', 2, "stdin: no JSON at line 1, column 8: Expecting value"),
    ],
)
def test_a_failure_is_its_text_on_stderr_and_a_code(
    arguments: tuple[str, ...], stdin: str | None, code: int, said: str, shell: Shell
) -> None:
    found, out, err = shell.call(*arguments, stdin=stdin)
    assert (found, out) == (code, "")
    assert said in err
    assert MARK not in err


def test_without_a_key_it_fails_with_1(tmp_path: Path) -> None:
    code, out, err = run(tmp_path, "call", "list_shared_drives")
    assert (code, out) == (1, "")
    assert err.splitlines()[1].startswith("No Paperspace API key.")


WRONG = [
    (("accessKey=" + MARK,), "accessKey: not on the command line"),
    (("access_key=" + MARK,), "accessKey: not on the command line"),
    (('{"secret_key": "' + MARK + '", "accessKey": ""}',), "accessKey, secretKey: not on the command line"),
    ((MARK,), "ARGUMENT: expected name=value, a JSON object, or - for one on stdin"),
    (("[1]",), "the JSON argument: expected an object such as"),
    (('"' + MARK + '"',), "the JSON argument: expected an object such as"),
    (('{"name": "' + MARK,), "the JSON argument: no JSON at line 1, column 10: Unterminated string starting at"),
    (('{"name": 1, "name": 2}',), "the JSON argument: name is given twice; keep one"),
    (('{"name": NaN}',), "the JSON argument: NaN is no JSON"),
    (('{"name":' * 20_000,), "the JSON argument: nested too deeply"),
    (('{"name": ' + "1" * 5000 + "}",), "the JSON argument: Exceeds the limit"),
    (("name=a", "name=b"), "name: given twice; keep one"),
    (("isTeamDefault=true", '{"is_team_default": false}'), "is_team_default: given twice; keep one"),
]


@pytest.mark.parametrize(("given", "line"), WRONG, ids=lambda one: str(one)[:40])
def test_arguments_that_cannot_be_read_are_named_without_their_value(given: tuple[str, ...], line: str) -> None:
    with pytest.raises(SettingsError) as raised:
        arguments_of(TOOLS["create_storage_provider"], given)
    assert str(raised.value).startswith(line)
    assert MARK not in str(raised.value)


def test_every_argument_that_holds_a_secret_is_refused_on_the_command_line() -> None:
    named = {
        (tool.name, name)
        for tool in CATALOGUE
        for name in tool.arguments.model_fields
        if "key" in name.split("_") or "secret" in name.split("_")
    }
    assert {name for _, name in named} == {"access_key", "secret_key"}
    for tool, name in named:
        with pytest.raises(SettingsError, match="not on the command line"):
            arguments_of(TOOLS[tool], [f"{name}=x"])


def test_a_value_may_hold_an_equals_sign_and_stay_empty() -> None:
    assert arguments_of(TOOLS["list_snapshots"], ["name=a=b", "region="]) == {"name": "a=b", "region": ""}


def test_the_policy_is_one_line_that_no_value_can_break() -> None:
    text = policy(Settings(sandbox=True, protect=["a\nb\x1b[0m"], max_destructive=None))
    assert "\n" not in text
    assert "\x1b" not in text


ROTATE = ROOT / "docs" / "scripts" / "rotate-snapshots.sh"
has_jq = pytest.mark.skipif(shutil.which("jq") is None, reason="the script needs jq")


class Rotation:
    """The script of the documents, over `call` from this tree."""

    def __init__(self, shell: Shell) -> None:
        self.shell = shell
        program = shell.home / "bin" / "paperspace-storage-mcp"
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -m paperspace_storage_server "$@"\n', encoding="utf-8")
        program.chmod(0o755)
        self.path = os.pathsep.join([str(program.parent), os.environ["PATH"]])

    def run(self, *arguments: str, **more: str) -> tuple[int, str]:
        """Its exit code and what it says, without the policy lines."""
        done = subprocess.run(
            [str(ROTATE), *arguments],
            env=environment(self.shell.home, **{**self.shell.settings, "PATH": self.path, **more}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert done.stdout == ""
        return done.returncode, "".join(
            line + "\n" for line in done.stderr.splitlines() if not line.startswith("Policy for ")
        )

    def snapshots(self) -> list[tuple[str, str]]:
        return [(one["name"], one["machineId"]) for one in self.shell.ok("list_snapshots", "limit=100")["items"]]


@pytest.mark.slow
@has_jq
def test_a_script_rotates_the_snapshots_of_a_machine_and_leaves_all_others(shell: Shell) -> None:
    rotation = Rotation(shell)
    before = rotation.snapshots()
    machine = before[0][1]
    assert rotation.run(machine, "1") == (0, "")
    (first,) = set(rotation.snapshots()) - set(before)
    code, said = rotation.run(machine, "1")
    (second,) = set(rotation.snapshots()) - set(before)
    assert (code, said.split(" (")[0]) == (0, f"deleted {first[0]}")
    assert second[0] > first[0]
    assert set(before) < set(rotation.snapshots())


@pytest.mark.slow
@has_jq
def test_whatever_fails_in_the_script_shows_in_its_exit_code_and_nothing_is_deleted(shell: Shell) -> None:
    rotation = Rotation(shell)
    machine = rotation.snapshots()[0][1]
    assert rotation.run(machine, "1")[0] == 0
    assert rotation.run(machine, "0")[0] == 2
    assert rotation.run(machine)[0] != 0
    count = len(rotation.snapshots())
    for more in (
        {"PAPERSPACE_API_KEY": ""},
        {"PAPERSPACE_API_URL": "http://127.0.0.1:9/v1", "PAPERSPACE_MCP_MAX_ATTEMPTS": "1"},
        {"PAPERSPACE_MCP_READ_ONLY": "true"},
        {"PAPERSPACE_MCP_DIALECT": "wrong"},
    ):
        code, said = rotation.run(machine, "1", **more)
        assert (code in (1, 2), len(said.splitlines())) == (True, 1)
    code, said = rotation.run("no-such-machine", "1")
    assert (code, len(said.splitlines())) == (1, 1)
    assert len(rotation.snapshots()) == count
    for more in ({"PAPERSPACE_MCP_PROTECT": "rotated-*"}, {"PAPERSPACE_MCP_EXCLUDE_TOOLS": "delete_snapshot"}):
        code, said = rotation.run(machine, "1", **more)  # a snapshot is made, and the oldest cannot be deleted
        assert (code in (1, 2), "deleted" in said.split(" ")) == (True, False)
