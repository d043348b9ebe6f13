"""Runs the tests of one tree again and again: each time in a fork of a process that has the libraries imported.

Of the five seconds that a run of pytest takes before its first test, four go to libraries that never change. A request
is a line of JSON on stdin (`tests`, `seconds`), its answer a line on stdout: `passed`, `failed TEST`, `late`, or `none`
where there is no such test.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import time
import warnings
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from sysconfig import get_path
from typing import Any, NoReturn, TypedDict

MOST_MEMORY = 3 * 1024**3  # bytes: a change that makes a loop without an end must not take the machine with it
ONE_TEST = 60  # seconds
FIRST_FAILED = Path("first-failed")


class Asked(TypedDict):
    """Tests by their ids, in the order in which they run; `seconds` for all of them."""

    tests: list[str]
    seconds: float


def main() -> None:
    tree = Path(sys.argv[1])
    os.chdir(tree)
    sys.path[:0] = [str(tree), str(tree / "bench")]
    _import_libraries()
    for line in sys.stdin:
        asked: Asked = json.loads(line)
        print(_answer(asked), flush=True)


def _import_libraries() -> None:
    """Those that the collection of all tests imports, for a fork asks that first."""
    theirs = (get_path("stdlib"), get_path("purelib"), get_path("platlib"))
    read, write = os.pipe()
    if (child := os.fork()) == 0:
        os.close(read)
        _in_child(["--collect-only"])
        found = [name for name, one in sys.modules.items() if (getattr(one, "__file__", None) or "").startswith(theirs)]
        with os.fdopen(write, "w") as out:
            out.write("\n".join(found))
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as names:
        found = names.read().split("\n")
    os.waitpid(child, 0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in found:
            with suppress(Exception):
                import_module(name)


def _answer(asked: Asked) -> str:
    files = sorted({test.split("::")[0] for test in asked["tests"]})
    FIRST_FAILED.unlink(missing_ok=True)
    if (child := os.fork()) == 0:
        _run(["-x", f"--timeout={ONE_TEST}", *files], asked["tests"])
    until = time.monotonic() + asked["seconds"]
    status = None
    while status is None and time.monotonic() < until:
        ended, ending = os.waitpid(child, os.WNOHANG)
        status = ending if ended else None
        time.sleep(0.01)  # `waitpid` has no time limit of its own
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child, signal.SIGKILL)  # with all that its tests have started
    if status is None:
        os.waitpid(child, 0)
        return "late"
    came = {0: "passed", 4: "none", 5: "none"}.get(os.waitstatus_to_exitcode(status), "failed")
    by = FIRST_FAILED.read_text(encoding="utf-8") if FIRST_FAILED.exists() else "the import, or the process"
    return f"failed {by}" if came == "failed" else came


def _run(arguments: list[str], tests: list[str]) -> NoReturn:
    try:
        resource.setrlimit(resource.RLIMIT_DATA, (MOST_MEMORY, MOST_MEMORY))
        os._exit(_in_child(arguments, tests))
    finally:
        os._exit(1)


def _in_child(arguments: list[str], tests: list[str] | None = None) -> int:
    import pytest

    only: Any = import_module("which_tests").OnlyThese  # beside this file, which is no package

    os.setsid()
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    # What is imported already cannot have its assertions rewritten: they are those of libraries.
    always = ["-q", "-m", "not slow", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning"]
    return int(pytest.main([*always, *arguments], plugins=[] if tests is None else [only(tests, FIRST_FAILED)]))


if __name__ == "__main__":
    main()
