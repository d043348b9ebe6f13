"""What is installed is settled by content, from whatever registry the machine uses.

Renew with `npm install --package-lock-only --omit-lockfile-registry-resolved` in this folder.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.clients import SOURCE


@pytest.mark.parametrize(
    "source",
    [SOURCE, SOURCE.parent / "apps" / "browser", SOURCE.parent / "hosted" / "issuer"],
    ids=["clients", "browser", "issuer"],
)
def test_the_lock_pins_every_package_by_its_content_and_names_no_registry(source: Path) -> None:
    wanted = json.loads((source / "package.json").read_text(encoding="utf-8"))
    packages = json.loads((source / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    del packages[""]
    exact = {**wanted["dependencies"], **wanted.get("optionalDependencies", {})}
    assert {name: packages[f"node_modules/{name}"]["version"] for name in exact} == exact
    assert [name for name, package in packages.items() if "resolved" in package] == []
    assert [name for name, package in packages.items() if "integrity" not in package] == []
