"""Ends servers abruptly, in random states and ways, and counts the processes still there 2 s later; exit 1 if any.

    .venv/bin/python bench/orphans.py --ends 200 --seed 1

The states and ways are those of tests/support/endings.py. Four servers at a time; a busy machine shows in the slowest.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1] / root) for root in ("server", "tools", "tests")]

from support.endings import (  # noqa: E402 - the roots must be on the path first
    AT_ONCE,
    PROMISED,
    STATES,
    WAYS,
    Ending,
    endings,
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ends", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    chance = random.Random(given.seed)
    began = time.perf_counter()
    ends = endings([(chance.choice(STATES), chance.choice(WAYS)) for _ in range(given.ends)])
    report(ends, time.perf_counter() - began)
    return 1 if any(not end.clean for end in ends) else 0


def report(ends: list[Ending], took: float) -> None:
    left = [end for end in ends if end.seconds is None]
    print(f"{len(ends)} abrupt ends, {len(left)} processes left behind after {PROMISED:.0f} s")
    for end in left:
        print(f"  left behind: {end.state}, {end.way}")
    for end in ends:
        if end.seconds is not None and not end.clean:
            print(f"  a traceback on stderr: {end.state}, {end.way}")
    for way in WAYS:
        of_way = [(end.seconds, end.state) for end in ends if end.way == way and end.seconds is not None]
        if of_way:
            seconds, state = max(of_way)
            print(f"{way:<14} {len(of_way):>4} ends, slowest {seconds:.2f} s ({state})")
    states = ", ".join(f"{state} {sum(end.state == state for end in ends)}" for state in STATES)
    print(f"{took:.0f} s, {AT_ONCE} at a time; by state: {states}")


if __name__ == "__main__":
    sys.exit(main())
