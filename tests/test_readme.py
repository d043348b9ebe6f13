"""The README against the code: every setting, tool and argument, both ways; its JSON, TOML and links."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from paperspace_storage_server.settings import Settings, described
from paperspace_storage_tools.catalogue import CATALOGUE
from paperspace_storage_tools.schema import input_schema
from support.command_line import environment
from support.settings_tables import tables

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def _section(title: str) -> str:
    return README.split(f"\n## {title}\n")[1].split("\n## ")[0]


def _rows(title: str) -> list[list[str]]:
    """The cells of the section's table, without its head."""
    lines = [line for line in _section(title).splitlines() if line.startswith("|")]
    return [
        [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line.strip("|"))] for line in lines[2:]
    ]


def _words(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("section", tables())
def test_the_tables_of_settings_and_commands_are_what_the_code_says(section: str) -> None:
    """Written anew by `PYTHONPATH=server:tools:tests python tests/support/settings_tables.py`."""
    rows = [line for line in _section(section).splitlines() if line.startswith("|")]
    assert rows[2:] == tables()[section]


def test_every_variable_named_anywhere_in_the_readme_exists() -> None:
    settings = described().values()
    known = {variable for one in settings for variable in one.variables}
    known |= {f"{variable}_FILE" for one in settings if one.secret for variable in one.variables}
    profiles = {
        f"PAPERSPACE_MCP_CREDENTIAL_BACKUP_{part}" for part in ("ACCESS_KEY", "SECRET_KEY", "ENDPOINT", "BUCKET")
    }
    mistyped_on_purpose = {"PAPERSPACE_MCP_READONLY"}
    assert set(re.findall(r"PAPERSPACE_\w+", README)) - known == profiles | mistyped_on_purpose


def test_the_tools_table_has_every_tool_with_its_kind_and_arguments_and_no_other() -> None:
    described = {_words(row[0])[0]: (row[1], sorted(_words(row[2]))) for row in _rows("Tools")}
    expected: dict[str, tuple[str, list[str]]] = {}
    for tool in CATALOGUE:
        schema = input_schema(tool.arguments)
        required = schema.get("required", [])
        arguments = sorted(name if name in required else f"{name}?" for name in schema["properties"])
        expected[tool.name] = (tool.kind, arguments)
    assert described == expected


def test_every_json_and_toml_block_parses_and_the_toml_names_settings() -> None:
    assert {type(json.loads(block)) for block in _blocks("json")} == {dict}
    (example,) = [tomllib.loads(block) for block in _blocks("toml")]
    assert {name.replace("-", "_") for name in example} <= set(Settings.model_fields)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_to_something(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", text) if not re.match(r"https?://|mailto:", link)]
    headings = {
        re.sub(r"[^\w\- ]", "", title).lower().replace(" ", "-")
        for title in re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    }
    broken = [
        link
        for link in links
        if (link[1:] not in headings if link.startswith("#") else not (page.parent / link.split("#")[0]).exists())
    ]
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_module_that_a_page_names_exists(page: Path) -> None:
    """Named from the checkout's root, or from the package whose rooms the page is about."""
    named = re.findall(r"(?<![\w/.])(?:[a-z_]+/)+\w+\.py\b", page.read_text(encoding="utf-8"))
    roots = (ROOT, ROOT / "server" / "paperspace_storage_server", ROOT / "tools" / "paperspace_storage_tools")
    assert [one for one in named if not any((root / one).exists() for root in roots)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_choice_of_tests_that_a_page_names_chooses_some(page: Path) -> None:
    chosen = re.findall(r"pytest (tests/[\w/.]+\.py) -k (\w+)", page.read_text(encoding="utf-8"))
    found = [re.search(rf"def test_\w*{word}", (ROOT / file).read_text(encoding="utf-8")) for file, word in chosen]
    assert [choice for choice, test in zip(chosen, found, strict=True) if test is None] == []


def _checks() -> list[tuple[str, str]]:
    """Each check of the section on security that is one command, and what is expected of it."""
    rows = [(re.match(r"`(.*)`$", command), expected) for command, expected in _rows("Security")]
    return [(command[1], expected) for command, expected in rows if command and "`, " not in command[1]]


def test_the_section_on_security_has_checks() -> None:
    assert len(_checks()) >= 6


@pytest.mark.parametrize(("command", "expected"), _checks())
def test_a_check_of_the_section_on_security_answers_what_it_says(command: str, expected: str, tmp_path: Path) -> None:
    ours = f"{shlex.quote(sys.executable)} -m paperspace_storage_server"
    ran = subprocess.run(
        ["sh", "-c", command.replace("paperspace-storage-mcp", ours)],
        env=environment(tmp_path),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    said = ran.stdout + ran.stderr
    if wanted := re.match(r"exit 2: (.*)", expected):
        assert ran.returncode == 2
        assert len(said.splitlines()) == 1
        if words := _words(wanted[1]):
            assert words[0] in said
    elif wanted := re.match(r"(\d+) tools, all of the kind `(\w+)`", expected):
        *tools, total = said.splitlines()[1:]
        assert total.startswith(f"{wanted[1]} tools;")
        assert [row.split()[1] for row in tools] == [wanted[2]] * int(wanted[1])
    else:
        assert f"`{said.strip()}`" == expected
