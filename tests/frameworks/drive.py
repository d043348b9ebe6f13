"""Agent frameworks, driven: each in an environment and on a sandbox of its own, with its own stand-in for a model. No
network but the registries that the frameworks come from.

    make frameworks                                   # all of them; prints the table of docs/frameworks.md
    make frameworks FRAMEWORKS="pydantic-ai agno"

Each model finds a snapshot, makes another and waits for it, deletes the first without a confirmation, calls a tool with
wrong arguments, and deletes with the confirmation. What the model was shown is checked, and what is left.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from frameworks.environments import HERE, SHARED, Environment, environment
from paperspace_storage_server.mcp.server import INSTRUCTIONS
from support.processes import listening, state

ROOT: Final = HERE.parents[1]
FRAMEWORKS: Final = tuple(sorted(file.parent.name for file in HERE.glob("*/agent.*")))
_STEPS: Final = ("list", "create and wait", "refused delete", "wrong arguments", "confirmed delete")
_HEAD: Final = ("framework", "as installed", "revision of MCP", *_STEPS, "seen")
_KEY: Final = "key-of-a-team-with-frameworks"
_PATIENCE: Final = 240  # seconds, for one conversation
_DELETED: Final = "Before pip clean-up"
_MADE: Final = "before upgrade"
_REVISION: Final = re.compile(r'rotocolVersion"\s*:\s*"(\d{4}-\d\d-\d\d)"')
_STAY_HERE: Final = {
    "AGNO_TELEMETRY": "false",
    "CREWAI_DISABLE_TELEMETRY": "true",
    "MASTRA_TELEMETRY_DISABLED": "1",
    "OPENAI_AGENTS_DISABLE_TRACING": "1",
    "OTEL_SDK_DISABLED": "true",
}
"""What several frameworks would send home."""


@dataclass(frozen=True)
class Seen:
    """What the framework showed to the model, what it said at the end, and the lines that it sent to the server."""

    tools: Sequence[str]
    results: Sequence[str]
    said: str
    system: str
    sent: str


@dataclass(frozen=True)
class Report:
    """What was seen of one framework, as a row of the table, and what was wrong."""

    framework: str
    installed: str = ""
    revision: str = ""
    steps: tuple[str, ...] = ("**no**",) * len(_STEPS)
    seen: str = ""
    wrong: tuple[str, ...] = ()

    def row(self) -> str:
        name = f"[{self.framework}](#{self.framework})"
        seen = "; ".join([*self.wrong, *filter(None, [self.seen])])
        return _line(name, self.installed, self.revision, *self.steps, seen)


def drive(name: str, places: Path) -> Report:
    """Run one framework in its environment below `places`. What is wrong is in the report."""
    place = environment(name, places)
    try:
        place.install()
        installed = place.installed()
    except subprocess.SubprocessError as error:
        return Report(name, wrong=(f"not installed: {_last_line(error)}",))
    with tempfile.TemporaryDirectory(prefix="framework-", ignore_cleanup_errors=True) as folder:
        database = Path(folder) / "team.sqlite"
        with listening("sandbox", "--port", "0", "--db", str(database)) as api:
            before = _names(api)
            try:
                seen = _conversation(name, place, Path(folder), api)
            except subprocess.SubprocessError as error:
                return Report(name, installed, wrong=(f"did not end well: {_last_line(error)}",))
            left = _names(api)
    expected = sorted([*(one for one in before if one != _DELETED), _MADE])
    wrong = [] if left == expected else [f"left behind: {', '.join(left)}"]
    steps, missing = judged(seen.results)
    revision = _REVISION.findall(seen.sent)
    return Report(name, installed, revision[-1] if revision else "?", steps, _habits(seen), (*missing, *wrong))


def _conversation(name: str, place: Environment, folder: Path, api: str) -> Seen:
    work, home, programs = (folder / one for one in ("work", "home", "bin"))
    shutil.copytree(HERE / name, work)
    for shared in SHARED:
        shutil.copy(HERE / shared, work)
    sent = folder / "sent"
    _at_home(home, api)
    _on_the_path(programs, sent)
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("PAPERSPACE_", "PYTHON", "VIRTUAL"))
    }
    variables = {
        **kept,
        **_STAY_HERE,
        "HOME": str(home),
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "SEEN": str(folder / "seen"),
    }
    done = subprocess.run(
        place.enter(work),
        cwd=work,
        env=variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_PATIENCE,
        check=False,
    )
    if done.returncode:
        raise subprocess.CalledProcessError(done.returncode, done.args, done.stdout, done.stderr)
    seen: Mapping[str, Any] = json.loads((folder / "seen").read_text(encoding="utf-8"))
    return Seen(**seen, sent=sent.read_text(encoding="utf-8"))


def _at_home(home: Path, api: str) -> None:
    """What `pspace login` leaves there, so that the code needs no key, and where the API is."""
    folder = home / ".paperspace"
    folder.mkdir(parents=True)
    for file, text in {
        "config.toml": 'team = "frameworks"\n',
        "credentials.toml": f'[keys]\nframeworks = "{_KEY}"\n',
        "mcp.toml": f'api-url = "{api}/v1"\n',
    }.items():
        (folder / file).write_text(text, encoding="utf-8")
        (folder / file).chmod(0o600)


def _on_the_path(programs: Path, sent: Path) -> None:
    """`paperspace-storage-mcp` as it would be installed, but of this checkout, and what it is sent is kept."""
    programs.mkdir()
    source = shlex.quote(os.pathsep.join([str(ROOT / "server"), str(ROOT / "tools")]))
    server = f"PYTHONPATH={source} {shlex.quote(sys.executable)} -m paperspace_storage_server"
    program = programs / "paperspace-storage-mcp"
    program.write_text(f'#!/bin/sh\ntee -a {shlex.quote(str(sent))} | {server} "$@"\n', encoding="utf-8")
    program.chmod(0o755)


def _names(api: str) -> list[str]:
    """The names of the team's snapshots."""
    _, snapshots, _ = state(api, _KEY)
    return sorted(one["name"] for one in snapshots["items"])


def judged(results: Sequence[str]) -> tuple[tuple[str, ...], list[str]]:
    """A word on each step, in order, and the steps that did not go as they should, with what was shown."""
    listed, made, refused, wrong, deleted = [*results, "", "", "", "", ""][:5]
    by_us = "must be a whole number" in wrong and "did you mean `machineId`" in wrong
    by_them = '"items"' not in wrong and ("limit" in wrong or "machine" in wrong)
    told = "named by the server" if by_us else "named by the framework" if by_them else ""
    steps = (
        "yes" if _DELETED in listed else "",
        "yes" if _MADE in made and "done" in made else "",
        "yes" if "needs a confirmation" in refused and "Nothing was changed" in refused else "",
        told,
        "yes" if re.search(r"deleted\W+true", deleted, re.IGNORECASE) else "",
    )
    shown = zip(_STEPS, steps, (listed, made, refused, wrong, deleted), strict=True)
    return tuple(step or "**no**" for step in steps), [
        f"{what}: {said[:300]!r}" for what, step, said in shown if not step
    ]


def _habits(seen: Seen) -> str:
    """What a framework does that others do not."""
    servers = seen.sent.count('"initialize"') or seen.sent.count('"server/discover"')
    told = [f"{len(seen.tools)} tools"]
    told += [f"{servers} processes"] if servers > 1 else []
    told += ["each result twice"] if seen.results and seen.results[0].count(_DELETED) > 1 else []
    told += ["`null` for what is not set"] if '":null' in seen.sent.replace(" ", "") else []
    told += ["`instructions` shown"] if INSTRUCTIONS[:50] in seen.system else []
    return ", ".join(told)


def _last_line(error: subprocess.SubprocessError) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        lines = f"{error.output}\n{error.stderr}".strip().splitlines()
        return lines[-1][:300] if lines else f"exit code {error.returncode}"
    return str(error).splitlines()[0]


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(names: Sequence[str]) -> int:
    """Drive these frameworks, or all, in environments below the folder that `FRAMEWORKS_IN` names; print the table."""
    places = Path(os.environ["FRAMEWORKS_IN"])
    reports = list[Report]()
    _say(_line(*_HEAD))
    _say(_line(*("---" for _ in _HEAD)))
    for name in names or FRAMEWORKS:
        reports.append(drive(name, places))
        _say(reports[-1].row())
    return int(any(report.wrong for report in reports))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
