"""The published specification, as it stands among the test data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

PUBLISHED: dict[str, Any] = yaml.safe_load(
    (Path(__file__).parents[1] / "data" / "published.openapi.yaml").read_text(encoding="utf-8")
)
