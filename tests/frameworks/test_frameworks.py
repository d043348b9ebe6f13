"""docs/frameworks.md against the code that runs, and that code, run."""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from frameworks.drive import FRAMEWORKS, drive, judged
from frameworks.environments import HERE, environment

HEAVY = {"crewai", "langchain-js", "mastra", "semantic-kernel"}
"""Two thirds of the gigabytes and of the minutes: `make frameworks` runs them too."""

PAGE = (HERE.parents[1] / "docs" / "frameworks.md").read_text(encoding="utf-8")
LISTED = '{"items":[{"id":"ss44x9onds5","machineId":"psdhix2h3ey","name":"Before pip clean-up"}],"hasMore":false}'
CREATED = '{"id":"ssjwpdvnko1","name":"before upgrade","event":{"state":"done"}}'
REFUSED = 'Deleting snapshot ss44x9onds5 "Before pip clean-up" needs a confirmation. Nothing was changed.'
WRONG = "list_snapshots: `limit` must be a whole number; unknown argument `machine` (did you mean `machineId`?)"
DELETED = '{"id":"ss44x9onds5","name":"Before pip clean-up","deleted":true}'


def section(name: str) -> str:
    return PAGE.split(f"\n## {name}\n")[1].split("\n## ")[0]


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_the_code_on_the_page_is_the_code_that_runs(name: str) -> None:
    (file,) = (HERE / name).glob("agent.*")
    (block,) = re.findall(r"^```(?:python|js)\n(.*?)^```", section(name), re.MULTILINE | re.DOTALL)
    assert block == file.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_the_page_says_what_is_installed_and_its_table_has_those_versions(name: str) -> None:
    command = environment(name, Path()).command()
    assert f"`{command}`" in section(name)
    (row,) = [line for line in PAGE.splitlines() if line.startswith(f"| [{name}](#{name}) |")]
    assert [pin for pin in command.split()[2:] if pin.strip('"') not in row] == []


def test_the_page_has_no_framework_that_is_not_run() -> None:
    shown = [title for title in re.findall(r"^## (.+)$", PAGE, re.MULTILINE) if "```" in section(title)]
    assert sorted(shown) == sorted(FRAMEWORKS)


def test_a_conversation_that_went_as_it_should_is_all_right() -> None:
    steps, wrong = judged([LISTED, CREATED, REFUSED, WRONG, DELETED])
    assert (steps, wrong) == (("yes", "yes", "yes", "named by the server", "yes"), [])


@pytest.mark.parametrize(
    ("results", "step"),
    [
        ([LISTED, CREATED, DELETED, WRONG, DELETED], "refused delete"),
        ([LISTED, CREATED.replace("done", "new"), REFUSED, WRONG, DELETED], "create and wait"),
        ([LISTED, CREATED, REFUSED, LISTED, DELETED], "wrong arguments"),
        ([LISTED, CREATED, REFUSED, WRONG, REFUSED], "confirmed delete"),
        ([LISTED, CREATED, REFUSED, WRONG], "confirmed delete"),
        (["[]", CREATED, REFUSED, WRONG, DELETED], "list"),
    ],
)
def test_a_step_that_went_otherwise_is_named(results: Sequence[str], step: str) -> None:
    steps, wrong = judged(results)
    assert (steps.count("**no**"), [one.partition(":")[0] for one in wrong]) == (1, [step])


@pytest.fixture(scope="session")
def places() -> Generator[Path]:
    """Where the frameworks are installed, for as long as the tests run."""
    with TemporaryDirectory(prefix="frameworks-") as folder:
        yield Path(folder)


@pytest.mark.slow
@pytest.mark.timeout(600)  # an installation may take its time
@pytest.mark.parametrize("name", [name for name in FRAMEWORKS if name not in HEAVY])
def test_a_framework_does_what_it_should(name: str, places: Path) -> None:
    report = drive(name, places)
    assert (report.steps.count("**no**"), report.wrong) == (0, ()), report.row()
