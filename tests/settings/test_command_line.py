"""The command line as a process: what it prints, where, and with which exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from paperspace_storage_server import __version__
from paperspace_storage_server.commands import COMMANDS
from paperspace_storage_server.settings import described
from paperspace_storage_tools.catalogue import CATALOGUE
from paperspace_storage_tools.listing import entries
from support.command_line import run

MARK = "value-not-to-be-repeated"


@pytest.mark.parametrize(
    ("arguments", "environment", "named"),
    [
        (("--dialect", MARK), {}, "PAPERSPACE_MCP_DIALECT (--dialect)"),
        (("serve", "--call-timeout", MARK), {}, "PAPERSPACE_MCP_CALL_TIMEOUT (--call-timeout)"),
        (("tools", "--tools", "get_snapshots"), {}, "PAPERSPACE_MCP_TOOLS (--tools)"),
        ((), {"PAPERSPACE_MCP_READONLY": MARK}, "PAPERSPACE_MCP_READONLY: no such setting"),
        ((), {"PAPERSPACE_API_URL": f"http://{MARK}.example"}, "PAPERSPACE_API_URL (--api-url)"),
        (("--no-such-flag",), {}, "--no-such-flag"),
        (("--api-key", MARK), {}, "no such option: --api-key"),
        ((f"--api-key={MARK}",), {}, "no such option: --api-key"),
        (("tools", MARK), {}, "too many arguments"),
        (("no-such-command",), {}, "COMMAND"),
        (("serve", "--read"), {}, "--read"),
        (
            ("--sandbox",),
            {"PAPERSPACE_MCP_CREDENTIAL_A_ACCESS_KEY": MARK},
            "PAPERSPACE_MCP_CREDENTIAL_A_SECRET_KEY: not set",
        ),
    ],
)
def test_a_wrong_setting_ends_with_2_and_one_line_on_stderr(
    arguments: tuple[str, ...], environment: dict[str, str], named: str, tmp_path: Path
) -> None:
    code, out, err = run(tmp_path, *arguments, **environment)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert named in err
    assert MARK not in err


def test_tools_prints_the_catalogue_and_its_cost(tmp_path: Path) -> None:
    code, out, err = run(tmp_path, "tools")
    assert (code, err) == (0, "")
    head, *rows, last = out.splitlines()
    assert head.split() == ["tool", "kind", "toolset", "bytes"]
    assert [row.split()[:3] for row in rows] == [[tool.name, tool.kind, tool.toolset] for tool in CATALOGUE]
    assert last.startswith(f"{len(CATALOGUE)} tools; tools/list is ")


def test_tools_json_prints_the_whole_listing(tmp_path: Path) -> None:
    code, out, err = run(tmp_path, "tools", "--json", "--read-only", PAPERSPACE_MCP_TOOLSETS="snapshots")
    assert (code, err) == (0, "")
    chosen = [tool for tool in CATALOGUE if tool.kind == "read" and tool.toolset == "snapshots"]
    assert json.loads(out) == {"tools": entries(chosen)}


def test_the_version_is_the_package_s(tmp_path: Path) -> None:
    assert run(tmp_path, "--version") == (0, f"{__version__}\n", "")


def test_help_names_the_commands_and_what_each_does(tmp_path: Path) -> None:
    code, out, _ = run(tmp_path, "--help")
    assert code == 0
    words = " ".join(out.split())  # a long name stands in a line of its own
    assert all(f" {command} {does} " in words for command, (_, does) in COMMANDS.items())


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_each_command_says_of_every_option_which_variable_it_has(command: str, tmp_path: Path) -> None:
    code, out, err = run(tmp_path, command, "--help")
    assert (code, err) == (0, "")
    options = [" ".join(one.split()) for one in out.split("\n  -")[1:]]
    silent = [
        one
        for one in options
        if not one.startswith("h, --help") and "(no variable)" not in one and "[PAPERSPACE_" not in one
    ]
    assert silent == []


def _options(help: str) -> dict[str, str]:
    """Each flag and the text beside it, in one line."""
    blocks = [" ".join(block.split()) for block in help.split("\n  --")[1:]]
    return {"--" + block.split(" ", 1)[0]: block for block in blocks}


def test_every_setting_has_its_flag_with_meaning_default_and_variable_unless_it_is_a_secret(tmp_path: Path) -> None:
    code, out, _ = run(tmp_path, "serve", "--help")
    assert code == 0
    shown = _options(out.replace("-\n" + " " * 34, "-"))  # words are broken at hyphens
    assert set(shown) == {one.flag for one in described().values() if one.flag is not None}
    for one in described().values():
        if one.flag is None:
            assert all(variable in out for variable in one.variables)
            continue
        text = shown[one.flag]
        assert one.meaning in text
        assert all(choice in text for choice in one.choices) or one.switch
        assert f"default {one.default.replace('`', '')} [{one.variables[0]}]" in text
    assert {one.field for one in described().values() if one.flag is None} == {
        *("api_key", "oidc_client_secret", "redis_url", "state_keys")
    }
    assert "PAPERSPACE_MCP_CREDENTIAL_<PROFILE>_ACCESS_KEY" in out
