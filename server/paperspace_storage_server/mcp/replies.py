"""What a client's answer to a question is worth: the form that is shown, and nothing but a clear yes. Asks nobody."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

from paperspace_storage_tools.errors import NotConfirmed

Reply: TypeAlias = Literal["accept", "decline", "cancel"]
CONFIRM_FORM: dict[str, object] = {
    "type": "object",
    "properties": {"confirm": {"type": "boolean", "title": "Yes, do it"}},
    "required": ["confirm"],
}
"""One required boolean: a form without fields is accepted by some hosts on their own."""
_NEVER_SHOWN = (
    "If the person never saw the question, their MCP host declares elicitation without showing it: they can use "
    "another host, or set PAPERSPACE_MCP_CONFIRM=never for this one (with PAPERSPACE_MCP_PROTECT for what must stay)."
)


def check_reply(reply: Reply, content: Mapping[str, object] | None) -> None:
    """Raise unless the person's reply is a clear yes: `accept`, with the form's boolean set to true."""
    match reply:
        case "decline":
            raise NotConfirmed("The person declined. Do not try again unless they ask for it.")
        case "cancel":
            raise NotConfirmed(
                f"The question was dismissed without an answer. Ask the person what they want. {_NEVER_SHOWN}"
            )
        case _:
            if (content or {}).get("confirm") is not True:
                raise NotConfirmed("The reply to the question was not a clear yes. Ask the person what they want.")


def late() -> NotConfirmed:
    """Nobody answered a question that was put while the call waited."""
    return NotConfirmed(f"The question was not answered in time. {_NEVER_SHOWN}")


def not_shown(why: str) -> NotConfirmed:
    return NotConfirmed(f"The person could not be asked: {why}. {_NEVER_SHOWN}")


def garbled() -> NotConfirmed:
    return NotConfirmed(f"The client's reply to the question was not understood. {_NEVER_SHOWN}")
