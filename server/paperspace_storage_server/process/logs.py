"""Logging to stderr, with every known secret masked: messages, arguments and tracebacks alike."""

from __future__ import annotations

import json
import logging
import re
import sys
from datetime import UTC, datetime
from typing import Literal

from paperspace_storage_server.guard.secrets import Vault, present_vault
from paperspace_storage_tools.text import clean

_LONGEST = 65_536  # characters of one record, traceback included
_INPUT = re.compile(r"input_value=.*?(?=, input_type=|$)", re.MULTILINE)
"""pydantic quotes what it was given, which may be a secret that nobody has learned yet."""


class MaskingFormatter(logging.Formatter):
    """Formats as usual, then cleans and masks the whole, traceback included."""

    def __init__(self, vault: Vault) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")
        self._vault = vault

    def format(self, record: logging.LogRecord) -> str:
        return self.masked(super().format(record))

    def masked(self, text: str) -> str:
        """Without the secrets of the process, nor those of the team whose call this is."""
        text = _INPUT.sub("input_value=[hidden]", text[:_LONGEST])
        text = "\n".join(clean(line) for line in text.split("\n"))
        for vault in {self._vault, present_vault() or self._vault}:
            text = vault.mask(text, "said", keep=_LONGEST)
        return text


class JsonFormatter(MaskingFormatter):
    """One JSON object a line: what a message is about (`extra={"fields": ...}`) as members of their own."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        line.update(getattr(record, "fields", {}))
        # Masked before it is encoded: a mask inside an escape would leave no JSON.
        said = {name: self.masked(one) if isinstance(one, str) else one for name, one in line.items()}
        return json.dumps({name: one for name, one in said.items() if one is not None})


def log_to_stderr(level: str, vault: Vault, form: Literal["text", "json"] = "text") -> None:
    """One handler for this process. Libraries that log what they send or receive stay at warning, whatever `level`."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(vault) if form == "json" else MaskingFormatter(vault))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for chatty in ("httpx", "httpcore", "asyncio", "urllib3", "mcp", "sse_starlette"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, root.level))
