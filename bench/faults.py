"""What faults cost: `--matrix` prints tests/faults/matrix.md; else seeded faults hit creations; duplicates are counted.

.venv/bin/python bench/faults.py --creates 1000 --seed 1
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import time
from collections import Counter
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1] / root) for root in ("server", "tools", "tests")]

from faults.creates import Tally, faulted_creates  # noqa: E402 - the roots must be on the path first
from faults.matrix import page, rows  # noqa: E402 - the roots must be on the path first


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--matrix", action="store_true", help="print tests/faults/matrix.md instead")
    parser.add_argument("--creates", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    if given.matrix:
        print(page(asyncio.run(rows())), end="")
        return 0
    began = time.perf_counter()
    total = Tally()
    for dialect in ("published", "live"):
        tally = asyncio.run(faulted_creates(dialect, given.creates // 2, random.Random(f"{given.seed} {dialect}")))
        total = total + tally
    report(total, time.perf_counter() - began)
    return 1 if total.duplicates or total.wrong_successes else 0


def report(tally: Tally, seconds: float) -> None:
    print(f"creates            {tally.calls} in {seconds:.0f} s, half of them in each dialect")
    print(f"answers            {tally.successes} successes, {tally.unknown} unknown, {tally.failures} failed for sure")
    print(f"duplicates         {tally.duplicates}")
    print(f"wrong successes    {tally.wrong_successes}")
    for fault, count in sorted(Counter(tally.faults).items()):
        print(f"  {count:>5} x {fault}")


if __name__ == "__main__":
    sys.exit(main())
