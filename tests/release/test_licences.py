"""Which licences may come along."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from packages import licences


def _bill(path: Path, *components: dict[str, Any]) -> Path:
    path.write_text(json.dumps({"components": list(components)}), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("licence", "may"),
    [
        ("MIT", True),
        ("Apache-2.0 OR BSD-3-Clause", True),
        ("GPL-3.0-only OR MIT", True),
        ("MIT AND GPL-3.0-only", False),
        ("(MIT OR GPL-3.0-only) AND BSD-3-Clause", True),
        ("AGPL-3.0-only", False),
        ("License :: Other/Proprietary License", False),
    ],
)
def test_an_expression_may_come_along_by_its_ors_and_ands(licence: str, may: bool) -> None:
    assert licences.may_come_along(licence) is may


def test_the_page_lists_each_dependency_with_its_licence(tmp_path: Path) -> None:
    page = licences.table(
        _bill(
            tmp_path / "bill.json",
            {"name": "b", "version": "2", "licenses": [{"expression": "MIT"}]},
            {"name": "A", "version": "1", "licenses": [{"license": {"name": "text"}}, {"license": {"id": "0BSD"}}]},
        )
    )
    assert page.endswith("| package | version | licence |\n| --- | --- | --- |\n| A | 1 | 0BSD |\n| b | 2 | MIT |\n")


def test_a_dependency_without_a_compatible_licence_stops_the_build_by_name(tmp_path: Path) -> None:
    bill = _bill(
        tmp_path / "bill.json",
        {"name": "fine", "version": "1", "licenses": [{"license": {"id": "MIT"}}]},
        {"name": "copyleft", "version": "1", "licenses": [{"license": {"id": "GPL-3.0-only"}}]},
        {"name": "silent", "version": "1"},
    )
    with pytest.raises(SystemExit, match=r"copyleft \(GPL-3.0-only\); silent \(none declared\)"):
        licences.table(bill)
