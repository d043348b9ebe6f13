"""What is done last before a signal ends the process, whatever the process is doing."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

from support.stdio_server import environment

BUSY = """
from paperspace_storage_server.process.life import die_by_signal
{last}
die_by_signal(last)
print('begun', flush=True)
while True:
    pass
"""


@pytest.mark.parametrize(
    ("last", "said"),
    [
        ("last = lambda: print('sent', flush=True)", "sent\n"),
        ("def last():\n    print('tried', flush=True)\n    raise SystemError", "tried\n"),
        ("last = None", ""),
    ],
    ids=["sends", "fails", "nothing to send"],
)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=lambda number: number.name)
def test_a_busy_process_sends_the_rest_and_dies_by_the_signal(last: str, said: str, number: signal.Signals) -> None:
    command = [sys.executable, "-c", BUSY.format(last=last)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment(), text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        began = time.monotonic()
        process.send_signal(number)
        assert process.wait(10) == -number
        assert time.monotonic() - began < 2
        assert process.stdout.read() == said
