"""The skills as data: their form, what they name, and that their generated part is what the catalogue makes."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from paperspace_storage_tools.catalogue import CATALOGUE
from paperspace_storage_tools.schema import input_schema
from paperspace_storage_tools.skills import ENTRY, NAMES, Skill, honoured, skills
from paperspace_storage_tools.skills.frontmatter import split
from paperspace_storage_tools.skills.tables import FOLDER, TABLE, table

TOOLS = {tool.name: tool for tool in CATALOGUE}
# Words of the contract that the catalogue does not have yet; one that it has by now fails below, by its name.
_MOST_TOKENS = 5000


def _texts() -> list[tuple[str, str]]:
    return [(f"{skill.name}/{file.path}", file.text) for skill in skills() for file in skill.files]


@pytest.mark.parametrize("skill", skills(), ids=lambda skill: skill.name)
def test_the_reference_validator_accepts_every_skill(skill: Skill) -> None:
    validate = "import sys; from skills_ref.cli import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", validate, "validate", str(FOLDER / skill.name)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout.strip()) == (0, f"Valid skill: {FOLDER / skill.name}"), done.stderr


@pytest.mark.parametrize("skill", skills(), ids=lambda skill: skill.name)
def test_the_frontmatter_is_what_a_yaml_parser_reads(skill: Skill) -> None:
    head = skill.files[0].text.split("---\n", 2)[1]
    assert skill.frontmatter == yaml.safe_load(head)


@pytest.mark.parametrize("skill", skills(), ids=lambda skill: skill.name)
def test_a_skill_is_named_as_its_folder_and_costs_less_than_the_specification_recommends(skill: Skill) -> None:
    assert skill.frontmatter["name"] == skill.name
    assert skill.files[0].path == ENTRY
    # Three bytes a token is more than any tokenizer makes of English text and tables.
    assert all(file.size / 3 < _MOST_TOKENS for file in skill.files)


def test_every_folder_of_skills_is_known_and_every_name_has_a_folder() -> None:
    folders = {path.parent.name for path in FOLDER.glob("*/SKILL.md")}
    assert folders == set(NAMES)


def test_the_files_of_a_skill_are_the_files_on_disk_with_their_sizes_and_digests() -> None:
    found = {f"{skill.name}/{file.path}": (file.size, file.digest) for skill in skills() for file in skill.files}
    on_disk = {
        str(path.relative_to(FOLDER).as_posix()): (path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())
        for name in NAMES
        for path in (FOLDER / name).rglob("*")
        if path.is_file()
    }
    assert found == on_disk


@pytest.mark.parametrize("name", NAMES)
def test_the_tables_are_what_the_catalogue_makes(name: str) -> None:
    assert (FOLDER / name / TABLE).read_text(encoding="utf-8") == table(name), (
        "stale: run python -m paperspace_storage_tools.skills.tables"
    )


def test_the_general_skill_s_table_has_every_tool_with_every_argument() -> None:
    text = (FOLDER / NAMES[0] / TABLE).read_text(encoding="utf-8")
    sections = {part.split(" ")[0]: part for part in text.split("\n## ")[1:]}
    assert list(sections) == list(TOOLS)
    for name, section in sections.items():
        described = re.findall(r"^\| `(\w+)`(\??) \|", section, re.MULTILINE)
        schema = input_schema(TOOLS[name].arguments)
        required = schema.get("required", [])
        assert dict(described) == {one: "" if one in required else "?" for one in schema["properties"]}


def test_every_tool_that_a_skill_names_or_needs_exists() -> None:
    named = {
        word for _, text in _texts() for word in re.findall(r"`((?:get|list|create|update|delete|restore)_\w+)`", text)
    }
    needed = {tool for skill in skills() for tool in skill.requires}
    assert needed <= set(TOOLS)
    assert named - set(TOOLS) == set()


def test_a_skill_names_each_tool_that_it_needs_and_only_the_general_one_needs_none() -> None:
    assert [skill.name for skill in skills() if not skill.requires] == [NAMES[0]]
    for skill in skills():
        assert all(f"`{tool}`" in skill.body for tool in skill.requires), skill.name


def test_the_calls_that_the_skills_show_for_a_shell_have_arguments_that_the_tools_take() -> None:
    shown = [
        call for _, text in _texts() for call in re.findall(r"paperspace-storage-mcp call ([a-z]+_[^\n`#]+)", text)
    ]
    assert len(shown) >= 7
    for call in shown:
        tool, *rest = call.split()
        given = {word.split("=")[0] for word in rest if re.match(r"[a-zA-Z]+=", word)}
        given |= set(re.findall(r'"(\w+)":', call))
        taken = set(input_schema(TOOLS[tool].arguments)["properties"])
        assert given <= taken, call


def test_every_file_that_a_skill_refers_to_is_part_of_it() -> None:
    for skill in skills():
        links = set(re.findall(r"\]\(([^)]+)\)", skill.body))
        assert links <= {file.path for file in skill.files}
        assert all(file.path in links for file in skill.files[1:]), f"{skill.name}: a file that nothing refers to"


def test_every_skill_says_how_to_act_over_mcp_and_from_a_shell() -> None:
    for skill in skills():
        assert "paperspace-storage-mcp call TOOL" in skill.body
        assert "in your tool list" in skill.body or "call them" in skill.body


def test_the_skills_that_can_be_honoured_are_those_whose_tools_are_all_there() -> None:
    reading = [tool.name for tool in CATALOGUE if tool.kind == "read"]
    assert [skill.name for skill in honoured(reading)] == ["paperspace-storage", "storage-review"]
    assert honoured(TOOLS) == skills()
    assert [skill.name for skill in honoured([])] == ["paperspace-storage"]


@pytest.mark.parametrize(
    "text",
    [
        "name: x\n",
        "---\nname: x\n",
        "text\n---\nname: x\n---\n",
        "---\nname: 'x'\n---\n",
        "---\nname: a: b\n---\n",
        "---\nname: a #b\n---\n",
        "---\n  name: x\n---\n",
        "---\nname: x\n  inner: y\n---\n",
        "---\n- name\n---\n",
        "---\nmetadata:\n  inner:\n---\n",
    ],
)
def test_frontmatter_beyond_our_own_form_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"frontmatter|YAML|only text below"):
        split(text)


def test_frontmatter_is_split_from_the_text_after_it() -> None:
    made: Any = split("---\nname: x\nmetadata:\n  requires-tools: a b\nlicense: MIT\n---\n\n# Title\n---\n")
    assert made == ({"name": "x", "metadata": {"requires-tools": "a b"}, "license": "MIT"}, "\n# Title\n---\n")


def test_reading_the_skills_needs_no_file_system(tmp_path: Path) -> None:
    """A wheel in a zip has them too: whatever reads them goes through importlib.resources."""
    import shutil

    zipped = shutil.make_archive(str(tmp_path / "tools"), "zip", FOLDER.parents[1], "paperspace_storage_tools")
    ask = "from paperspace_storage_tools.skills import skills; print(*(s.files[-1].digest for s in skills()))"
    code = f"import sys; sys.path.insert(0, {zipped!r}); {ask}"
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], capture_output=True, text=True, timeout=60, check=True, cwd=tmp_path, env={}
    )
    assert done.stdout.split() == [skill.files[-1].digest for skill in skills()]
