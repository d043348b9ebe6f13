"""The licences of everything that comes along, from the bill of materials, against those that may."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

COMPATIBLE = frozenset(
    ["0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MIT-0", "MPL-2.0", "PSF-2.0", "Python-2.0"]
)
"""Each lets a program under MIT use it unchanged. MPL-2.0 binds the files it stands in, none of which is ours; nothing
of a dependency is copied into our own packages: an installer fetches them."""


def licences(component: Mapping[str, Any]) -> list[str]:
    """SPDX identifiers, or expressions of them, that a component declares; names where it gives nothing better."""
    entries = component.get("licenses", [])
    exact = [entry["expression"] for entry in entries if "expression" in entry]
    exact += [entry["license"]["id"] for entry in entries if "id" in entry.get("license", {})]
    return exact or [entry["license"]["name"] for entry in entries]


def may_come_along(licence: str) -> bool:
    """Whether an identifier, or one side of each OR in an expression, is compatible; an AND needs every part."""
    words = licence.replace("(", " ").replace(")", " ")
    return all(any(one.strip() in COMPATIBLE for one in part.split(" OR ")) for part in words.split(" AND "))


def table(bill: Path) -> str:
    """A Markdown page of every dependency with its licence.

    Raises: SystemExit naming each dependency without a licence that may come along.
    """
    components = json.loads(bill.read_text(encoding="utf-8"))["components"]
    rows: list[str] = []
    refused: list[str] = []
    for component in sorted(components, key=lambda each: each["name"].lower()):
        found = licences(component)
        rows.append(f"| {component['name']} | {component['version']} | {', '.join(found)} |\n")
        if not found or not all(may_come_along(licence) for licence in found):
            refused.append(f"{component['name']} ({', '.join(found) or 'none declared'})")
    if refused:
        raise SystemExit("licences that are not known to be compatible with MIT: " + "; ".join(refused))
    head = "# Licences of what is installed beside this server\n\nEach stands in the package's own metadata.\n\n"
    return head + "| package | version | licence |\n| --- | --- | --- |\n" + "".join(rows)
