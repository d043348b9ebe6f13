"""What every stand-in for a model does, in Python: the next call, from the results of those before it.

It runs in the environment of any framework, so it knows none, and neither this project nor MCP.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TASK = "Do what is to be done."
DONE = "That is all."
_STEPS = json.loads(Path(__file__).with_name("steps.json").read_text(encoding="utf-8"))
_IDS = {"{snapshot}": r"\bss[a-z0-9]{9}\b", "{machine}": r"\bps[a-z0-9]{9}\b"}  # of the first result


@dataclass(frozen=True)
class Call:
    """One call that the model makes."""

    id: str
    tool: str
    arguments: dict[str, Any]

    @property
    def json(self) -> str:
        """The arguments as a model's API has them."""
        return json.dumps(self.arguments)


class Scenario:
    """A conversation's course, and what was shown to the model in it."""

    def __init__(self) -> None:
        self.tools: list[str] = []
        self.results: list[str] = []
        self.system = ""

    def next(self, tools: Iterable[str], results: Sequence[str], system: object = "") -> Call | None:
        """The call to answer with, given what is offered, the results and the system prompt; None when all are made."""
        self.tools, self.results, self.system = sorted(tools), list(results), str(system)
        if len(results) == len(_STEPS):
            return None
        step = _STEPS[len(results)]
        name = next(tool for tool in self.tools if tool.endswith(step["tool"]))
        return Call(
            f"call-{len(results)}", name, {key: self._filled(value) for key, value in step["arguments"].items()}
        )

    def _filled(self, value: object) -> object:
        pattern = _IDS.get(str(value))
        return re.findall(pattern, self.results[0])[0] if pattern else value

    def end(self, said: object) -> None:
        """Leave what was seen, and what the framework made of the last word, for the driver."""
        seen = {"tools": self.tools, "results": self.results, "system": self.system, "said": str(said)}
        Path(os.environ["SEEN"]).write_text(json.dumps(seen), encoding="utf-8")
