"""The command line as a process of its own, in a home and an environment of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]


def environment(home: Path, **settings: str) -> dict[str, str]:
    """Ours, with the settings of nobody else."""
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith("PAPERSPACE_")}
    path = os.pathsep.join((str(ROOT / "server"), str(ROOT / "tools")))
    return {**kept, "HOME": str(home), "USERPROFILE": str(home), "PYTHONPATH": path, "COLUMNS": "110", **settings}


def run(home: Path, *arguments: str, stdin: str | bytes | None = None, **settings: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of one command."""
    given = stdin.encode() if isinstance(stdin, str) else stdin
    with subprocess.Popen(
        [sys.executable, "-m", "paperspace_storage_server", *arguments],
        env=environment(home, **settings),
        stdin=subprocess.DEVNULL if given is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        out, err = process.communicate(given, timeout=60)
    return process.returncode, out.decode(), err.decode()


@contextmanager
def sandbox(folder: Path, *more: str) -> Generator[str]:
    """The base URL of a sandbox with a file."""
    command = [sys.executable, "-m", "paperspace_storage_server", "sandbox", "--port", "0", "--db", str(folder / "db")]
    with subprocess.Popen([*command, *more], env=environment(folder), stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            found = re.search(r"http://\S+", process.stderr.readline())
            assert found is not None
            yield f"{found.group()}/v1"
        finally:
            process.terminate()
