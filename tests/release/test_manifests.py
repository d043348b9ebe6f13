"""Every manifest in the repository: made from one source, of one version, valid where a schema says what that is."""

from __future__ import annotations

import json
import re
import shutil
import struct
import tomllib
from pathlib import Path
from typing import Any

import pytest

from packages import bundle, facts, manifests, write
from paperspace_storage_server import __version__
from paperspace_storage_server.settings import described
from support.schemas import conform

ROOT = Path(__file__).parents[2]
FACTS = facts.read()
CLAUDE = f"{manifests.PLUGIN}/.claude-plugin/plugin.json"
GEMINI = f"{manifests.PLUGIN}/gemini-extension.json"


def _read(path: str) -> Any:
    return json.loads((ROOT / path).read_text(encoding="utf-8"))


def _bundle() -> Any:
    return json.loads(manifests.text_of(manifests.bundle_manifest(FACTS, [("list_shared_drives", "Find drives.")])))


def _copy(folder: Path) -> Path:
    """A tree with all that manifests are made from, and the manifests."""
    needed = [*write.wanted(), facts.VERSION_FILE]
    needed += [Path(path) for path in ("pyproject.toml", "packages/facts.toml", "packages/icon.png")]
    needed += [path.relative_to(ROOT) for path in (ROOT / write.SKILLS).rglob("*") if path.is_file()]
    for path in needed:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, folder / path)
    return folder


def test_what_is_committed_is_what_the_facts_make() -> None:
    """Otherwise: `make manifests`, look at the difference, commit it. Skills are copied into the plugin by it too."""
    assert list(write.differences()) == []


def test_one_version_stands_everywhere() -> None:
    assert FACTS.version == _bundle()["version"] == __version__
    found = {
        path: version
        for path, value in manifests.committed(FACTS).items()
        for version in re.findall(r"\d+\.\d+\.\d+(?:rc\d+)?", manifests.text_of(value).replace("/1.0.0/", "/"))
        if version != __version__
    }
    assert found == {}


def test_one_command_carries_a_new_version_everywhere(tmp_path: Path) -> None:
    tree = _copy(tmp_path)
    facts.set_version("9.8.7", tree)
    written = write.write(tree)
    with_version = [
        path for path, value in manifests.committed(FACTS).items() if __version__ in manifests.text_of(value)
    ]
    assert sorted(map(str, written)) == sorted([*with_version, str(write.KUSTOMIZATION)])
    assert write.differences(tree) == {}
    assert "server.json" in with_version
    assert not any(__version__ in (tree / path).read_text(encoding="utf-8") for path in written)


def test_a_skill_that_is_no_more_leaves_the_plugin(tmp_path: Path) -> None:
    tree = _copy(tmp_path)
    left_over = Path(manifests.PLUGIN) / "skills/retired/SKILL.md"
    (tree / left_over).parent.mkdir(parents=True)
    (tree / left_over).write_text("gone", encoding="utf-8")
    assert write.write(tree) == [left_over]
    assert not (tree / left_over).exists()


@pytest.mark.parametrize("version", ["1.2", "v1.2.3", "1.2.3-beta", "1.2.3; rm -rf", ""])
def test_a_version_that_some_format_would_refuse_is_refused_first(version: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no version like"):
        facts.set_version(version, tmp_path)


@pytest.mark.parametrize("digest", [None, "0" * 64], ids=["committed", "with the digest of a bundle"])
def test_the_registry_entry_is_valid_by_the_registrys_schema(digest: str | None) -> None:
    entry = json.loads(manifests.text_of(manifests.registry_entry(FACTS, digest)))
    conform(entry, _read("tests/data/server.schema.json"))
    assert [package["registryType"] for package in entry["packages"]] == ["pypi", "mcpb", "oci"]
    assert [package.get("fileSha256") for package in entry["packages"]] == [None, digest, None]
    assert entry["packages"][0]["version"] == __version__
    assert entry["packages"][1]["identifier"].endswith(f"/v{__version__}/paperspace-storage-mcp-{__version__}.mcpb")
    assert entry["packages"][2]["identifier"].endswith(f":{__version__}")


def test_the_registry_may_take_the_package_for_the_readme_carries_the_name() -> None:
    assert re.findall(r"mcp-name: (\S+)", (ROOT / "README.md").read_text(encoding="utf-8")) == [FACTS.registry_name]
    assert _read("server.json")["name"] == FACTS.registry_name


def test_the_readme_leads_to_the_account_that_publishes() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    place = FACTS.repository.removeprefix("https://github.com/")
    assert set(re.findall(r"marketplace add (\S+)`", readme)) == {place}
    assert set(re.findall(r"extensions install (\S+)`", readme)) == {FACTS.repository}
    assert set(re.findall(r"ghcr\.io/\S+?(?=`)", readme)) == {FACTS.image}


def test_every_setting_a_package_asks_for_exists_and_only_the_key_is_a_secret() -> None:
    known = {variable for one in described().values() for variable in one.variables}
    assert {setting.variable for setting in FACTS.settings} <= known
    variables = [one for package in _read("server.json")["packages"] for one in package.get("environmentVariables", [])]
    secrets = {
        "registry": {variable["name"] for variable in variables if variable["isSecret"]},
        "bundle": {key for key, entry in _bundle()["user_config"].items() if entry.get("sensitive")},
        "claude": {key for key, entry in _read(CLAUDE)["userConfig"].items() if entry["sensitive"]},
        "gemini": {entry["envVar"] for entry in _read(GEMINI)["settings"] if entry["sensitive"]},
    }
    key = {"PAPERSPACE_API_KEY"}
    assert secrets == {"registry": key, "bundle": {"api_key"}, "claude": {"api_key"}, "gemini": key}


def test_no_package_needs_anything_to_start() -> None:
    variables = [one for package in _read("server.json")["packages"] for one in package.get("environmentVariables", [])]
    settings = [*_bundle()["user_config"].values(), *_read(CLAUDE)["userConfig"].values()]
    assert not any(variable["isRequired"] for variable in variables)
    assert not any(setting["required"] for setting in settings)
    assert all("default" in setting for setting in settings), "a value without one arrives as its placeholder"
    assert _read("smithery.yaml")["startCommand"]["configSchema"]["required"] == []


def test_the_bundle_hands_on_exactly_what_it_asks_for() -> None:
    manifest = _bundle()
    assert (manifest["manifest_version"], manifest["server"]["type"]) == ("0.4", "uv")
    assert manifest["server"]["mcp_config"]["env"] == {
        "PAPERSPACE_API_KEY": "${user_config.api_key}",
        "PAPERSPACE_MCP_READ_ONLY": "${user_config.read_only}",
        "PAPERSPACE_MCP_PROTECT": "${user_config.protect}",
        "PAPERSPACE_MCP_SANDBOX": "${user_config.sandbox}",
    }
    assert set(manifest["user_config"]) == {"api_key", "read_only", "protect", "sandbox"}
    assert manifest["privacy_policies"][0].endswith("/PRIVACY.md")
    assert (ROOT / "PRIVACY.md").exists()


def test_what_the_bundle_locks_is_what_was_tested() -> None:
    lines = (ROOT / "requirements/run.txt").read_text(encoding="utf-8").splitlines()
    assert bundle.pinned() == [line for line in lines if "==" in line and not line.lstrip().startswith("#")]


def test_the_project_page_leads_to_the_repository() -> None:
    urls = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]
    assert all(url.startswith(FACTS.repository) for url in urls.values())


def test_the_icon_is_a_small_square_png_of_512_pixels() -> None:
    icon = (ROOT / "packages/icon.png").read_bytes()
    assert icon[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", icon[16:24]) == (512, 512)
    assert len(icon) < 40_000
