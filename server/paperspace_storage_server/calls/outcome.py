"""What one tool call came to, as a value that every surface words in its own way."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import cast

from pydantic_core import from_json

from paperspace_storage_server.guard.hygiene import Json
from paperspace_storage_tools.errors import Failure


@dataclass(frozen=True)
class Outcome:
    """A result or a failure; both cleaned and masked, so that a surface may send them as they are.

    `text` is the result as compact JSON, or the failure's one text. `failure` is the failure itself, for a surface
    that has more than text to say of it (a status, a header): its own fields are not masked.
    """

    text: str
    failure: Failure | None = None

    @cached_property
    def structured(self) -> Json | None:
        """The result as an object, None where there is none. Who sends the text on need not take it apart."""
        return None if self.failure is not None else cast("Json", from_json(self.text))
