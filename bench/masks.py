"""What masking costs: a list of 100 snapshots and a failure's text, by how many secrets are known.

PYTHONPATH=server:tools python bench/masks.py
"""

from __future__ import annotations

import random
import string
import timeit
from collections.abc import Callable

from pydantic import SecretStr

from paperspace_storage_server.guard.hygiene import Hygiene, Json
from paperspace_storage_server.guard.secrets import Vault

KNOWN = ((0, 0, 40), (1, 0, 40), (5, 0, 40), (5, 20, 40), (5, 240, 40), (5, 512, 4000))
_ANY = random.Random(1)  # the same at each run
_FAILURE = 'The API refused the request for the shared drive (422 INVALID). The API said: "{}". Correct what it names.'


def text(length: int, letters: str = string.ascii_letters + string.digits + "/+") -> str:
    return "".join(_ANY.choices(letters, k=length))


def page(name: str) -> Json:
    """A page as `list_snapshots` answers it."""
    items = [
        {
            "id": f"ss{text(9, string.ascii_lowercase)}",
            "machineId": f"ps{text(9, string.ascii_lowercase)}",
            "name": f"{name}-{number}",
            "storageSize": number * 12_345_678,
            "isAutoSnapshot": False,
            "dtCreated": "2026-02-02T01:01Z",
        }
        for number in range(100)
    ]
    return {"items": items, "hasMore": True, "nextPage": text(12)}


def microseconds(work: Callable[[], object]) -> float:
    return min(timeit.repeat(work, number=20, repeat=7)) / 20 * 1e6


def main() -> None:
    plain, accented = page("before-upgrade"), page("café")
    failure = _FAILURE.format(" ".join(text(7, string.ascii_lowercase) for _ in range(36)))
    print(f"{'known: operator, API':<24}{'list, us':>10}{'with an accent':>16}{'failure, us':>13}")
    for operators, api, length in KNOWN:
        vault = Vault()
        for _ in range(operators):
            vault.keep(SecretStr(text(length)))
        for _ in range(api):
            vault.learn(SecretStr(text(length)))
        guarded = Hygiene(vault)
        costs = (
            microseconds(lambda: guarded.result(plain)),  # noqa: B023 - called at once
            microseconds(lambda: guarded.result(accented)),  # noqa: B023 - as above
            microseconds(lambda: guarded.failure(failure)),  # noqa: B023 - as above
        )
        print(f"{f'{operators}, {api} of {length}':<24}{costs[0]:>10.0f}{costs[1]:>16.0f}{costs[2]:>13.0f}")


if __name__ == "__main__":
    main()
