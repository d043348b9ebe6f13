"""How long a callback keeps the event loop, in time of the processor: what a busy machine adds does not count."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest


@dataclass(slots=True)
class Steps:
    """Seconds."""

    longest: float = 0.0


@contextmanager
def steps_of_this_loop() -> Generator[Steps]:
    """Measures every callback that runs in the present thread."""
    steps, here, run = Steps(), threading.get_ident(), asyncio.Handle._run  # pyright: ignore[reportPrivateUsage]

    def timed(handle: asyncio.Handle) -> None:
        if threading.get_ident() != here:
            run(handle)
            return
        began = time.thread_time()
        run(handle)
        steps.longest = max(steps.longest, time.thread_time() - began)

    collects = gc.isenabled()
    gc.disable()  # what the tests of this process keep alive is no server's
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(asyncio.Handle, "_run", timed)
            yield steps
    finally:
        if collects:
            gc.enable()
