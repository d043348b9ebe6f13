"""TOML, changed in one place."""

from __future__ import annotations

import re
import tomllib

import pytest

from paperspace_storage_server.commands.hosts.form import Change, Damaged, Plain, edit
from paperspace_storage_server.commands.hosts.toml_text import Toml

FORM = Toml()
ENTRY: Plain = {"command": "uvx", "args": ["it", "serve"], "env": {"SANDBOX": "true"}}
WRITTEN = '[mcp_servers.it]\ncommand = "uvx"\nargs = ["it", "serve"]\nenv = { SANDBOX = "true" }\n'
PUT = [Change(("mcp_servers", "it"), ENTRY)]
TAKE = [Change(("mcp_servers", "it"), None)]

TEXTS = {
    "nothing": "",
    "other tables, comments": 'model = "x"   # mine\n\n[mcp_servers.a]\ncommand = "a"\n\n# tui\n[tui]\nx=1\n',
    "a table of inline ones": '[mcp_servers]\na = {command="x"}\n',
    "dotted names": 'mcp_servers.a.command = "x"\n[other]\ny=1\n',
    "spread over the file": '[mcp_servers.a]\ncommand="a"\n[z]\n[mcp_servers.b]\n  command="b"\n\n\n',
    "dates, numbers, long strings": "a = 2026-01-01\nb = 0x1F\nc = '''\nit's\n'''\n[[d]]\ne = 1.50\n",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=list(TEXTS))
def test_an_entry_goes_to_the_end_and_out_again_without_moving_another_byte(text: str) -> None:
    after = edit(FORM, text, PUT)
    assert after == (f"{text}\n{WRITTEN}" if text else WRITTEN)
    assert edit(FORM, after, TAKE) == text


def test_lines_end_as_they_did() -> None:
    text = '[a]\r\nb = "c"\r\n'
    after = edit(FORM, text, PUT)
    assert after == text + "\r\n" + WRITTEN.replace("\n", "\r\n")
    assert edit(FORM, after, TAKE) == text


def test_a_file_without_a_last_line_break_gets_one() -> None:
    assert edit(FORM, "a = 1", PUT) == f"a = 1\n\n{WRITTEN}"


def test_an_entry_joins_an_inline_table() -> None:
    after = edit(FORM, 'mcp_servers = {a = {command="x"}} # all\nz = 1\n', PUT)
    assert tomllib.loads(after) == {"mcp_servers": {"a": {"command": "x"}, "it": ENTRY}, "z": 1}
    assert after.startswith('mcp_servers = {a = {command="x"}')
    assert after.endswith(" # all\nz = 1\n")


def test_values_are_changed_where_they_stand() -> None:
    text = '[mcp_servers.it]\ncommand = "old" # mine\nenv = { A = "1", B = "2" }\ntimeout = 5\n[z]\ny = 1 # z\n'
    changes = [
        Change(("mcp_servers", "it", "command"), "new"),
        Change(("mcp_servers", "it", "env", "A"), None),
        Change(("mcp_servers", "it", "env", "C"), "3"),
    ]
    after = edit(FORM, text, changes)
    assert tomllib.loads(after)["mcp_servers"] == {"it": {"command": "new", "env": {"B": "2", "C": "3"}, "timeout": 5}}
    assert [line for line in after.splitlines() if not line.startswith("env")] == [
        "[mcp_servers.it]",
        'command = "new" # mine',
        "timeout = 5",
        "[z]",
        "y = 1 # z",
    ]


def test_a_setting_goes_before_the_tables() -> None:
    text = "# mine\nread-only = false # for now\n[connect-policy]\nx = 1\n"
    changes = [Change(("read-only",), True), Change(("protect",), ["a", "b"])]
    after = edit(FORM, text, changes)
    assert after == ('# mine\nread-only = true # for now\nprotect = ["a", "b"]\n\n[connect-policy]\nx = 1\n')


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a = [\n", "end of document: no TOML"),
        ('a = "x" b = 1\n', "line 1, column 9: no TOML"),
        ("a = 1\na = 2\n", "line 2, column 6: no TOML"),
        ("a = " + "[" * 5000, "nested too deeply"),
        ("a." * 5000 + "b = 1\n", "nested too deeply"),
        ("mcp_servers = 1\n", "mcp_servers is no table"),
        ("[[mcp_servers]]\na = 1\n", "mcp_servers is no table"),
        ("\ufeffa = 1\n", "line 1, column 1: no TOML"),
    ],
)
def test_what_is_damaged_is_said_with_its_place_and_left(text: str, why: str) -> None:
    with pytest.raises(Damaged, match=f"^{re.escape(why)}$"):
        edit(FORM, text, PUT)


def test_what_is_shown_hides_strings_and_comments_but_names_and_ours() -> None:
    text = "\"a.b\" = 'sk-1' # sk-2\n"
    text += '[x."y#z"]\nk = """\nsk-3 # no comment\n"""\nargs = ["serve", \'sk-4\']\nkey = "key!"\n'
    assert FORM.hide(text, frozenset(["serve"]), "key!") == (
        '"a.b" = "[hidden]" # [hidden]\n[x."[hidden]"]\nk = "[hidden]"\nargs = ["serve", "[hidden]"]\nkey = "[key]"\n'
    )
