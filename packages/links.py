"""Links that install the server in hosts which have them: Cursor, VS Code and LM Studio; they start the sandbox."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

from packages.facts import Facts


def entry(facts: Facts) -> dict[str, object]:
    """What a host starts: the sandbox, as a link can carry no key; by the name, so that a link does not grow old."""
    (sandbox,) = (setting.variable for setting in facts.settings if setting.key == "sandbox")
    return {"command": "uvx", "args": [facts.name], "env": {sandbox: "true"}}


def cursor(facts: Facts) -> str:
    return f"https://cursor.com/en/install-mcp?name={quote(facts.server)}&config={_base64(entry(facts))}"


def vscode(facts: Facts) -> str:
    """VS Code's own scheme, behind the redirect that pages which allow only https links need."""
    own = "vscode:mcp/install?" + quote(_json({"name": facts.server, **entry(facts)}), safe="")
    return f"https://insiders.vscode.dev/redirect?url={quote(own, safe='')}"


def lm_studio(facts: Facts) -> str:
    return f"https://lmstudio.ai/install-mcp?name={quote(facts.server)}&config={_base64(entry(facts))}"


def markdown(facts: Facts) -> str:
    """The line of links as it stands in the README."""
    links = [("Cursor", cursor(facts)), ("VS Code", vscode(facts)), ("LM Studio", lm_studio(facts))]
    return " · ".join(f"[Add to {host}]({link})" for host, link in links)


def _json(value: dict[str, object]) -> str:
    return json.dumps(value, separators=(",", ":"))


def _base64(value: dict[str, object]) -> str:
    return quote(base64.b64encode(_json(value).encode()).decode(), safe="")
