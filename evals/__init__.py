"""Tasks that an agent is given with this server, scored by the state that is left and by what the model was shown.

Knows the server from outside only: a command that speaks MCP, and the sandbox's own HTTP API.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
for _folder in ("tests", "tools", "server"):  # as pytest has it; a checkout needs nothing else
    if str(ROOT / _folder) not in sys.path:
        sys.path.insert(0, str(ROOT / _folder))
