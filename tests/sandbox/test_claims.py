"""docs/sandbox.md and the tests say the same."""

import re
from pathlib import Path

HERE = Path(__file__).parent
DOCUMENT = HERE.parent.parent / "docs" / "sandbox.md"


def _rows() -> list[list[str]]:
    lines = DOCUMENT.read_text("utf-8").splitlines()
    return [
        [cell.strip() for cell in line.strip("|").split("|")] for line in lines if re.match(r"\| [A-Z]\d+ \|", line)
    ]


def test_every_claim_has_a_test_and_every_test_a_claim() -> None:
    sources = [path.read_text("utf-8") for path in HERE.glob("test_*.py")]
    proven = {
        claim
        for source in sources
        for call in re.findall(r"^@proves\(([^)]*)\)", source, re.MULTILINE)
        for claim in re.findall(r'"(\w+)"', call)
    }
    claims = [row[0] for row in _rows()]
    assert sorted(claims) == sorted(proven)


def test_every_claim_is_known_with_its_source_or_assumed() -> None:
    wrong = [row[0] for row in _rows() if not re.match(r"known: [PL]\b|assumed\b", row[3])]
    assert not wrong
