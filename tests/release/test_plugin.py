"""The plugin's archive, checked and installed by the hosts' own commands, its server started by them where they do."""

from __future__ import annotations

import json
import shutil
import tarfile
from pathlib import Path

import pytest

from packages import facts, manifests
from paperspace_storage_server import __version__
from support.installed import Built, Hosts, bare_environment

ROOT = Path(__file__).parents[2]
NAME = "paperspace-storage"
SKILLS = sorted(path.parent.name for path in (ROOT / "tools/paperspace_storage_tools/skills").glob("*/SKILL.md"))

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture
def shop(built: Built, home: Path) -> Path:
    """A folder like the repository's top: the marketplaces, and the plugin out of its archive."""
    folder = home / "shop"
    for path in (".claude-plugin", ".agents", ".cursor-plugin"):
        shutil.copytree(ROOT / path, folder / path)
    with tarfile.open(built.one("*-plugin-*.tar.gz")) as archive:
        archive.extractall(folder / manifests.PLUGIN, filter="data")
    return folder


def _environment(built: Built, home: Path, **more: str) -> dict[str, str]:
    """A host's, with uv on its path; the server's wheel comes from the folder that was built, not from a registry."""
    env = bare_environment(home, UV_FIND_LINKS=str(built.folder), **more)
    return {**env, "PATH": f"{built.bin}:{env['PATH']}"}


def test_the_archive_is_the_folder_in_the_repository(shop: Path) -> None:
    here, there = ROOT / manifests.PLUGIN, shop / manifests.PLUGIN
    files = {path.relative_to(here): path.read_bytes() for path in here.rglob("*") if path.is_file()}
    assert {path.relative_to(there): path.read_bytes() for path in there.rglob("*") if path.is_file()} == files


def test_claude_code_validates_installs_and_starts_it(built: Built, hosts: Hosts, shop: Path, home: Path) -> None:
    env = _environment(built, home)
    for path in (shop, shop / manifests.PLUGIN):
        assert "Validation passed" in hosts.run("claude", "plugin", "validate", "--strict", path, env=env, cwd=home)
    hosts.run("claude", "plugin", "marketplace", "add", shop, env=env, cwd=home)
    asked = ["--config", "sandbox=true"]
    hosts.run("claude", "plugin", "install", f"{NAME}@{NAME}", *asked, env=env, cwd=home)
    details = hosts.run("claude", "plugin", "details", NAME, env=env, cwd=home)
    assert f"{NAME} {__version__}" in details
    assert f"Skills ({len(SKILLS)})" in details
    servers = hosts.run("claude", "mcp", "list", env=env, cwd=home)
    started = f"plugin:{NAME}:{NAME}: uvx paperspace-storage-mcp=={__version__} - ✔ Connected"
    assert started in servers


def test_claude_code_starts_it_without_a_single_setting(built: Built, hosts: Hosts, shop: Path, home: Path) -> None:
    env = _environment(built, home)
    hosts.run("claude", "plugin", "marketplace", "add", shop, env=env, cwd=home)
    hosts.run("claude", "plugin", "install", f"{NAME}@{NAME}", env=env, cwd=home)
    assert "✔ Connected" in hosts.run("claude", "mcp", "list", env=env, cwd=home)


def test_gemini_cli_validates_and_installs_it(built: Built, hosts: Hosts, shop: Path, home: Path) -> None:
    env = _environment(built, home, GEMINI_CLI_TRUST_WORKSPACE="true")
    folder = shop / manifests.PLUGIN
    hosts.run("gemini", "extensions", "validate", folder, env=env, cwd=home)
    hosts.run("gemini", "extensions", "install", folder, "--consent", "--skip-settings", env=env, cwd=home)
    installed = home / ".gemini/extensions" / NAME
    assert json.loads((installed / "gemini-extension.json").read_text(encoding="utf-8"))["version"] == __version__
    assert sorted(path.parent.name for path in installed.glob("skills/*/SKILL.md")) == SKILLS


def test_codex_installs_it_with_its_server_and_skills(built: Built, hosts: Hosts, shop: Path, home: Path) -> None:
    env = _environment(built, home)
    hosts.run("codex", "plugin", "marketplace", "add", shop, env=env, cwd=home)
    said = hosts.run("codex", "plugin", "add", f"{NAME}@{NAME}", "--json", env=env, cwd=home)
    installed = json.loads(said)
    assert (installed["name"], installed["version"]) == (NAME, __version__)
    assert sorted(path.parent.name for path in Path(installed["installedPath"]).glob("skills/*/SKILL.md")) == SKILLS
    (server,) = json.loads(hosts.run("codex", "mcp", "list", "--json", env=env, cwd=home))
    assert (server["name"], server["enabled"]) == (NAME, True)
    assert server["transport"]["args"] == facts.read().uvx
    assert {setting.variable for setting in facts.read().settings} <= set(server["transport"]["env_vars"])
