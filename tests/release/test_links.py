"""The README's install links, taken apart the way each host does it."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from packages import facts, links

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
ENTRY = {"command": "uvx", "args": ["paperspace-storage-mcp"], "env": {"PAPERSPACE_MCP_SANDBOX": "true"}}


def _links() -> dict[str, str]:
    return dict(re.findall(r"\[Add to ([^\]]+)\]\((https://[^)\s]+)\)", README))


def test_the_readme_has_the_three_links_that_the_script_makes() -> None:
    assert links.markdown(facts.read()) in README
    assert list(_links()) == ["Cursor", "VS Code", "LM Studio"]


def test_cursor_and_lm_studio_decode_the_sandbox_entry() -> None:
    for host in ("Cursor", "LM Studio"):
        query = parse_qs(urlsplit(_links()[host]).query, strict_parsing=True)
        assert query["name"] == ["paperspace-storage"]
        assert json.loads(base64.b64decode(query["config"][0], validate=True)) == ENTRY


def test_vs_code_decodes_the_sandbox_entry_behind_its_redirect() -> None:
    (target,) = parse_qs(urlsplit(_links()["VS Code"]).query, strict_parsing=True)["url"]
    scheme, _, query = target.partition("?")
    assert scheme == "vscode:mcp/install"
    assert json.loads(unquote(query)) == {"name": "paperspace-storage", **ENTRY}


def test_no_link_carries_a_key() -> None:
    assert not any("API_KEY" in unquote(link) for link in _links().values())
