"""The page that shows results: inside a host from a tool's result, or by itself from data. Knows no protocol server.

`storage.html` is written by hand and has no dependency; served, it is the same for everyone. Its policy lets in its one
style and its one script by their digests, and nothing from anywhere.
"""

from __future__ import annotations

import hashlib
import json
import re
from base64 import b64encode
from collections.abc import Mapping
from functools import cache
from typing import Final

URI: Final = "ui://paperspace-storage/storage.html"
SHOWS: Final = frozenset({"get_storage_utilization", "list_shared_drives", "list_snapshots"})  # whose results
_POLICY: Final = "default-src 'none'; script-src '{script}'; style-src '{style}'; base-uri 'none'; form-action 'none'"


@cache
def html() -> str:
    """The page for hosts: it waits for a tool's result."""
    from importlib.resources import files  # only where somebody asks for the page: the start pays for each import

    text = (files(__name__) / "storage.html").read_text(encoding="utf-8")
    digests = {tag: _digest(_inside(text, tag)) for tag in ("script", "style")}
    return text.replace('content="CSP"', f'content="{_POLICY.format(**digests)}"')


def html_with(shown: Mapping[str, object]) -> str:
    """The page with what it shows: `utilization`, `drives`, `snapshots` as the tools answer them; `made`, a sentence;
    `names`, machines' names by id. None of them has to be there."""
    data = json.dumps(shown, ensure_ascii=False).replace("<", r"\u003c")  # neither </script> nor <!-- can stand in it
    return html().replace('id="data">null<', f'id="data">{data}<')


def _inside(text: str, tag: str) -> str:
    found = re.search(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
    if found is None:
        raise ValueError(f"the page has no {tag}")
    return found[1]


def _digest(text: str) -> str:
    return f"sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
