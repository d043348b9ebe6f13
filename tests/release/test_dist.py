"""`make dist` in a fresh clone, twice; then each file is installed and used from that folder alone."""

from __future__ import annotations

import hashlib
import json
import sys
import tomllib
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from packages import facts, manifests
from packages.build import MCPB
from paperspace_storage_server import __version__
from paperspace_storage_tools.catalogue import CATALOGUE
from support.installed import Built, Session, bare_environment, interpreter_of, run, session

ROOT = Path(__file__).parents[2]
ALL = [tool.name for tool in CATALOGUE]
READING = [tool.name for tool in CATALOGUE if tool.kind == "read"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture
def python(request: pytest.FixtureRequest, built: Built, home: Path) -> Path:
    """An empty environment of the Python that the test names, or of this one."""
    given = getattr(request, "param", None)
    interpreter = interpreter_of(given) if given else sys.executable
    run(built.uv, "venv", "--quiet", "--python", interpreter, home / "empty", env=bare_environment(home), cwd=home)
    return home / "empty" / "bin" / "python"


def _as_sandbox(home: Path) -> dict[str, str]:
    return bare_environment(home, PAPERSPACE_MCP_SANDBOX="true")


def _fine(seen: Session, tools: list[str]) -> None:
    assert (seen.server, seen.version, seen.tools, seen.failed) == ("paperspace-storage", __version__, tools, False)
    assert json.loads(seen.answer)["items"][0]["name"] == "team-home"


def test_two_builds_of_a_commit_are_the_same_bytes(built: Built, home: Path) -> None:
    env = bare_environment(home)
    other = home / "elsewhere"
    run("git", "clone", "--quiet", ROOT, other, env=env, cwd=home)
    script = f"umask 077; exec {built.bin}/python -m packages.build --out {home}/again"
    run("sh", "-c", script, env={**env, "TZ": "Pacific/Kiritimati", "LC_ALL": "C"}, cwd=other)
    sums = (home / "again/SHA256SUMS").read_text(encoding="utf-8")
    assert sums == (built.folder / "SHA256SUMS").read_text(encoding="utf-8")
    assert len(sums.splitlines()) == 9


def test_the_sums_are_right_and_the_registry_entry_has_the_bundles(built: Built) -> None:
    for line in (built.folder / "SHA256SUMS").read_text(encoding="utf-8").splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256((built.folder / name).read_bytes()).hexdigest() == digest
    entry = json.loads((built.folder / "server.json").read_text(encoding="utf-8"))
    bundle = hashlib.sha256(built.one("*.mcpb").read_bytes()).hexdigest()
    assert entry == json.loads(manifests.text_of(manifests.registry_entry(facts.read(), bundle)))


@pytest.mark.anyio
@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"], indirect=True)
async def test_the_wheel_in_an_empty_environment_tells_its_story_and_serves_a_host(
    built: Built, home: Path, python: Path
) -> None:
    env = bare_environment(home)
    run(built.uv, "pip", "install", "--quiet", "--python", python, built.one("*.whl"), env=env, cwd=home)
    command = python.parent / "paperspace-storage-mcp"
    assert run(command, "demo", env=env, cwd=home).endswith("All steps did what they should.\n")
    _fine(await session(command, [], _as_sandbox(home), home), ALL)


@pytest.mark.anyio
async def test_the_sdist_in_an_empty_environment_tells_its_story_and_serves_a_host(
    built: Built, home: Path, python: Path
) -> None:
    env = bare_environment(home)
    sdist = built.one("paperspace_storage_mcp-*.tar.gz")
    run(built.uv, "pip", "install", "--quiet", "--python", python, sdist, env=env, cwd=home)
    command = python.parent / "paperspace-storage-mcp"
    assert run(command, "demo", env=env, cwd=home).endswith("All steps did what they should.\n")
    _fine(await session(python, ["-m", "paperspace_storage_server"], _as_sandbox(home), home), ALL)


@pytest.mark.anyio
async def test_uvx_serves_a_host_from_the_wheel(built: Built, home: Path) -> None:
    arguments = ["--from", str(built.one("*.whl")), "paperspace-storage-mcp", "--read-only"]
    _fine(await session(built.bin / "uvx", arguments, _as_sandbox(home), home), READING)


def test_pipx_runs_the_wheel(built: Built, home: Path) -> None:
    asked = ["run", "--spec", str(built.one("*.whl")), "paperspace-storage-mcp", "--version"]
    assert run(built.bin / "pipx", *asked, env=bare_environment(home), cwd=home) == f"{__version__}\n"


def test_the_wheel_holds_the_two_packages_and_nothing_else(built: Built) -> None:
    with zipfile.ZipFile(built.one("*.whl")) as wheel:
        names = wheel.namelist()
    tops = {name.split("/")[0] for name in names}
    dist_info = f"paperspace_storage_mcp-{__version__}.dist-info"
    assert tops == {"paperspace_storage_server", "paperspace_storage_tools", dist_info}
    skills = {path.parent.name for path in (ROOT / "tools/paperspace_storage_tools/skills").glob("*/SKILL.md")}
    assert {name.split("/")[2] for name in names if name.endswith("/SKILL.md")} == skills
    assert {f"{dist_info}/licenses/LICENSE", "paperspace_storage_tools/py.typed"} <= set(names)


@dataclass(frozen=True)
class Bundle:
    """An unpacked bundle, started as its manifest says, with values as hosts hand them on: all of them text."""

    folder: Path
    uv: Path
    home: Path

    async def start(self, **given: str) -> Session:
        manifest = json.loads((self.folder / "manifest.json").read_text(encoding="utf-8"))
        values = {key: _text(entry["default"]) for key, entry in manifest["user_config"].items()} | given
        entry = manifest["server"]["mcp_config"]
        assert entry["command"] == "uv"
        env = bare_environment(self.home, **{name: self._filled(value, values) for name, value in entry["env"].items()})
        return await session(self.uv, [self._filled(one, values) for one in entry["args"]], env, self.home)

    def _filled(self, value: str, values: dict[str, str]) -> str:
        value = value.replace("${__dirname}", str(self.folder))
        for key, given in values.items():
            value = value.replace("${user_config." + key + "}", given)
        assert "${" not in value
        return value


def _text(value: bool | str) -> str:
    return str(value).lower() if isinstance(value, bool) else value


@pytest.fixture
def bundle(built: Built, home: Path) -> Bundle:
    run(*MCPB, "unpack", built.one("*.mcpb"), home / "bundle", env=bare_environment(home), cwd=home)
    return Bundle(home / "bundle", built.uv, home)


@pytest.mark.anyio
async def test_the_bundle_without_a_key_starts_lists_and_says_what_to_do(bundle: Bundle) -> None:
    seen = await bundle.start()
    assert (seen.version, seen.tools, seen.failed) == (__version__, ALL, True)
    assert seen.answer.startswith("No Paperspace API key. Ask the person to set PAPERSPACE_API_KEY")


@pytest.mark.anyio
async def test_the_bundles_switches_reach_the_server(bundle: Bundle) -> None:
    _fine(await bundle.start(sandbox="true"), ALL)
    _fine(await bundle.start(sandbox="true", read_only="true"), READING)
    _fine(await bundle.start(sandbox="true", protect="team-*", read_only="false"), ALL)


def test_the_bundle_locks_what_was_tested(bundle: Bundle) -> None:
    lock = tomllib.loads((bundle.folder / "uv.lock").read_text(encoding="utf-8"))
    locked = {package["name"]: package.get("version") for package in lock["package"]}
    lines = (ROOT / "requirements/run.txt").read_text(encoding="utf-8").splitlines()
    pins = dict(line.split(" ;")[0].split("==") for line in lines if "==" in line and not line.startswith(" "))
    own = {"paperspace-storage-mcp": __version__}
    assert locked == {name: version.strip() for name, version in pins.items() if name in locked} | own


def test_the_bill_names_every_dependency_and_the_page_its_licence(built: Built) -> None:
    bill = json.loads((built.folder / "sbom.cdx.json").read_text(encoding="utf-8"))
    page = (built.folder / "LICENCES.md").read_text(encoding="utf-8")
    components: list[dict[str, Any]] = bill["components"]
    assert (bill["bomFormat"], bill["metadata"]["component"]["version"]) == ("CycloneDX", __version__)
    assert {"mcp", "httpx", "pydantic"} <= {component["name"] for component in components}
    assert all(f"| {component['name']} | {component['version']} |" in page for component in components)
    assert "timestamp" not in bill["metadata"]


def test_the_docker_catalogue_lists_the_tools_without_a_key(built: Built) -> None:
    folder = built.folder / "docker-mcp-registry"
    assert [tool["name"] for tool in json.loads((folder / "tools.json").read_text(encoding="utf-8"))] == ALL
    source = json.loads((folder / "server.yaml").read_text(encoding="utf-8"))["source"]
    head = run("git", "rev-parse", "HEAD", env=bare_environment(folder), cwd=ROOT).strip()
    assert (source["commit"], source["dockerfile"]) == (head, "deploy/Containerfile")
    assert (ROOT / source["dockerfile"]).exists()


def test_sizes_stay_small(built: Built) -> None:
    limits = {"*.whl": 600, "paperspace_storage_mcp-*.tar.gz": 1200, "*.mcpb": 800, "*-plugin-*.tar.gz": 150}
    sizes = {pattern: built.one(pattern).stat().st_size / 1000 for pattern in limits}
    assert all(sizes[pattern] < limit for pattern, limit in limits.items()), sizes
