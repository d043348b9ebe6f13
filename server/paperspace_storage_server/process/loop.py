"""The event loop that a command's work runs on."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Coroutine
from typing import Any, TypeVar

ResultT = TypeVar("ResultT")


def run_on_loop(work: Coroutine[Any, Any, ResultT]) -> ResultT:
    """Run it to its end: on uvloop where the extra `speed` is installed, else on asyncio's own loop.

    The collector, which the command line switches off for the imports, is back on, without what they made.
    """
    gc.freeze()
    gc.enable()
    try:
        import uvloop  # pyright: ignore[reportMissingImports, reportMissingModuleSource]  # an optional extra
    except ImportError:
        return asyncio.run(work)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
        return runner.run(work)
