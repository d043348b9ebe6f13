"""The difference of the MCP surface, as a pull request shows it."""

from __future__ import annotations

import pytest

from packages import surface
from paperspace_storage_tools.catalogue import CATALOGUE
from support.stdio_server import COMMAND, environment

_BEFORE: surface.Surface = {
    "instructions": {"instructions": "Look first."},
    "tools": {"kept": {"description": "Same."}, "old": {"description": "Gone."}, "told": {"description": "One."}},
}
_AFTER: surface.Surface = {
    "instructions": {"instructions": "Look first."},
    "tools": {"kept": {"description": "Same."}, "new": {"description": "Come."}, "told": {"description": "Two."}},
}


def test_what_came_went_and_changed_is_shown_with_its_bytes() -> None:
    assert surface.compare(_BEFORE, _AFTER) == (
        "### MCP surface\n\n| | bytes before | bytes after |\n| --- | --- | --- |\n"
        "| instructions | 13 | 13 |\n| tools | 68 | 68 |\n\n"
        "<details><summary>tools: <code>new</code> new</summary>\n\n"
        '```diff\n--- \n+++ \n@@ -0,0 +1,3 @@\n+{\n+ "description": "Come."\n+}\n```\n</details>\n'
        "<details><summary>tools: <code>old</code> gone</summary>\n\n"
        '```diff\n--- \n+++ \n@@ -1,3 +0,0 @@\n-{\n- "description": "Gone."\n-}\n```\n</details>\n'
        "<details><summary>tools: <code>told</code> changed</summary>\n\n"
        '```diff\n--- \n+++ \n@@ -1,3 +1,3 @@\n {\n- "description": "One."\n'
        '+ "description": "Two."\n }\n```\n</details>\n'
    )


def test_no_change_is_said_to_be_none() -> None:
    assert surface.compare(_AFTER, _AFTER).endswith("\nNothing changes.\n")


@pytest.mark.anyio
async def test_the_recorded_surface_is_all_that_the_server_lists() -> None:
    paths = environment()["PYTHONPATH"]
    start = ["-c", f"import os, sys; os.environ['PYTHONPATH'] = {paths!r}; os.execv(sys.executable, {COMMAND!r})"]
    seen = await surface.record([COMMAND[0], *start])
    assert list(seen["tools"]) == [tool.name for tool in CATALOGUE]
    assert seen["tools"]["delete_snapshot"]["annotations"]["destructiveHint"] is True
    assert set(seen) == {"instructions", "capabilities", "tools", "prompts", "resources"}
    assert surface.compare(seen, seen).endswith("\nNothing changes.\n")
