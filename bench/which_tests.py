"""Pytest plugins of `mutants.py`: one writes down which tests run which lines, one runs only the tests it is given."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Generator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

LONGEST = 4.0  # seconds of a test that is run again and again; what longer ones notice, shorter ones should


class _WhichTests:
    """Writes `{file: {line: [tests, fastest first]}}`; a test that fails, or takes longer than that, is no witness."""

    def __init__(self, into: Path, source: Path) -> None:
        self._into, self._source = into, source
        self._seconds: dict[str, float] = {}
        self._failed: set[str] = {""}
        coverage: Any = import_module("coverage")  # of the group `mutants`, which the checkers do without
        self._coverage: Any = coverage.Coverage(data_file=None, source=[str(source)])
        self._coverage.start()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, bool | None, bool | None]:
        self._coverage.switch_context(item.nodeid)
        began = time.process_time()
        done = yield
        self._seconds[item.nodeid] = time.process_time() - began
        self._coverage.switch_context("")
        return done

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._failed.add(report.nodeid)

    def pytest_sessionfinish(self) -> None:
        self._coverage.stop()
        found = self._coverage.get_data()
        self._failed.update(test for test, seconds in self._seconds.items() if seconds > LONGEST)
        lines: dict[str, dict[int, list[str]]] = {}
        for file in found.measured_files():
            lines[str(Path(file).relative_to(self._source))] = {
                line: sorted(set(tests) - self._failed, key=self._seconds.__getitem__)
                for line, tests in found.contexts_by_lineno(file).items()
            }
        self._into.write_text(json.dumps(lines), encoding="utf-8")


class OnlyThese:
    """Only the named tests, in the order in which they are named. The first that fails is written down."""

    def __init__(self, names: list[str], first_failed: Path) -> None:
        self._rank = {name: number for number, name in enumerate(names)}
        self._first_failed = first_failed.resolve()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and not self._first_failed.exists():
            self._first_failed.write_text(report.nodeid.replace("\n", " "), encoding="utf-8")

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        kept = [item for item in items if item.nodeid in self._rank]
        items[:] = sorted(kept, key=lambda item: self._rank[item.nodeid])


def pytest_configure(config: pytest.Config) -> None:
    if into := os.environ.get("WHICH_TESTS_INTO"):
        config.pluginmanager.register(_WhichTests(Path(into), Path(os.environ["WHICH_TESTS_OF"])))
